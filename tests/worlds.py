"""Small worlds in which the right answer is known, for many tests."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gru4rec_cli.data.sessions import Sessions, Vocabulary
from gru4rec_cli.evaluation.ranking import TargetRanks


def sessions_of(clicks: Sequence[Sequence[int]], n_items: int | None = None) -> Sessions:
    """Sessions of the given item indices, one second between clicks, sessions numbered from 1."""
    items = np.concatenate([np.asarray(session, dtype=np.int32) for session in clicks])
    offsets = np.concatenate([[0], np.cumsum([len(session) for session in clicks])]).astype(np.int64)
    size = n_items if n_items is not None else int(items.max()) + 1
    times = np.arange(len(items), dtype=np.int64) * 1_000_000
    return Sessions(items, offsets, times, np.arange(1, len(clicks) + 1), Vocabulary.of(np.arange(size) * 10 + 5))


def ranks_of(greater: Sequence[int], equal: Sequence[int]) -> TargetRanks:
    """Ranks of which nothing but these counts matters."""
    nothing = np.zeros(len(greater), dtype=np.int64)
    lists = np.zeros((len(greater), 0), dtype=np.int32)
    return TargetRanks(np.array(greater), np.array(equal), nothing, nothing, lists)


def chain(n_items: int = 8, n_sessions: int = 200, length: int = 5, seed: int = 0) -> Sessions:
    """Every item is always followed by the next one on a circle."""
    starts = np.random.default_rng(seed).integers(0, n_items, n_sessions)
    return sessions_of([[(start + step) % n_items for step in range(length)] for start in starts], n_items)


def random_sessions(n_items: int, n_sessions: int, seed: int, longest: int = 9) -> Sessions:
    """Sessions of uniformly random items, of 2 to `longest` clicks."""
    rng = np.random.default_rng(seed)
    return sessions_of(
        [rng.integers(0, n_items, rng.integers(2, longest + 1)).tolist() for _ in range(n_sessions)], n_items
    )


def with_supports(sessions: Sessions, supports: Sequence[int]) -> Sessions:
    """The same sessions, after training that held each item so many times."""
    vocabulary = Vocabulary(sessions.vocabulary.ids, np.array(supports, dtype=np.int64))
    return replace(sessions, vocabulary=vocabulary)
