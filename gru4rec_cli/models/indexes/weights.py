"""The decay functions of the neighbourhood literature, by name."""

from typing import Literal

import numpy as np

from gru4rec_cli.base.arrays import Float64Array

Weighting = Literal["same", "div", "linear", "log", "quadratic"]

FARTHEST = 4096  # clicks; what is farther weighs as much as this
MICROSECONDS_PER_DAY = 86_400_000_000
SMALLEST_DECAY = 1e-12  # of clicks or days, so that no quotient overflows


def weights_by_step(weighting: Weighting, steps: int = FARTHEST) -> Float64Array:
    """Return w(d) for d = 1 … steps, (steps,): same 1, div 1/d, linear 1 - 0.1 d (0 from 10 on), log 1/log10(d + 1.7),
    quadratic 1/d² (Ludewig & Jannach, UMUAI 2018)."""
    distance = np.arange(1, steps + 1, dtype=np.float64)
    if weighting == "same":
        return np.ones(steps)
    if weighting == "div":
        return 1.0 / distance
    if weighting == "linear":
        return np.maximum(1.0 - 0.1 * distance, 0.0)
    return 1.0 / np.log10(distance + 1.7) if weighting == "log" else 1.0 / distance**2


def weights_by_age(weighting: Weighting) -> tuple[Float64Array, int]:
    """Return weights of a session's clicks by age (0: the last click), and a power. If the power is above 0, for div
    and quadratic, the weights are position^power instead: the length by which the literature divides is a common
    factor. Linear ones are tenths: whole numbers add up without rounding."""
    if weighting in ("div", "quadratic"):
        return np.zeros(0), 1 if weighting == "div" else 2
    age = np.arange(FARTHEST, dtype=np.float64)
    tables = {
        "same": np.ones(FARTHEST),
        "linear": np.maximum(10.0 - age, 0.0),
        "log": 1.0 / np.log10(age + 1.7),
    }
    return tables[weighting], 0


def exponential(rate: float, steps: int = FARTHEST) -> Float64Array:
    """Return w(d) = exp(-d / rate) for d = 0 … steps - 1, (steps,) (Garg et al., SIGIR 2019)."""
    return np.exp(-np.arange(steps) / rate)
