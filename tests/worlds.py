"""Small worlds in which the right answer is known, for many tests."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gru4rec_cli.data.sessions import Sessions, Vocabulary
from gru4rec_cli.evaluation.ranking import TargetRanks
from gru4rec_cli.models.checks import chain, random_sessions, sessions_of

__all__ = ["chain", "random_sessions", "ranks_of", "sessions_of", "with_supports"]


def ranks_of(greater: Sequence[int], equal: Sequence[int]) -> TargetRanks:
    """Ranks of which nothing but these counts matters."""
    nothing = np.zeros(len(greater), dtype=np.int64)
    lists = np.zeros((len(greater), 0), dtype=np.int32)
    return TargetRanks(np.array(greater), np.array(equal), nothing, nothing, lists)


def with_supports(sessions: Sessions, supports: Sequence[int]) -> Sessions:
    """The same sessions, after training that held each item so many times."""
    vocabulary = Vocabulary(sessions.vocabulary.ids, np.array(supports, dtype=np.int64))
    return replace(sessions, vocabulary=vocabulary)
