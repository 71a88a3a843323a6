"""The recurrent cells of training, forward and backward. No gradient goes back to the state: there is no BPTT.

Values are (lanes, …). What comes from the input and what comes from the state are computed apart, so that two threads
can do it side by side; so are the gradients of their weights.
"""

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.elementary import sigmoid, tanh

Floats = npt.NDArray[np.floating]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_summed = compiled(fastmath={"reassoc", "contract", "arcp", "nsz"})


@_summed
def carry(after: Floats, kept: Int64Array, starts: BoolArray, before: Floats) -> None:
    """States (lanes, D) of the step before for the lanes of this one: moved together, zero where a session begins."""
    for lane in range(len(kept)):
        stood = kept[lane]
        for unit in range(before.shape[1]):
            before[lane, unit] = 0.0 if starts[lane] else after[stood, unit]


@_summed
def gru_forward(from_x: Floats, from_h: Floats, h: Floats, gates: Floats, new: Floats) -> None:
    """r = σ(x_r + h_r), z = σ(x_z + h_z), n = tanh(x_n + r ∘ h_n), new state (1 − z) ∘ n + z ∘ h.

    `from_x` = W x + b and `from_h` = U h + c (lanes, 3D) in PyTorch's order r, z, n; `gates` (lanes, 3D) keeps r, z, n.
    """
    lanes, units = new.shape
    for lane in range(lanes):
        for unit in range(2 * units):
            gates[lane, unit] = sigmoid(from_x[lane, unit] + from_h[lane, unit])
        for unit in range(units):
            n = tanh(from_x[lane, 2 * units + unit] + gates[lane, unit] * from_h[lane, 2 * units + unit])
            gates[lane, 2 * units + unit] = n
        for unit in range(units):
            n = gates[lane, 2 * units + unit]
            new[lane, unit] = n + gates[lane, units + unit] * (h[lane, unit] - n)


@_summed
def gru_backward(gradient: Floats, from_h: Floats, h: Floats, gates: Floats, d_x: Floats, d_h: Floats) -> None:
    """From the gradient d of the new state those of `from_x` and `from_h`, (lanes, 3D).

    With a the sums inside σ and tanh: dn = d (1 − z), da_n = dn (1 − n²), da_z = d (h − n) z (1 − z),
    da_r = da_n h_n r (1 − r); what comes from the state passes r in the candidate.
    """
    lanes, units = gradient.shape
    one = gradient.dtype.type(1.0)
    for lane in range(lanes):
        for unit in range(units):
            r, z, n = gates[lane, unit], gates[lane, units + unit], gates[lane, 2 * units + unit]
            d = gradient[lane, unit]
            d_n = d * (one - z) * (one - n * n)
            d_z = d * (h[lane, unit] - n) * z * (one - z)
            d_r = d_n * from_h[lane, 2 * units + unit] * r * (one - r)
            d_x[lane, unit] = d_r
            d_h[lane, unit] = d_r
            d_x[lane, units + unit] = d_z
            d_h[lane, units + unit] = d_z
            d_x[lane, 2 * units + unit] = d_n
            d_h[lane, 2 * units + unit] = d_n * r


@_summed
def one_hot_gates(from_x: Floats, from_h: Floats, h: Floats, gates: Floats, reset: Floats) -> None:
    """r = σ(x_r + h_r), z = σ(x_z + h_z) and r ∘ h.

    `from_x` (lanes, 3D) in the order candidate, r, z; `from_h` = h U_rz (lanes, 2D); `gates` (lanes, 3D) gets r, z.
    """
    lanes, units = h.shape
    for lane in range(lanes):
        for unit in range(2 * units):
            gates[lane, unit] = sigmoid(from_x[lane, units + unit] + from_h[lane, unit])
        for unit in range(units):
            reset[lane, unit] = gates[lane, unit] * h[lane, unit]


@_summed
def one_hot_forward(from_x: Floats, from_reset: Floats, h: Floats, gates: Floats, new: Floats) -> None:
    """n = tanh(x_n + (r ∘ h) U_n), new state (1 − z) ∘ h + z ∘ n; `gates` gets n behind r and z."""
    lanes, units = new.shape
    for lane in range(lanes):
        for unit in range(units):
            n = tanh(from_x[lane, unit] + from_reset[lane, unit])
            gates[lane, 2 * units + unit] = n
        for unit in range(units):
            n = gates[lane, 2 * units + unit]
            new[lane, unit] = h[lane, unit] + gates[lane, units + unit] * (n - h[lane, unit])


@_summed
def one_hot_backward(gradient: Floats, h: Floats, gates: Floats, d_x: Floats) -> None:
    """From the gradient d of the new state: da_n = d z (1 − n²), da_z = d (n − h) z (1 − z), in `d_x` (lanes, 3D)."""
    lanes, units = gradient.shape
    one = gradient.dtype.type(1.0)
    for lane in range(lanes):
        for unit in range(units):
            z, n, d = gates[lane, units + unit], gates[lane, 2 * units + unit], gradient[lane, unit]
            d_x[lane, unit] = d * z * (one - n * n)
            d_x[lane, 2 * units + unit] = d * (n - h[lane, unit]) * z * (one - z)


@_summed
def one_hot_reset_backward(d_reset: Floats, h: Floats, gates: Floats, d_x: Floats) -> None:
    """From the gradient of r ∘ h, which is da_n U_nᵀ: da_r = d h r (1 − r), in `d_x` (lanes, 3D)."""
    lanes, units = d_reset.shape
    one = d_reset.dtype.type(1.0)
    for lane in range(lanes):
        for unit in range(units):
            r = gates[lane, unit]
            d_x[lane, units + unit] = d_reset[lane, unit] * h[lane, unit] * r * (one - r)


@_summed
def add_bias(values: Floats, bias: Floats) -> None:
    """bias (columns,) to every row."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            values[row, column] += bias[column]


@_summed
def sum_rows(values: Floats, sums: Floats) -> None:
    """The sum of the rows, (columns,)."""
    sums[:] = 0.0
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            sums[column] += values[row, column]


@_summed
def multiply(values: Floats, factors: Floats) -> None:
    """values ∘ factors, in place."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            values[row, column] *= factors[row, column]
