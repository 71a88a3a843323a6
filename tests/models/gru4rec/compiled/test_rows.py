"""Adagrad by rows, compiled."""

from typing import Any

import numpy as np
import pytest

from gru4rec_cli.models.gru4rec.compiled.rows import Rate, adagrad_rows
from gru4rec_cli.models.gru4rec.optimizer import EPSILON


def test_adagrad_with_momentum_by_hand():
    parts = np.array([[1.0]]), np.zeros((1, 1)), np.zeros((1, 1))
    rate = Rate(learning_rate=0.1, momentum=0.5, epsilon=EPSILON)
    adagrad_rows(*parts, np.array([0]), np.array([[2.0]]), rate)
    first = 0.1 * 2 / np.sqrt(4 + 1e-6)
    assert parts[0] == pytest.approx(1 - first, rel=1e-12)
    adagrad_rows(*parts, np.array([0]), np.array([[1.0]]), rate)
    second = 0.5 * -first - 0.1 * 1 / np.sqrt(5 + 1e-6)
    assert parts[0] == pytest.approx(1 - first + second, rel=1e-12)


@pytest.mark.parametrize("momentum", [0.0, 0.3])
def test_only_the_given_rows_move_and_those_as_if_they_were_all(momentum: float):
    random = np.random.default_rng(0)
    start: list[Any] = [random.random((6, 37)) for _ in range(3)]
    rows, gradient = np.array([4, 1, 5, 0, 2]), random.random((5, 37)) - 0.5
    rate = Rate(0.1, momentum, EPSILON)
    found: list[Any] = [part.copy() for part in start]
    whole: list[Any] = [part[rows] for part in start]
    adagrad_rows(*found, rows, gradient, rate)  # type: ignore[call-arg]
    adagrad_rows(*whole, np.arange(5), gradient, rate)  # type: ignore[call-arg]
    for part, given, moved in zip(found, start, whole, strict=True):
        assert np.array_equal(part[rows], moved)
        assert np.array_equal(part[3], given[3])
    accumulators = start[1][rows] + gradient**2
    step = 0.1 * gradient / np.sqrt(accumulators + EPSILON)
    assert whole[1] == pytest.approx(accumulators, rel=1e-12)
    moved = momentum * start[2][rows] - step if momentum else -step
    assert whole[0] == pytest.approx(start[0][rows] + moved, rel=1e-12)
