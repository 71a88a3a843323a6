"""The distinct items of a step, in two parts: scores, loss, gradients, and the update of the rows that were touched.

The formulas of the losses are in `loss_loops`; here are their products. L lanes, D units of the last layer.
"""

import numpy as np

from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec import loss_loops
from gru4rec_cli.models.gru4rec.loops import Rate, adagrad_rows, add_rows
from gru4rec_cli.models.gru4rec.step_layout import (
    Batches,
    Floats,
    Form,
    Int64Array,
    Network,
    Room,
    Rules,
    Table,
    block,
    matrix,
    sums_of,
)


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
