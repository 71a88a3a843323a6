"""Blocks of scores: what models give and rankings take."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

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


def block_ranges(n_rows: int, n_items: int) -> Iterator[tuple[int, int]]:
    """Consecutive (start, stop) that cover `n_rows` events in blocks of bounded size over `n_items` items."""
    step = max(_FEWEST_ROWS, min(_MOST_ROWS, SCORE_BLOCK_BYTES // (4 * n_items)))
    for start in range(0, n_rows, step):
        yield start, min(start + step, n_rows)
