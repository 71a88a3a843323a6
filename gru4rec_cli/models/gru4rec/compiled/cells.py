"""The recurrent cells of training, forward and backward. No gradient goes back to the state: there is no BPTT.

Values are (slots, …). What comes from the input and what comes from the state are computed apart, so that two threads
can do it side by side; so are the gradients of their weights.
"""

from gru4rec_cli.base.arrays import BoolArray, FloatingArray, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.compiled.elementary import sigmoid, tanh


@compiled(reorder_sums=True)
def carry(after: FloatingArray, previous: Int64Array, starts: BoolArray, before: FloatingArray) -> None:
    """Carry states (slots, D) from the step before to the slots of this one; zero where a session begins."""
    for slot in range(len(previous)):
        stood = previous[slot]
        for unit in range(before.shape[1]):
            before[slot, unit] = 0.0 if starts[slot] else after[stood, unit]


@compiled(reorder_sums=True)
def gru_forward(
    from_x: FloatingArray, from_h: FloatingArray, h: FloatingArray, gates: FloatingArray, new: FloatingArray
) -> None:
    """Compute r = σ(x_r + h_r), z = σ(x_z + h_z), n = tanh(x_n + r ∘ h_n), new state (1 − z) ∘ n + z ∘ h.

    `from_x` = W x + b and `from_h` = U h + c (slots, 3D) in PyTorch's order r, z, n; `gates` (slots, 3D) keeps r, z, n.
    """
    slots, units = new.shape
    for slot in range(slots):
        for unit in range(2 * units):
            gates[slot, unit] = sigmoid(from_x[slot, unit] + from_h[slot, unit])
        for unit in range(units):
            n = tanh(from_x[slot, 2 * units + unit] + gates[slot, unit] * from_h[slot, 2 * units + unit])
            gates[slot, 2 * units + unit] = n
        for unit in range(units):
            n = gates[slot, 2 * units + unit]
            new[slot, unit] = n + gates[slot, units + unit] * (h[slot, unit] - n)


@compiled(reorder_sums=True)
def gru_backward(
    gradient: FloatingArray,
    from_h: FloatingArray,
    h: FloatingArray,
    gates: FloatingArray,
    d_x: FloatingArray,
    d_h: FloatingArray,
) -> None:
    """Compute the gradients of `from_x` and `from_h`, (slots, 3D), from the gradient d of the new state.

    With a the sums inside σ and tanh: dn = d (1 − z), da_n = dn (1 − n²), da_z = d (h − n) z (1 − z),
    da_r = da_n h_n r (1 − r); what comes from the state passes r in the candidate.
    """
    slots, units = gradient.shape
    one = gradient.dtype.type(1.0)
    for slot in range(slots):
        for unit in range(units):
            r, z, n = gates[slot, unit], gates[slot, units + unit], gates[slot, 2 * units + unit]
            d = gradient[slot, unit]
            d_n = d * (one - z) * (one - n * n)
            d_z = d * (h[slot, unit] - n) * z * (one - z)
            d_r = d_n * from_h[slot, 2 * units + unit] * r * (one - r)
            d_x[slot, unit] = d_r
            d_h[slot, unit] = d_r
            d_x[slot, units + unit] = d_z
            d_h[slot, units + unit] = d_z
            d_x[slot, 2 * units + unit] = d_n
            d_h[slot, 2 * units + unit] = d_n * r


@compiled(reorder_sums=True)
def one_hot_gates(
    from_x: FloatingArray, from_h: FloatingArray, h: FloatingArray, gates: FloatingArray, reset: FloatingArray
) -> None:
    """Compute r = σ(x_r + h_r), z = σ(x_z + h_z) and r ∘ h.

    `from_x` (slots, 3D) in the order candidate, r, z; `from_h` = h U_rz (slots, 2D); `gates` (slots, 3D) gets r, z.
    """
    slots, units = h.shape
    for slot in range(slots):
        for unit in range(2 * units):
            gates[slot, unit] = sigmoid(from_x[slot, units + unit] + from_h[slot, unit])
        for unit in range(units):
            reset[slot, unit] = gates[slot, unit] * h[slot, unit]


@compiled(reorder_sums=True)
def one_hot_forward(
    from_x: FloatingArray, from_reset: FloatingArray, h: FloatingArray, gates: FloatingArray, new: FloatingArray
) -> None:
    """Compute n = tanh(x_n + (r ∘ h) U_n), new state (1 − z) ∘ h + z ∘ n; `gates` gets n behind r and z."""
    slots, units = new.shape
    for slot in range(slots):
        for unit in range(units):
            n = tanh(from_x[slot, unit] + from_reset[slot, unit])
            gates[slot, 2 * units + unit] = n
        for unit in range(units):
            n = gates[slot, 2 * units + unit]
            new[slot, unit] = h[slot, unit] + gates[slot, units + unit] * (n - h[slot, unit])


@compiled(reorder_sums=True)
def one_hot_backward(gradient: FloatingArray, h: FloatingArray, gates: FloatingArray, d_x: FloatingArray) -> None:
    """Compute da_n = d z (1 − n²), da_z = d (n − h) z (1 − z) in `d_x` (slots, 3D); d is the new state's gradient."""
    slots, units = gradient.shape
    one = gradient.dtype.type(1.0)
    for slot in range(slots):
        for unit in range(units):
            z, n, d = gates[slot, units + unit], gates[slot, 2 * units + unit], gradient[slot, unit]
            d_x[slot, unit] = d * z * (one - n * n)
            d_x[slot, 2 * units + unit] = d * (n - h[slot, unit]) * z * (one - z)


@compiled(reorder_sums=True)
def one_hot_reset_backward(d_reset: FloatingArray, h: FloatingArray, gates: FloatingArray, d_x: FloatingArray) -> None:
    """Compute from the gradient of r ∘ h, which is da_n U_nᵀ: da_r = d h r (1 − r), in `d_x` (slots, 3D)."""
    slots, units = d_reset.shape
    one = d_reset.dtype.type(1.0)
    for slot in range(slots):
        for unit in range(units):
            r = gates[slot, unit]
            d_x[slot, units + unit] = d_reset[slot, unit] * h[slot, unit] * r * (one - r)


@compiled(reorder_sums=True)
def add_bias(values: FloatingArray, bias: FloatingArray) -> None:
    """Add a bias (columns,) to every row."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            values[row, column] += bias[column]


@compiled(reorder_sums=True)
def sum_rows(values: FloatingArray, sums: FloatingArray) -> None:
    """Write the sum of the rows, (columns,)."""
    sums[:] = 0.0
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            sums[column] += values[row, column]


@compiled(reorder_sums=True)
def multiply(values: FloatingArray, factors: FloatingArray) -> None:
    """Multiply values by factors, in place."""
    for row in range(values.shape[0]):
        for column in range(values.shape[1]):
            values[row, column] *= factors[row, column]
