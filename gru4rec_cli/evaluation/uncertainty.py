"""Intervals from resampling sessions: the events of one session are not independent."""

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np

from gru4rec_cli.base.arrays import Float64Array

BLOCK = 4096  # sessions whose sums are in memory at once
_ROWS = 512  # resamples or sign flips whose weights over a block are in memory at once

Stream = Literal["shares", "draws", "flips"]
_STREAMS: dict[Stream, int] = {"shares": 1, "draws": 2, "flips": 3}


def session_blocks(n_sessions: int) -> list[slice]:
    """Return the sessions in consecutive blocks."""
    return [slice(start, min(start + BLOCK, n_sessions)) for start in range(0, n_sessions, BLOCK)]


def row_batches(n_rows: int) -> list[slice]:
    """Return resamples or sign flips in consecutive batches."""
    return [slice(start, min(start + _ROWS, n_rows)) for start in range(0, n_rows, _ROWS)]


def generator(seed: int, stream: Stream, number: int = 0) -> np.random.Generator:
    """Return a generator of the random numbers of one purpose and one block, apart from those of all others."""
    return np.random.Generator(np.random.PCG64([seed, _STREAMS[stream], number]))


def grid_step(largest: float) -> float:
    """Return the smallest power of two of which float64 holds every multiple up to `largest`."""
    return math.ldexp(1.0, math.frexp(largest)[1] - 53)


def on_grid(values: Float64Array, largest: float) -> Float64Array:
    """Return `values` rounded to multiples of `grid_step(largest)`.

    Sums whose absolute terms add up to no more than `largest` are then exact, in whatever order a matrix product adds
    them: the number of threads cannot change a result, and equal sums compare as equal.
    """
    step = grid_step(largest)
    return np.rint(values / step) * step


class SessionBootstrap:
    """Sums over sessions under a session-cluster bootstrap; the sums are given block by block, all columns together.

    Each resample draws n_sessions sessions with replacement, the same ones for all columns, so that differences
    between columns are paired. How many of its draws fall into a block is drawn first (multinomial), then which: the
    same distribution, and only a block of weights has to be in memory, whatever the number of sessions.
    `totals`: (resamples, columns). `largest` bounds the absolute value of one session's sum.
    """

    def __init__(self, n_sessions: int, columns: int, *, resamples: int, seed: int, largest: float) -> None:
        self.totals = np.zeros((resamples, columns))
        self._largest = largest * n_sessions
        self._seed = seed
        self._blocks = session_blocks(n_sessions)
        sizes = np.array([block.stop - block.start for block in self._blocks])
        shares = generator(seed, "shares").multinomial(n_sessions, sizes / n_sessions, size=resamples)
        self._draws = shares.astype(np.int64)  # (resamples, blocks)

    def add(self, number: int, sums: Float64Array) -> None:
        """Add block `number` of the sessions; `sums` is (columns, sessions of the block)."""
        columns = np.ascontiguousarray(on_grid(sums, self._largest).T)
        for rows, weights in self._weights(number):
            self.totals[rows] += weights @ columns

    def _weights(self, number: int) -> Iterator[tuple[slice, Float64Array]]:
        """Yield how often each resample draws each session of a block, (resamples of a batch, sessions of the
        block)."""
        size = self._blocks[number].stop - self._blocks[number].start
        rng = generator(self._seed, "draws", number)
        for rows in row_batches(len(self.totals)):
            draws = self._draws[rows, number]
            drawn = rng.integers(0, size, int(draws.sum()))
            drawn += np.repeat(np.arange(len(draws)) * size, draws)
            yield rows, np.bincount(drawn, minlength=len(draws) * size).reshape(-1, size).astype(np.float64)


def percentile_interval(means: Float64Array, confidence: float) -> tuple[Float64Array, Float64Array]:
    """Return lower and upper ends of the percentile interval of every column of `means` (resamples, columns).

    A resample in which a slice has no event has no mean (NaN) and is passed over.
    """
    tail = (1 - confidence) / 2
    quantile = np.nanquantile if np.isnan(means).any() else np.quantile
    low, high = quantile(means, [tail, 1 - tail], axis=0)
    return low, high
