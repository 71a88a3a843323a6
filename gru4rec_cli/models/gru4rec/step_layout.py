"""What the compiled step works on, and how matrices lie in its vectors.

L lanes, D units of a layer, W the width of its input, U distinct items.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec import loss_loops
from gru4rec_cli.models.gru4rec.loops import Rate

Floats = npt.NDArray[np.floating]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


class Table(NamedTuple):
    """Parameters with what Adagrad keeps of them, (rows, columns) each."""

    values: Floats
    accumulators: Floats
    momenta: Floats  # without momentum: not looked at


class Network(NamedTuple):
    """All parameters, changed in place."""

    items: Table  # (V, D)
    bias: Table  # (V, 1)
    inputs: Table  # (V, W) of the first layer; with shared inputs `items` itself
    cells: Table  # (1, …) all weights of the layers; see `Form`


class Form(NamedTuple):
    """How the layers are made.

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
    """Loss and update."""

    cross_entropy: bool  # else BPR-max
    elu_param: float
    regularisation: float
    rate: Rate


class Batches(NamedTuple):
    """Steps to learn from, all by step; see `minibatch.MiniBatches`."""

    widths: Int64Array  # (steps,) lanes
    kept: Int64Array  # (steps, B)
    starts: BoolArray
    sizes: Int64Array  # (steps, 3): items, those that are only inputs, inputs
    rows: Int64Array  # (steps, most items)
    weights: Floats
    targets: Int64Array  # (steps, B)
    own: Floats
    inputs: Int64Array
    input_rows: Int64Array
    embed_mask: Floats  # (steps, B, W), or nothing
    hidden_masks: Floats  # (steps, B · units of all layers), of each step flat (B, D) layer after layer; or nothing


class Room(NamedTuple):
    """Where a step puts what it computes."""

    items: Floats  # (most items, D) rows of the step
    gradients: Floats  # (most items, D) of them
    bias_gradients: Floats  # (most items,)
    scores: Floats  # flat (items, lanes), each part by itself; also the two below
    weights: Floats
    wins: Floats
    sums: Floats  # (parts, N_SUMS · B), of each part flat (N_SUMS, lanes)
    own: Floats  # (B,) of each lane's target
    query_gradients: Floats  # (parts, B · D) flat
    before: Floats  # flat (lanes, D) layer after layer: states carried here; also the next two
    after: Floats  # states after the step
    state_gradients: Floats
    inputs: Floats  # flat (lanes, W) layer after layer; also the next one
    input_gradients: Floats
    from_x: Floats  # flat (lanes, 3D) layer after layer; also the next four
    from_h: Floats
    gates: Floats
    d_x: Floats
    d_h: Floats
    own_inputs: Floats  # (B, W) gradients of rows of a table of inputs alone
    cells: Floats  # (1, …) gradient of the cells' vector
    losses: Floats  # (parts,)


@compiled()
def sums_of(room: Room, part: int, lanes: int) -> Floats:
    """(N_SUMS, lanes) of a part."""
    return matrix(room.sums[part], 0, loss_loops.N_SUMS, lanes)


@compiled()
def matrix(flat: Floats, start: int, rows: int, columns: int) -> Floats:
    """Part of a vector as a matrix."""
    return flat[start : start + rows * columns].reshape(rows, columns)


@compiled()
def weights(cells: Floats, start: int, units: int, width: int) -> tuple[Floats, Floats]:
    """A half of a layer: (3D, width) and (3D,)."""
    end = start + 3 * units * width
    return matrix(cells, start, 3 * units, width), cells[end : end + 3 * units]


@compiled()
def block(flat: Floats, columns: Int64Array, layer: int, batch_size: int, lanes: int) -> Floats:
    """A layer's (lanes, columns) where blocks of (batch_size, columns) follow each other."""
    return matrix(flat, batch_size * columns[:layer].sum(), lanes, columns[layer])
