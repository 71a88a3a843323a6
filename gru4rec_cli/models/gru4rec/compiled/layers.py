"""The recurrent layers of a step: forward to the query, and its gradient back to the inputs and weights.

The formulas of a cell are in `cells`; here are its products. L slots, D units of a layer, W the width of its
input.
"""

import numpy as np

from gru4rec_cli.base.arrays import FloatingArray
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.compiled import cells
from gru4rec_cli.models.gru4rec.compiled.batches import Batches
from gru4rec_cli.models.gru4rec.compiled.layout import (
    LayerShapes,
    Network,
    Rules,
    Table,
    Workspace,
    block,
    matrix,
    weights,
)
from gru4rec_cli.models.gru4rec.compiled.rows import adagrad_rows


@compiled
def read_inputs(network: Network, shapes: LayerShapes, batches: Batches, step: int, work: Workspace) -> None:
    """Read the input row of every slot (L, W), through dropout, and compute its part of the first layer's gates.

    That is W x + b, one-hot x + b.
    """
    slots = batches.widths[step]
    x = block(work.inputs, shapes.widths, 0, shapes.batch_size, slots)
    rows = batches.rows[step] if shapes.shared else batches.input_rows[step]
    for slot in range(slots):
        x[slot, :] = network.inputs.values[rows[batches.inputs[step, slot]], :]
    if batches.embed_mask.size > 0 and not shapes.one_hot:
        cells.multiply(x, batches.embed_mask[step, :slots])
    from_x = block(work.from_x, 3 * shapes.units, 0, shapes.batch_size, slots)
    if shapes.one_hot:
        units = shapes.units[0]
        b = network.cells.values[0, shapes.starts[0, 1] + 3 * units * units :][: 3 * units]
        from_x[:] = x
        cells.add_bias(from_x, b)
    else:
        input_products(network, shapes, 0, x, from_x)


@compiled
def input_products(network: Network, shapes: LayerShapes, layer: int, x: FloatingArray, from_x: FloatingArray) -> None:
    """Compute W x + b of a layer, (L, 3D)."""
    w, b = weights(network.cells.values[0], shapes.starts[layer, 0], shapes.units[layer], shapes.widths[layer])
    np.dot(x, w.T, from_x)
    cells.add_bias(from_x, b)


@compiled
def carry_states(network: Network, shapes: LayerShapes, batches: Batches, step: int, work: Workspace) -> None:
    """Carry the states to the slots of the step, and compute their part of the gates: U h + c, one-hot h U_rz."""
    slots = batches.widths[step]
    for layer in range(len(shapes.units)):
        h = block(work.before, shapes.units, layer, shapes.batch_size, slots)
        after = block(work.after, shapes.units, layer, shapes.batch_size, shapes.batch_size)
        cells.carry(after, batches.previous[step, :slots], batches.starts[step, :slots], h)
        if shapes.one_hot and layer == 0:
            units = shapes.units[0]
            u_rz = matrix(network.cells.values[0], shapes.starts[0, 1], units, 2 * units)
            np.dot(h, u_rz, matrix(work.from_h, 0, slots, 2 * units))
        else:
            u, c = weights(network.cells.values[0], shapes.starts[layer, 1], shapes.units[layer], shapes.units[layer])
            from_h = block(work.from_h, 3 * shapes.units, layer, shapes.batch_size, slots)
            np.dot(h, u.T, from_h)
            cells.add_bias(from_h, c)


@compiled
def forward(network: Network, shapes: LayerShapes, batches: Batches, step: int, work: Workspace) -> None:
    """Compute the new state of every layer, through dropout; the last one is the query."""
    slots, batch_size = batches.widths[step], shapes.batch_size
    for layer in range(len(shapes.units)):
        units = shapes.units[layer]
        h = block(work.before, shapes.units, layer, batch_size, slots)
        new = block(work.after, shapes.units, layer, batch_size, slots)
        gates = block(work.gates, 3 * shapes.units, layer, batch_size, slots)
        from_x = block(work.from_x, 3 * shapes.units, layer, batch_size, slots)
        if shapes.one_hot and layer == 0:
            u_n = matrix(network.cells.values[0], shapes.starts[0, 1] + 2 * units * units, units, units)
            reset, from_reset = matrix(work.d_h, 0, slots, units), matrix(work.d_h, slots * units, slots, units)
            cells.one_hot_gates(from_x, matrix(work.from_h, 0, slots, 2 * units), h, gates, reset)
            np.dot(reset, u_n, from_reset)
            cells.one_hot_forward(from_x, from_reset, h, gates, new)
            if batches.embed_mask.size > 0:
                cells.multiply(new, batches.embed_mask[step, :slots])
        else:
            if layer > 0:
                x = block(work.inputs, shapes.widths, layer, batch_size, slots)
                x[:] = block(work.after, shapes.units, layer - 1, batch_size, slots)
                input_products(network, shapes, layer, x, from_x)
            from_h = block(work.from_h, 3 * shapes.units, layer, batch_size, slots)
            cells.gru_forward(from_x, from_h, h, gates, new)
        if batches.hidden_masks.size > 0:
            cells.multiply(new, block(batches.hidden_masks[step], shapes.units, layer, batch_size, slots))


@compiled
def backward(network: Network, shapes: LayerShapes, batches: Batches, step: int, work: Workspace) -> None:
    """Go back through the layers, from the query's gradient to that of the inputs (L, W)."""
    slots, batch_size, last = batches.widths[step], shapes.batch_size, len(shapes.units) - 1
    gradient = block(work.state_gradients, shapes.units, last, batch_size, slots)
    size = slots * shapes.units[last]
    gradient[:] = (work.query_gradients[0, :size] + work.query_gradients[1, :size]).reshape(slots, shapes.units[last])
    for layer in range(last, -1, -1):
        units = shapes.units[layer]
        gradient = block(work.state_gradients, shapes.units, layer, batch_size, slots)
        if batches.hidden_masks.size > 0:
            cells.multiply(gradient, block(batches.hidden_masks[step], shapes.units, layer, batch_size, slots))
        h = block(work.before, shapes.units, layer, batch_size, slots)
        gates = block(work.gates, 3 * shapes.units, layer, batch_size, slots)
        d_x = block(work.d_x, 3 * shapes.units, layer, batch_size, slots)
        below = block(work.input_gradients, shapes.widths, layer, batch_size, slots)
        if shapes.one_hot and layer == 0:
            if batches.embed_mask.size > 0:
                cells.multiply(gradient, batches.embed_mask[step, :slots])
            u_n = matrix(network.cells.values[0], shapes.starts[0, 1] + 2 * units * units, units, units)
            cells.one_hot_backward(gradient, h, gates, d_x)
            d_reset = matrix(work.d_h, slots * units, slots, units)
            np.dot(np.ascontiguousarray(d_x[:, :units]), u_n.T, d_reset)
            cells.one_hot_reset_backward(d_reset, h, gates, d_x)
            below[:] = d_x
        else:
            w, _ = weights(network.cells.values[0], shapes.starts[layer, 0], units, shapes.widths[layer])
            from_h, d_h = (
                block(work.from_h, 3 * shapes.units, layer, batch_size, slots),
                block(work.d_h, 3 * shapes.units, layer, batch_size, slots),
            )
            cells.gru_backward(gradient, from_h, h, gates, d_x, d_h)
            np.dot(d_x, w, below)
        if layer > 0:
            block(work.state_gradients, shapes.units, layer - 1, batch_size, slots)[:] = below
        elif batches.embed_mask.size > 0 and not shapes.one_hot:
            cells.multiply(below, batches.embed_mask[step, :slots])


@compiled
def input_weight_gradients(shapes: LayerShapes, slots: int, work: Workspace) -> None:
    """Compute the gradients of W and b of every layer: d_xᵀ x and the sum of d_x."""
    for layer in range(len(shapes.units)):
        if shapes.one_hot and layer == 0:
            continue
        w, b = weights(work.cells[0], shapes.starts[layer, 0], shapes.units[layer], shapes.widths[layer])
        d_x = block(work.d_x, 3 * shapes.units, layer, shapes.batch_size, slots)
        np.dot(d_x.T, block(work.inputs, shapes.widths, layer, shapes.batch_size, slots), w)
        cells.sum_rows(d_x, b)


@compiled
def state_weight_gradients(shapes: LayerShapes, slots: int, work: Workspace) -> None:
    """Compute the gradients of U and c of every layer: d_hᵀ h and the sum of d_h.

    One-hot: hᵀ [d_r, d_z], (r ∘ h)ᵀ d_n and the sum of d_x.
    """
    for layer in range(len(shapes.units)):
        units, start = shapes.units[layer], shapes.starts[layer, 1]
        h = block(work.before, shapes.units, layer, shapes.batch_size, slots)
        if shapes.one_hot and layer == 0:
            d_x, reset = matrix(work.d_x, 0, slots, 3 * units), matrix(work.d_h, 0, slots, units)
            np.dot(h.T, np.ascontiguousarray(d_x[:, units:]), matrix(work.cells[0], start, units, 2 * units))
            start += 2 * units * units
            np.dot(reset.T, np.ascontiguousarray(d_x[:, :units]), matrix(work.cells[0], start, units, units))
            start += units * units
            cells.sum_rows(d_x, work.cells[0, start : start + 3 * units])
        else:
            u, c = weights(work.cells[0], start, units, units)
            d_h = block(work.d_h, 3 * shapes.units, layer, shapes.batch_size, slots)
            np.dot(d_h.T, h, u)
            cells.sum_rows(d_h, c)


@compiled
def update_cells(cells: Table, gradient: FloatingArray, rules: Rules) -> None:
    """Update the weights of all layers."""
    whole = np.zeros(1, dtype=np.int64)
    adagrad_rows(cells.values, cells.accumulators, cells.momenta, whole, gradient, rules.rate)
