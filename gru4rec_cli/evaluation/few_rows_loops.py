"""The compiled loop behind products of a few rows."""

import numpy as np

from gru4rec_cli.base.arrays import Float32Array
from gru4rec_cli.base.compiling import compiled

_AT_ONCE = 2048  # columns, so that their sums stay in the cache


@compiled(fastmath={"contract"})
def multiply_few(rows: Float32Array, matrix: Float32Array, products: Float32Array) -> None:
    """Fill `products` (R, V) with `rows` (R, D) · `matrix` (D, V), adding in the order of D, by fused multiply-add."""
    n_columns = matrix.shape[1]
    for start in range(0, n_columns, _AT_ONCE):
        stop = min(start + _AT_ONCE, n_columns)
        for row in range(len(rows)):
            for column in range(start, stop):
                products[row, column] = np.float32(0.0)
        for place in range(len(matrix)):
            factors = matrix[place, start:stop]
            for row in range(len(rows)):
                value, sums = rows[row, place], products[row, start:stop]
                for column in range(len(factors)):
                    sums[column] += value * factors[column]
