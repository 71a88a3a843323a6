"""exp, expm1, sigmoid and tanh of compiled loops beside NumPy's in double precision."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.compiled.elementary import exp, expm1, sigmoid, tanh

Floats = npt.NDArray[np.floating]


@compiled
def all_of(x: Floats, found: Floats) -> None:
    for place in range(len(x)):
        found[0, place] = exp(x[place])
        found[1, place] = expm1(x[place])
        found[2, place] = sigmoid(x[place])
        found[3, place] = tanh(x[place])


REFERENCES: list[Callable[[Floats], Floats]] = [np.exp, np.expm1, lambda x: 1 / (1 + np.exp(-x)), np.tanh]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("reach", [1e-6, 1e-3, 1.0, 10.0, 80.0])
def test_they_are_the_functions_to_a_few_units_in_the_last_place(dtype: type[np.floating], reach: float):
    x: Floats = np.random.default_rng(0).uniform(-reach, reach, 10_000).astype(dtype)
    found: Floats = np.empty((4, len(x)), dtype=dtype)
    all_of(x, found)
    for values, reference in zip(found, REFERENCES, strict=True):
        np.testing.assert_allclose(values, reference(x.astype(np.float64)), rtol=float(4 * np.finfo(dtype).eps))


def test_beyond_its_range_single_precision_stays_finite():
    x = np.array([-np.inf, -1e30, -100.0, 100.0, 1e30, np.inf, 0.0], dtype=np.float32)
    found = np.empty((4, len(x)), dtype=np.float32)
    all_of(x, found)
    assert np.isfinite(found).all()
    assert found[0, :3].max() < 2e-38
    assert found[2].tolist() == pytest.approx([0, 0, 0, 1, 1, 1, 0.5], abs=1e-37)
    assert found[3].tolist() == [-1, -1, -1, 1, 1, 1, 0]
