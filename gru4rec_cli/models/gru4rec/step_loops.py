"""A step of learning, compiled: forward, loss, gradient and update, by one thread or two.

Between two meetings each of two threads has a role of its own; a single thread plays both, one after the other. The
distinct items of a step are in two parts, so that each role has one to score and to update; the recurrent layers are
the first role's, what the states bring into them the second's. The same sums are taken in the same order whoever plays.

L lanes, D units of a layer, W the width of its input, U distinct items.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gru4rec_cli.compiling import compiled
from gru4rec_cli.models.gru4rec import cell_loops, loss_loops
from gru4rec_cli.models.gru4rec.loops import Rate, adagrad_rows, add_rows, read_rows
from gru4rec_cli.team import Progress, meet

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
def learn(
    progress: Progress,
    me: int,
    network: Network,
    form: Form,
    rules: Rules,
    batches: Batches,
    room: Room,
    losses: Floats,
    update: bool,
) -> None:
    """Learn from steps one after the other; their `losses` (steps,). Without `update` only gradients are computed."""
    first, second = me == 0, me == len(progress) - 1
    for step in range(len(batches.widths)):
        lanes = batches.widths[step]
        n_items, alone, n_inputs = batches.sizes[step, 0], batches.sizes[step, 1], batches.sizes[step, 2]
        middle = (n_items + 1) // 2
        if form.shared:
            middle = max(n_inputs, middle)  # the first part holds all inputs
        rows = batches.rows[step]

        if first:
            read_inputs(network, form, batches, step, room)
        if second:
            carry_states(network, form, batches, step, room)
            read_rows(network.items.values, rows[middle:n_items], room.items[middle:n_items])
        meet(progress, me)

        if first:
            forward(network, form, batches, step, room)
        if second:
            read_rows(network.items.values, rows[:middle], room.items[:middle])
        meet(progress, me)

        if first:
            score(network, form, batches, step, 0, middle, rules, room)
        if second:
            score(network, form, batches, step, middle, n_items, rules, room)
        if not rules.cross_entropy:
            meet(progress, me)  # the scores of the targets are known
            if first:
                compare(batches, step, 0, middle, room)
            if second:
                compare(batches, step, middle, n_items, room)
        else:
            if first:
                exponentiate(batches, step, 0, middle, room)
            if second:
                exponentiate(batches, step, middle, n_items, room)
        meet(progress, me)

        if first:
            score_gradients(form, batches, step, 0, middle, rules, room)
        if second:
            score_gradients(form, batches, step, middle, n_items, rules, room)
        meet(progress, me)

        if first:
            losses[step] = room.losses[0] + room.losses[1]
            backward(network, form, batches, step, room)
            input_weight_gradients(form, lanes, room)
            item_gradients(form, lanes, 0, middle, room)
        if second:
            item_gradients(form, lanes, middle, n_items, room)
            if update:
                update_items(network, rows, middle, middle, n_items, rules, room)
        meet(progress, me)

        if first:
            add_input_gradients(form, batches, step, room)
            if update:
                update_items(network, rows, 0, alone, middle, rules, room)
                if not form.shared:
                    update_inputs(network, batches.input_rows[step], n_inputs, rules, room)
        if second:
            state_weight_gradients(form, lanes, room)
            if update:
                update_cells(network.cells, room.cells, rules)
        meet(progress, me)


@compiled()
def read_inputs(network: Network, form: Form, batches: Batches, step: int, room: Room) -> None:
    """The input row of every lane (L, W), through dropout, and what it brings into the first layer's gates: W x + b,
    one-hot x + b."""
    lanes = batches.widths[step]
    x = block(room.inputs, form.widths, 0, form.batch_size, lanes)
    rows = batches.rows[step] if form.shared else batches.input_rows[step]
    for lane in range(lanes):
        x[lane, :] = network.inputs.values[rows[batches.inputs[step, lane]], :]
    if batches.embed_mask.size > 0 and not form.one_hot:
        cell_loops.multiply(x, batches.embed_mask[step, :lanes])
    from_x = block(room.from_x, 3 * form.units, 0, form.batch_size, lanes)
    if form.one_hot:
        units = form.units[0]
        b = network.cells.values[0, form.starts[0, 1] + 3 * units * units :][: 3 * units]
        from_x[:] = x
        cell_loops.add_bias(from_x, b)
    else:
        input_products(network, form, 0, x, from_x)


@compiled()
def input_products(network: Network, form: Form, layer: int, x: Floats, from_x: Floats) -> None:
    """W x + b of a layer, (L, 3D)."""
    w, b = weights(network.cells.values[0], form.starts[layer, 0], form.units[layer], form.widths[layer])
    np.dot(x, w.T, from_x)
    cell_loops.add_bias(from_x, b)


@compiled()
def carry_states(network: Network, form: Form, batches: Batches, step: int, room: Room) -> None:
    """States for the lanes of the step, and what they bring into the gates: U h + c, one-hot h U_rz."""
    lanes = batches.widths[step]
    for layer in range(len(form.units)):
        h = block(room.before, form.units, layer, form.batch_size, lanes)
        after = block(room.after, form.units, layer, form.batch_size, form.batch_size)
        cell_loops.carry(after, batches.kept[step, :lanes], batches.starts[step, :lanes], h)
        if form.one_hot and layer == 0:
            units = form.units[0]
            u_rz = matrix(network.cells.values[0], form.starts[0, 1], units, 2 * units)
            np.dot(h, u_rz, matrix(room.from_h, 0, lanes, 2 * units))
        else:
            u, c = weights(network.cells.values[0], form.starts[layer, 1], form.units[layer], form.units[layer])
            from_h = block(room.from_h, 3 * form.units, layer, form.batch_size, lanes)
            np.dot(h, u.T, from_h)
            cell_loops.add_bias(from_h, c)


@compiled()
def forward(network: Network, form: Form, batches: Batches, step: int, room: Room) -> None:
    """The new state of every layer, through dropout; the last one is the query."""
    lanes, batch_size = batches.widths[step], form.batch_size
    for layer in range(len(form.units)):
        units = form.units[layer]
        h = block(room.before, form.units, layer, batch_size, lanes)
        new = block(room.after, form.units, layer, batch_size, lanes)
        gates = block(room.gates, 3 * form.units, layer, batch_size, lanes)
        from_x = block(room.from_x, 3 * form.units, layer, batch_size, lanes)
        if form.one_hot and layer == 0:
            u_n = matrix(network.cells.values[0], form.starts[0, 1] + 2 * units * units, units, units)
            reset, from_reset = matrix(room.d_h, 0, lanes, units), matrix(room.d_h, lanes * units, lanes, units)
            cell_loops.one_hot_gates(from_x, matrix(room.from_h, 0, lanes, 2 * units), h, gates, reset)
            np.dot(reset, u_n, from_reset)
            cell_loops.one_hot_forward(from_x, from_reset, h, gates, new)
            if batches.embed_mask.size > 0:
                cell_loops.multiply(new, batches.embed_mask[step, :lanes])
        else:
            if layer > 0:
                x = block(room.inputs, form.widths, layer, batch_size, lanes)
                x[:] = block(room.after, form.units, layer - 1, batch_size, lanes)
                input_products(network, form, layer, x, from_x)
            from_h = block(room.from_h, 3 * form.units, layer, batch_size, lanes)
            cell_loops.gru_forward(from_x, from_h, h, gates, new)
        if batches.hidden_masks.size > 0:
            cell_loops.multiply(new, block(batches.hidden_masks[step], form.units, layer, batch_size, lanes))


@compiled()
def score(
    network: Network, form: Form, batches: Batches, step: int, start: int, stop: int, rules: Rules, room: Room
) -> None:
    """Scores (items, lanes) of a part, through the ELU where there is one; the highest; the targets' own."""
    lanes, size = batches.widths[step], stop - start
    targets, item_weights = batches.targets[step, :lanes], batches.weights[step, start:stop]
    scores = matrix(room.scores, start * lanes, size, lanes)
    query = block(room.after, form.units, len(form.units) - 1, form.batch_size, lanes)
    if size > 0:
        np.dot(room.items[start:stop], query.T, scores)
    loss_loops.add_biases(scores, network.bias.values, batches.rows[step, start:stop])
    top = sums_of(room, int(start > 0), lanes)[loss_loops.TOP]
    if rules.cross_entropy:
        loss_loops.highest(scores, item_weights, top)
    else:
        if rules.elu_param > 0.0:
            loss_loops.bend(scores, rules.elu_param)
        loss_loops.highest_other(scores, item_weights, start, targets, top)
        loss_loops.own_scores(scores, start, targets, room.own[:lanes])


@compiled()
def exponentiate(batches: Batches, step: int, start: int, stop: int, room: Room) -> None:
    """Cross-entropy's first look at a part."""
    lanes = batches.widths[step]
    loss_loops.add_exponentials(
        matrix(room.scores, start * lanes, stop - start, lanes),
        batches.weights[step, start:stop],
        sums_of(room, int(start > 0), lanes),
        start,
        batches.targets[step, :lanes],
        room.own[:lanes],
    )


@compiled()
def compare(batches: Batches, step: int, start: int, stop: int, room: Room) -> None:
    """BPR-max's first look at a part."""
    lanes, size = batches.widths[step], stop - start
    loss_loops.add_comparisons(
        matrix(room.scores, start * lanes, size, lanes),
        batches.weights[step, start:stop],
        sums_of(room, int(start > 0), lanes),
        start,
        batches.targets[step, :lanes],
        room.own[:lanes],
        matrix(room.weights, start * lanes, size, lanes),
        matrix(room.wins, start * lanes, size, lanes),
    )


@compiled()
def score_gradients(form: Form, batches: Batches, step: int, start: int, stop: int, rules: Rules, room: Room) -> None:
    """The second look at a part: gradients of scores and biases; the part's share of the query's gradient (L, D)."""
    lanes, size, part = batches.widths[step], stop - start, int(start > 0)
    scores, targets = matrix(room.scores, start * lanes, size, lanes), batches.targets[step, :lanes]
    here, there = sums_of(room, part, lanes), sums_of(room, 1 - part, lanes)
    own, biases = room.own[:lanes], room.bias_gradients[start:stop]
    if rules.cross_entropy:
        shares = batches.own[step, :lanes]
        room.losses[part] = loss_loops.cross_entropy_gradient(
            scores, here, there, start, targets, own, shares, form.batch_size, biases
        )
    else:
        room.losses[part] = loss_loops.bpr_max_gradient(
            scores, here, there, start, targets, own, matrix(room.weights, start * lanes, size, lanes),
            matrix(room.wins, start * lanes, size, lanes), rules.elu_param, rules.regularisation, form.batch_size,
            biases,
        )  # fmt: skip
    gradient = matrix(room.query_gradients[part], 0, lanes, form.units[-1])
    if size > 0:
        np.dot(scores.T, room.items[start:stop], gradient)
    else:
        gradient[:] = 0.0


@compiled()
def item_gradients(form: Form, lanes: int, start: int, stop: int, room: Room) -> None:
    """Gradients (items, D) of a part's rows: those of the scores times the query."""
    if stop > start:
        scores = matrix(room.scores, start * lanes, stop - start, lanes)
        query = block(room.after, form.units, len(form.units) - 1, form.batch_size, lanes)
        np.dot(scores, query, room.gradients[start:stop])


@compiled()
def backward(network: Network, form: Form, batches: Batches, step: int, room: Room) -> None:
    """Through the layers, from the query's gradient to that of the inputs (L, W)."""
    lanes, batch_size, last = batches.widths[step], form.batch_size, len(form.units) - 1
    gradient = block(room.state_gradients, form.units, last, batch_size, lanes)
    size = lanes * form.units[last]
    gradient[:] = (room.query_gradients[0, :size] + room.query_gradients[1, :size]).reshape(lanes, form.units[last])
    for layer in range(last, -1, -1):
        units = form.units[layer]
        gradient = block(room.state_gradients, form.units, layer, batch_size, lanes)
        if batches.hidden_masks.size > 0:
            cell_loops.multiply(gradient, block(batches.hidden_masks[step], form.units, layer, batch_size, lanes))
        h = block(room.before, form.units, layer, batch_size, lanes)
        gates = block(room.gates, 3 * form.units, layer, batch_size, lanes)
        d_x = block(room.d_x, 3 * form.units, layer, batch_size, lanes)
        below = block(room.input_gradients, form.widths, layer, batch_size, lanes)
        if form.one_hot and layer == 0:
            if batches.embed_mask.size > 0:
                cell_loops.multiply(gradient, batches.embed_mask[step, :lanes])
            u_n = matrix(network.cells.values[0], form.starts[0, 1] + 2 * units * units, units, units)
            cell_loops.one_hot_backward(gradient, h, gates, d_x)
            d_reset = matrix(room.d_h, lanes * units, lanes, units)
            np.dot(np.ascontiguousarray(d_x[:, :units]), u_n.T, d_reset)
            cell_loops.one_hot_reset_backward(d_reset, h, gates, d_x)
            below[:] = d_x
        else:
            w, _ = weights(network.cells.values[0], form.starts[layer, 0], units, form.widths[layer])
            from_h, d_h = (
                block(room.from_h, 3 * form.units, layer, batch_size, lanes),
                block(room.d_h, 3 * form.units, layer, batch_size, lanes),
            )
            cell_loops.gru_backward(gradient, from_h, h, gates, d_x, d_h)
            np.dot(d_x, w, below)
        if layer > 0:
            block(room.state_gradients, form.units, layer - 1, batch_size, lanes)[:] = below
        elif batches.embed_mask.size > 0 and not form.one_hot:
            cell_loops.multiply(below, batches.embed_mask[step, :lanes])


@compiled()
def input_weight_gradients(form: Form, lanes: int, room: Room) -> None:
    """Of W and b of every layer: d_xᵀ x and the sum of d_x."""
    for layer in range(len(form.units)):
        if form.one_hot and layer == 0:
            continue
        w, b = weights(room.cells[0], form.starts[layer, 0], form.units[layer], form.widths[layer])
        d_x = block(room.d_x, 3 * form.units, layer, form.batch_size, lanes)
        np.dot(d_x.T, block(room.inputs, form.widths, layer, form.batch_size, lanes), w)
        cell_loops.sum_rows(d_x, b)


@compiled()
def state_weight_gradients(form: Form, lanes: int, room: Room) -> None:
    """Of U and c of every layer: d_hᵀ h and the sum of d_h; one-hot hᵀ [d_r, d_z], (r ∘ h)ᵀ d_n and the sum of d_x."""
    for layer in range(len(form.units)):
        units, start = form.units[layer], form.starts[layer, 1]
        h = block(room.before, form.units, layer, form.batch_size, lanes)
        if form.one_hot and layer == 0:
            d_x, reset = matrix(room.d_x, 0, lanes, 3 * units), matrix(room.d_h, 0, lanes, units)
            np.dot(h.T, np.ascontiguousarray(d_x[:, units:]), matrix(room.cells[0], start, units, 2 * units))
            start += 2 * units * units
            np.dot(reset.T, np.ascontiguousarray(d_x[:, :units]), matrix(room.cells[0], start, units, units))
            start += units * units
            cell_loops.sum_rows(d_x, room.cells[0, start : start + 3 * units])
        else:
            u, c = weights(room.cells[0], start, units, units)
            d_h = block(room.d_h, 3 * form.units, layer, form.batch_size, lanes)
            np.dot(d_h.T, h, u)
            cell_loops.sum_rows(d_h, c)


@compiled()
def add_input_gradients(form: Form, batches: Batches, step: int, room: Room) -> None:
    """The inputs' gradients to those of their rows."""
    lanes = batches.widths[step]
    found = block(room.input_gradients, form.widths, 0, form.batch_size, lanes)
    if form.shared:
        add_rows(room.gradients, batches.inputs[step, :lanes], found)
    else:
        room.own_inputs[: batches.sizes[step, 2]] = 0.0
        add_rows(room.own_inputs, batches.inputs[step, :lanes], found)


@compiled()
def update_items(
    network: Network, rows: Int64Array, start: int, first_column: int, stop: int, rules: Rules, room: Room
) -> None:
    """Move a part's rows of the item matrix, and the biases of those that are columns."""
    move_rows(network.items, rows[start:stop], room.gradients[start:stop], rules.rate)
    biases = room.bias_gradients[first_column:stop].reshape(stop - first_column, 1)
    move_rows(network.bias, rows[first_column:stop], biases, rules.rate)


@compiled()
def update_inputs(network: Network, input_rows: Int64Array, n_inputs: int, rules: Rules, room: Room) -> None:
    """Move the rows of a table of inputs alone."""
    move_rows(network.inputs, input_rows[:n_inputs], room.own_inputs[:n_inputs], rules.rate)


@compiled()
def move_rows(table: Table, rows: Int64Array, gradients: Floats, rate: Rate) -> None:
    """Adagrad's step of a table's rows."""
    adagrad_rows(table.values, table.accumulators, table.momenta, rows, gradients, rate)


@compiled()
def update_cells(cells: Table, gradient: Floats, rules: Rules) -> None:
    """Move the weights of all layers."""
    move_rows(cells, np.zeros(1, dtype=np.int64), gradient, rules.rate)


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
