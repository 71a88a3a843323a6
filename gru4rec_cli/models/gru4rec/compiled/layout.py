"""The arrays that the compiled step works on, and where matrices are in its vectors.

L slots, D units of a layer, W the width of its input, U distinct items.
"""

from typing import NamedTuple

from gru4rec_cli.base.arrays import FloatingArray, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.compiled import losses
from gru4rec_cli.models.gru4rec.compiled.rows import Rate


class Table(NamedTuple):
    """Parameters with their Adagrad state, (rows, columns) each."""

    values: FloatingArray
    accumulators: FloatingArray
    momenta: FloatingArray  # not used without momentum


class Network(NamedTuple):
    """All parameters; they are changed in place."""

    items: Table  # (V, D)
    bias: Table  # (V, 1)
    inputs: Table  # (V, W) of the first layer; with shared inputs `items` itself
    cells: Table  # (1, …) all weights of the layers; see `LayerShapes`


class LayerShapes(NamedTuple):
    """Sizes of the layers, and where their weights are.

    In `Network.cells` every layer has first the weights of its input, W (3D, W) and b (3D,), then those of its state,
    U (3D, D) and c (3D,). A one-hot first layer has only the second: U_rz (D, 2D), U_n (D, D) and b (3D,).
    """

    widths: Int64Array  # (layers,) of each layer's input
    units: Int64Array  # (layers,)
    starts: Int64Array  # (layers + 1, 2) where the two halves of a layer begin in the cells' vector
    batch_size: int
    shared: bool  # inputs are rows of the item matrix
    one_hot: bool


class Rules(NamedTuple):
    """Loss and update of a step."""

    cross_entropy: bool  # else BPR-max
    elu_param: float
    regularisation: float
    rate: Rate
    update: bool  # else gradients are computed, and no parameter moves


class Workspace(NamedTuple):
    """Intermediate results of a step."""

    items: FloatingArray  # (most items, D) rows of the step
    gradients: FloatingArray  # (most items, D) of them
    bias_gradients: FloatingArray  # (most items,)
    scores: FloatingArray  # flat (items, slots), each part by itself; also the two below
    weights: FloatingArray
    wins: FloatingArray
    sums: FloatingArray  # (parts, N_SUMS · B), of each part flat (N_SUMS, slots)
    own: FloatingArray  # (B,) of each slot's target
    query_gradients: FloatingArray  # (parts, B · D) flat
    before: FloatingArray  # flat (slots, D) layer after layer: states carried here; also the next two
    after: FloatingArray  # states after the step
    state_gradients: FloatingArray
    inputs: FloatingArray  # flat (slots, W) layer after layer; also the next one
    input_gradients: FloatingArray
    from_x: FloatingArray  # flat (slots, 3D) layer after layer; also the next four
    from_h: FloatingArray
    gates: FloatingArray
    d_x: FloatingArray
    d_h: FloatingArray
    own_inputs: FloatingArray  # (B, W) gradients of rows of a table of inputs alone
    cells: FloatingArray  # (1, …) gradient of the cells' vector
    losses: FloatingArray  # (parts,)


@compiled
def sums_of(work: Workspace, part: int, slots: int) -> FloatingArray:
    """Return the sums of a part, (N_SUMS, slots)."""
    return matrix(work.sums[part], 0, losses.N_SUMS, slots)


@compiled
def matrix(flat: FloatingArray, start: int, rows: int, columns: int) -> FloatingArray:
    """Return a part of a vector as a matrix."""
    return flat[start : start + rows * columns].reshape(rows, columns)


@compiled
def weights(cells: FloatingArray, start: int, units: int, width: int) -> tuple[FloatingArray, FloatingArray]:
    """Return weights (3D, width) and biases (3D,) of one half of a layer."""
    end = start + 3 * units * width
    return matrix(cells, start, 3 * units, width), cells[end : end + 3 * units]


@compiled
def block(flat: FloatingArray, columns: Int64Array, layer: int, batch_size: int, slots: int) -> FloatingArray:
    """Return a layer's (slots, columns) from a vector of blocks (batch_size, columns), layer after layer."""
    return matrix(flat, batch_size * columns[:layer].sum(), slots, columns[layer])
