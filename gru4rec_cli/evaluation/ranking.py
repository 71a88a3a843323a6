"""Full ranking: where every target stands among all training items."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.metrics import TieRule, ranks
from gru4rec_cli.progress import SILENT, Progress
from gru4rec_cli.scores import FloatArray, ScoreBlock


class ScoreError(ValueError):
    """A model gave scores that are no ranking."""


@dataclass(frozen=True)
class TargetRanks:
    """Counts that fix the rank of every event under any tie rule, in event order.

    `greater` and `equal` (int64, (n_targets,)): items scored above the target, and other items scored the same.
    A target that the training data does not hold has all V items above it.
    """

    greater: npt.NDArray[np.int64]
    equal: npt.NDArray[np.int64]


def rank_targets(
    blocks: Iterator[ScoreBlock], sessions: Sessions, *, progress: Progress = SILENT, description: str = "ranking"
) -> TargetRanks:
    """Rank the target of every event of `sessions` by the scores in `blocks`; one block is in memory at a time.

    Raises `ScoreError` for NaN scores, for blocks of another width than V, and for blocks that leave events out.
    """
    targets = sessions.target_items()
    greater = np.full(len(targets), sessions.n_items, dtype=np.int64)
    equal = np.zeros(len(targets), dtype=np.int64)
    done = 0
    with progress.task(description, total=len(targets), unit="events") as task:
        for block in blocks:
            stop = block.start + len(block.scores)
            if block.start != done or stop > len(targets) or block.scores.shape[1] != sessions.n_items:
                raise ScoreError(f"expected scores of event {done} over {sessions.n_items} items")
            seen = targets[done:stop] >= 0
            counts = count_above(block.scores, np.maximum(targets[done:stop], 0))
            greater[done:stop][seen], equal[done:stop][seen] = counts[0][seen], counts[1][seen]
            task.advance(stop - done)
            done = stop
    if done != len(targets):
        raise ScoreError(f"scores of {len(targets) - done} of {len(targets)} events are missing")
    return TargetRanks(greater, equal)


def event_ranks(counts: TargetRanks, sessions: Sessions, ties: TieRule) -> npt.NDArray[np.float64]:
    """Rank of every event under a tie rule; infinite where training never saw the target."""
    return np.where(sessions.target_items() >= 0, ranks(counts.greater, counts.equal, ties), np.inf)


def count_above(
    scores: FloatArray, targets: npt.NDArray[np.int32]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For every row of `scores` (events, V): items above the target's score, and other items at it."""
    own = scores[np.arange(len(targets)), targets][:, None]
    greater = np.count_nonzero(scores > own, axis=1)
    at_least = np.count_nonzero(scores >= own, axis=1)
    below = np.count_nonzero(scores < own, axis=1)
    if not np.array_equal(at_least + below, np.full(len(targets), scores.shape[1])):
        raise ScoreError("some scores are not numbers (NaN); the model has diverged")
    return greater, at_least - greater - 1
