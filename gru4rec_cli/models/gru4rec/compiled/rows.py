"""Rows of item matrices: read, summed, and moved by Adagrad."""

from typing import NamedTuple

import numpy as np

from gru4rec_cli.base.arrays import FloatingArray, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.compiled.intrinsics import fetch

_AHEAD = 4  # rows that are fetched from memory before their turn
_LINE = 64  # bytes of a cache line


@compiled
def add_rows(gradient: FloatingArray, places: Int64Array, added: FloatingArray) -> None:
    """Add added[b] to gradient[places[b]], one after the other."""
    for slot in range(len(places)):
        for column in range(gradient.shape[1]):
            gradient[places[slot], column] += added[slot, column]


@compiled
def _fetch_row(matrix: FloatingArray, row: int) -> None:
    """Begin to bring a row into the cache."""
    for column in range(0, matrix.shape[1], _LINE // matrix.itemsize):
        fetch(matrix, row * matrix.shape[1] + column)


class Rate(NamedTuple):
    """Settings of Adagrad."""

    learning_rate: float
    momentum: float
    epsilon: float


@compiled(reorder_sums=True)
def adagrad_rows(
    values: FloatingArray,
    accumulators: FloatingArray,
    momenta: FloatingArray,
    rows: Int64Array,
    gradients: FloatingArray,
    rate: Rate,
) -> None:
    """Update the given rows of (V, D) matrices by gradients (rows, D), as `optimizer.Adagrad` does; each row once."""
    number = values.dtype.type
    learning_rate, momentum, epsilon = number(rate.learning_rate), number(rate.momentum), number(rate.epsilon)
    for place in range(len(rows)):
        row = rows[place]
        if place + _AHEAD < len(rows):
            coming = rows[place + _AHEAD]
            _fetch_row(values, coming)
            _fetch_row(accumulators, coming)
            _fetch_row(momenta, coming)
        if rate.momentum > 0.0:
            for column in range(values.shape[1]):
                g = gradients[place, column]
                accumulators[row, column] += g * g
                step = learning_rate * g / np.sqrt(accumulators[row, column] + epsilon)
                momenta[row, column] = momentum * momenta[row, column] - step
                values[row, column] += momenta[row, column]
        else:
            for column in range(values.shape[1]):
                g = gradients[place, column]
                accumulators[row, column] += g * g
                values[row, column] -= learning_rate * g / np.sqrt(accumulators[row, column] + epsilon)


@compiled(reorder_sums=True)
def read_rows(matrix: FloatingArray, rows: Int64Array, found: FloatingArray) -> None:
    """Copy matrix[rows[i]] to found[i]."""
    for place in range(len(rows)):
        row = rows[place]
        if place + _AHEAD < len(rows):
            _fetch_row(matrix, rows[place + _AHEAD])
        for column in range(matrix.shape[1]):
            found[place, column] = matrix[row, column]
