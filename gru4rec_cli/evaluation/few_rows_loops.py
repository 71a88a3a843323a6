"""The compiled loop behind products of a few rows."""

import numpy as np

from gru4rec_cli.base.arrays import Float32Array
from gru4rec_cli.base.compiling import compiled

_AT_ONCE = 1024  # columns, so that their sums stay in the cache


@compiled(fastmath={"contract"})
def multiply_few(rows: Float32Array, matrix: Float32Array, products: Float32Array) -> None:
    """Fill `products` (R, V) with `rows` (R, D) · `matrix` (D, V), adding in the order of D, by fused multiply-add.

    Four places of D are added at a time, so that sums are read and written a quarter as often, and two rows, so that
    the matrix is read half as often; the order is the same.
    """
    n_columns, width = matrix.shape[1], len(matrix)
    for start in range(0, n_columns, _AT_ONCE):
        stop = min(start + _AT_ONCE, n_columns)
        for row in range(len(rows)):
            for column in range(start, stop):
                products[row, column] = np.float32(0.0)
        for place in range(0, width - 3, 4):
            w0, w1 = matrix[place, start:stop], matrix[place + 1, start:stop]
            w2, w3 = matrix[place + 2, start:stop], matrix[place + 3, start:stop]
            for row in range(0, len(rows) - 1, 2):
                p0, p1, p2, p3 = rows[row, place], rows[row, place + 1], rows[row, place + 2], rows[row, place + 3]
                q0, q1 = rows[row + 1, place], rows[row + 1, place + 1]
                q2, q3 = rows[row + 1, place + 2], rows[row + 1, place + 3]
                first, second = products[row, start:stop], products[row + 1, start:stop]
                for column in range(stop - start):
                    total, other = first[column] + p0 * w0[column], second[column] + q0 * w0[column]
                    total, other = total + p1 * w1[column], other + q1 * w1[column]
                    total, other = total + p2 * w2[column], other + q2 * w2[column]
                    first[column], second[column] = total + p3 * w3[column], other + q3 * w3[column]
            for row in range(len(rows) - len(rows) % 2, len(rows)):
                q0, q1, q2, q3 = rows[row, place], rows[row, place + 1], rows[row, place + 2], rows[row, place + 3]
                sums = products[row, start:stop]
                for column in range(stop - start):
                    total = sums[column] + q0 * w0[column]
                    total = total + q1 * w1[column]
                    total = total + q2 * w2[column]
                    sums[column] = total + q3 * w3[column]
        for place in range(width - width % 4, width):
            factors = matrix[place, start:stop]
            for row in range(len(rows)):
                value, sums = rows[row, place], products[row, start:stop]
                for column in range(len(sums)):
                    sums[column] += value * factors[column]
