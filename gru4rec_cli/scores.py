"""Blocks of scores: what models give and rankings take."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Int32Array = npt.NDArray[np.int32]
Int64Array = npt.NDArray[np.int64]

SCORE_BLOCK_BYTES = 64 * 2**20  # of a block of scores, unless 32 rows need more (beyond half a million items)
_MOST_ROWS = 4096
_FEWEST_ROWS = 32


@dataclass(frozen=True)
class ScoreBlock:
    """Scores of all V items for consecutive events, higher is better.

    `start` is the number of the first event; `scores` is float32 (events, V).
    """

    start: int
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def n_items(self) -> int:
        return int(self.scores.shape[1])

    def dense(self) -> npt.NDArray[np.floating]:
        """Scores of all items, (events, V)."""
        return self.scores


@dataclass(frozen=True)
class CandidateBlock:
    """Scores of a few items for each of consecutive events; all other items follow below them in one fixed order.

    The candidates of event `start + e` are the entries of list `rows[e]`, that is
    `items[offsets[rows[e]]:offsets[rows[e] + 1]]`, each item once, with positive `scores`; row -1 is an empty list.
    Equal candidates are ordered by `levels`, and so are the items that are no candidates: a higher level is better,
    and items of one level and the same score are tied.
    """

    start: int
    rows: Int64Array  # (events,)
    offsets: Int64Array  # (lists + 1,)
    items: Int32Array  # (entries,)
    scores: FloatArray  # (entries,), above 0
    levels: Int32Array  # (V,), 0 is the lowest

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_items(self) -> int:
        return len(self.levels)

    def dense(self) -> npt.NDArray[np.floating]:
        """The same order as scores of all items, float64 (events, V).

        Items that are no candidates get a number in (-1, 0) by their level. A candidate's score is raised by less than
        float32 can tell, by its level: rounded to float32 it is the candidate's own score again.
        """
        share = (self.levels + 1.0) / (self.levels.max() + 2.0)  # (V,), in (0, 1)
        scores = np.repeat(share[None, :] - 1.0, len(self.rows), axis=0)
        for event, row in enumerate(self.rows):
            if row >= 0:
                entries = slice(self.offsets[row], self.offsets[row + 1])
                items = self.items[entries]
                scores[event, items] = self.scores[entries] * (1.0 + 2.0**-25 * share[items])
        return scores


Block = ScoreBlock | CandidateBlock


def levels_of(values: npt.NDArray[np.integer]) -> Int32Array:
    """Place of each value among the distinct ones, from 0 for the lowest; equal values share a level."""
    levels: Int32Array = np.unique(values, return_inverse=True)[1].astype(np.int32)
    return levels


def block_ranges(n_rows: int, n_items: int) -> Iterator[tuple[int, int]]:
    """Consecutive (start, stop) that cover `n_rows` events in blocks of bounded size over `n_items` items."""
    step = max(_FEWEST_ROWS, min(_MOST_ROWS, SCORE_BLOCK_BYTES // (4 * n_items)))
    for start in range(0, n_rows, step):
        yield start, min(start + step, n_rows)
