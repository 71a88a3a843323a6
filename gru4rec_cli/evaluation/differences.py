"""Tests of the difference between two models: a paired randomisation test over sessions, corrected for the number of
pairs."""

import numpy as np

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.evaluation.uncertainty import generator, grid_step, on_grid, row_batches


class SignFlips:
    """Sums over sessions with each session's sign flipped or not, the same flips for all columns.

    If two models are exchangeable, then in every session either could have had the other's values: the difference of
    their sums is as likely with the other sign (Fisher's randomisation test; the session is the unit). The difference
    of flipped sums is the flipped sum of differences, so columns are flipped once, and pairs subtracted afterwards.
    Given block by block; `n_events` bounds the sum of all absolute values of a column. `totals`: (flips, columns).
    """

    def __init__(self, n_sessions: int, n_events: int, columns: int, *, permutations: int, seed: int) -> None:
        self.totals = np.zeros((permutations, columns))
        self.observed = np.zeros(columns)
        self._largest = 2.0 * n_events
        self._seed = seed
        # Each session's sum is off by half a step at most, so a column by half of them, and a pair by all.
        self._slack = 2 * n_sessions * grid_step(self._largest)

    def add(self, number: int, sums: Float64Array) -> None:
        """Add block `number` of the sessions; `sums` is (columns, sessions of the block)."""
        columns = np.ascontiguousarray(on_grid(sums, self._largest).T)
        observed = columns.sum(axis=0)
        self.observed += observed
        rng = generator(self._seed, "flips", number)
        n_bytes = (len(columns) + 7) // 8
        for rows in row_batches(len(self.totals)):
            n_rows = rows.stop - rows.start
            drawn = np.frombuffer(rng.bytes(n_rows * n_bytes), dtype=np.uint8).reshape(n_rows, n_bytes)
            kept = np.unpackbits(drawn, axis=1, count=len(columns)).astype(np.float64)
            self.totals[rows] += 2 * (kept @ columns) - observed  # what is kept minus what is not

    def p_value(self, first: int, second: int) -> float:
        """Return the two-sided p-value of the difference between two columns: (1 + #{|T*| ≥ |T|}) / (1 + flips).

        Rounding can only raise it: values that are equal but for rounding count as equal.
        """
        difference = abs(self.observed[first] - self.observed[second])
        flipped = np.abs(self.totals[:, first] - self.totals[:, second])
        return float((1 + np.count_nonzero(flipped >= difference - self._slack)) / (1 + len(flipped)))


def holm(p_values: list[float]) -> list[float]:
    """Return p-values corrected for their number, in the given order (Holm 1979, step down).

    The i-th smallest of m is multiplied by m - i + 1; none is smaller than one before it, none above 1.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for place, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted
