"""The recurrent layers of a step: forward to the query, and its gradient back to the inputs and weights.

The formulas of a cell are in `cell_loops`; here are its products. L lanes, D units of a layer, W the width of its
input.
"""

import numpy as np

from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec import cell_loops
from gru4rec_cli.models.gru4rec.loops import adagrad_rows
from gru4rec_cli.models.gru4rec.step_layout import (
    Batches,
    Floats,
    Form,
    Network,
    Room,
    Rules,
    Table,
    block,
    matrix,
    weights,
)


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
def update_cells(cells: Table, gradient: Floats, rules: Rules) -> None:
    """Move the weights of all layers."""
    whole = np.zeros(1, dtype=np.int64)
    adagrad_rows(cells.values, cells.accumulators, cells.momenta, whole, gradient, rules.rate)
