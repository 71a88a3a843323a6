"""exp, expm1, sigmoid and tanh for compiled loops, written so that a loop over them is vectorised.

In float32: with x = n ln 2 + r, n whole and |r| ≤ ln 2 / 2, e^x − 1 = (2^n − 1) + 2^n (e^r − 1), and e^r − 1 by its
Taylor series to the seventh power, whose remainder is below 1e-8 of it. In float64 the library's functions are called.
"""

import math

import numpy as np
from numba import types
from numba.extending import overload

from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.compiled.intrinsics import nearest, power_of_two

_LOG2_E = np.float32(1.4426950408889634)
_LN_2_HIGH = np.float32(0.693359375)  # few digits, so that its products with n are exact
_LN_2_LOW = np.float32(math.log(2.0) - 0.693359375)
_LOWEST, _HIGHEST = np.float32(-87.0), np.float32(88.0)  # e^x is a normal number
_ONE, _TWO, _HALF = np.float32(1.0), np.float32(2.0), np.float32(0.5)
_C3, _C4, _C5, _C6, _C7 = (np.float32(1.0 / math.factorial(n)) for n in range(3, 8))


def exp(x: float) -> float:
    """Return e^x; in float32 between e^-87 and e^88."""
    return math.exp(x)


def expm1(x: float) -> float:
    """Return e^x − 1, exact near 0."""
    return math.expm1(x)


def sigmoid(x: float) -> float:
    """Return 1 / (1 + e^-x)."""
    return 1.0 / (1.0 + math.exp(-x))


def tanh(x: float) -> float:
    """Return the hyperbolic tangent, exact near 0."""
    return math.tanh(x)


@overload(exp, inline="always")
def _exp(x):  # type: ignore[no-untyped-def]
    if x == types.float32:

        def single(x):  # type: ignore[no-untyped-def]
            scale, rest = _parts(x)
            return scale + scale * rest

        return single
    return lambda x: math.exp(x)


@overload(expm1, inline="always")
def _expm1(x):  # type: ignore[no-untyped-def]
    if x == types.float32:

        def single(x):  # type: ignore[no-untyped-def]
            scale, rest = _parts(x)
            return (scale - _ONE) + scale * rest

        return single
    return lambda x: math.expm1(x)


@overload(sigmoid, inline="always")
def _sigmoid(x):  # type: ignore[no-untyped-def]
    if x == types.float32:

        def single(x):  # type: ignore[no-untyped-def]
            scale, rest = _parts(-x)
            return _ONE / (_ONE + scale + scale * rest)

        return single
    return lambda x: 1.0 / (1.0 + math.exp(-x))


@overload(tanh, inline="always")
def _tanh(x):  # type: ignore[no-untyped-def]
    if x == types.float32:

        def single(x):  # type: ignore[no-untyped-def]
            scale, rest = _parts(_TWO * min(max(x, np.float32(-20.0)), np.float32(20.0)))
            difference = (scale - _ONE) + scale * rest  # e^2x − 1
            return difference / (difference + _TWO)

        return single
    return lambda x: math.tanh(x)


@compiled(fastmath={"contract"})
def _parts(x):  # type: ignore[no-untyped-def]
    """2^n and e^r − 1."""
    x = min(max(x, _LOWEST), _HIGHEST)
    n = nearest(x * _LOG2_E)
    r = (x - n * _LN_2_HIGH) - n * _LN_2_LOW
    tail = _C3 + r * (_C4 + r * (_C5 + r * (_C6 + r * _C7)))
    return power_of_two(n), r + r * r * (_HALF + r * tail)
