"""The distinct items of a step, in two parts: scores, loss, gradients, and the update of the rows that were touched.

The formulas of the losses are in `losses`; here are their products. L slots, D units of the last layer.
"""

import numpy as np

from gru4rec_cli.base.arrays import FloatingArray, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.compiled import losses
from gru4rec_cli.models.gru4rec.compiled.batches import Batches
from gru4rec_cli.models.gru4rec.compiled.layout import (
    LayerShapes,
    Network,
    Rules,
    Table,
    Workspace,
    block,
    matrix,
    sums_of,
)
from gru4rec_cli.models.gru4rec.compiled.rows import Rate, adagrad_rows, add_rows


@compiled
def score(
    network: Network,
    shapes: LayerShapes,
    batches: Batches,
    step: int,
    start: int,
    stop: int,
    rules: Rules,
    work: Workspace,
) -> None:
    """Compute the scores (items, slots) of a part, through an ELU if there is one, and the highest of every slot."""
    slots, size = batches.widths[step], stop - start
    targets, item_weights = targets_of(batches, step, start, work), batches.weights[step, start:stop]
    scores = matrix(work.scores, start * slots, size, slots)
    query = block(work.after, shapes.units, len(shapes.units) - 1, shapes.batch_size, slots)
    if size > 0:
        np.dot(work.items[start:stop], query.T, scores)
    losses.add_biases(scores, network.bias.values, batches.rows[step, start:stop])
    top = sums_of(work, int(start > 0), slots)[losses.TOP]
    if rules.cross_entropy:
        losses.highest(scores, item_weights, top)
    else:
        if rules.elu_param > 0.0:
            losses.elu(scores, rules.elu_param)
        losses.highest_other(scores, item_weights, targets, top)
        losses.own_scores(scores, targets)


@compiled
def exponentiate(batches: Batches, step: int, start: int, stop: int, work: Workspace) -> None:
    """Take the first pass of cross-entropy over a part."""
    slots = batches.widths[step]
    losses.add_exponentials(
        matrix(work.scores, start * slots, stop - start, slots),
        batches.weights[step, start:stop],
        sums_of(work, int(start > 0), slots),
        targets_of(batches, step, start, work),
    )


@compiled
def compare(batches: Batches, step: int, start: int, stop: int, work: Workspace) -> None:
    """Take the first pass of BPR-max over a part."""
    slots, size = batches.widths[step], stop - start
    losses.add_comparisons(
        matrix(work.scores, start * slots, size, slots),
        batches.weights[step, start:stop],
        sums_of(work, int(start > 0), slots),
        targets_of(batches, step, start, work),
        comparisons_of(work, start, size, slots),
    )


@compiled
def targets_of(batches: Batches, step: int, start: int, work: Workspace) -> losses.Targets:
    """Return the targets of a step as the part whose first item is `start` needs them."""
    slots = batches.widths[step]
    return losses.Targets(batches.targets[step, :slots], work.own[:slots], start)


@compiled
def comparisons_of(work: Workspace, start: int, size: int, slots: int) -> losses.Comparisons:
    """Return the comparisons of a part, (size, slots) each."""
    return losses.Comparisons(
        matrix(work.weights, start * slots, size, slots), matrix(work.wins, start * slots, size, slots)
    )


@compiled
def score_gradients(
    shapes: LayerShapes, batches: Batches, step: int, start: int, stop: int, rules: Rules, work: Workspace
) -> None:
    """Take the second pass: gradients of scores and biases, and the part's share of the query's gradient (L, D)."""
    slots, size, part = batches.widths[step], stop - start, int(start > 0)
    scores, targets = matrix(work.scores, start * slots, size, slots), targets_of(batches, step, start, work)
    sums = losses.Sums(sums_of(work, part, slots), sums_of(work, 1 - part, slots))
    biases = work.bias_gradients[start:stop]
    if rules.cross_entropy:
        shares = batches.own[step, :slots]
        work.losses[part] = losses.cross_entropy_gradient(scores, sums, targets, shares, shapes.batch_size, biases)
    else:
        compared = comparisons_of(work, start, size, slots)
        settings = losses.BprMax(rules.elu_param, rules.regularisation, shapes.batch_size)
        work.losses[part] = losses.bpr_max_gradient(scores, sums, targets, compared, settings, biases)
    gradient = matrix(work.query_gradients[part], 0, slots, shapes.units[-1])
    if size > 0:
        np.dot(scores.T, work.items[start:stop], gradient)
    else:
        gradient[:] = 0.0


@compiled
def item_gradients(shapes: LayerShapes, slots: int, start: int, stop: int, work: Workspace) -> None:
    """Compute the gradients (items, D) of a part's rows: those of the scores times the query."""
    if stop > start:
        scores = matrix(work.scores, start * slots, stop - start, slots)
        query = block(work.after, shapes.units, len(shapes.units) - 1, shapes.batch_size, slots)
        np.dot(scores, query, work.gradients[start:stop])


@compiled
def add_input_gradients(shapes: LayerShapes, batches: Batches, step: int, work: Workspace) -> None:
    """Add the gradients of the inputs to those of their rows."""
    slots = batches.widths[step]
    found = block(work.input_gradients, shapes.widths, 0, shapes.batch_size, slots)
    if shapes.shared:
        add_rows(work.gradients, batches.inputs[step, :slots], found)
    else:
        work.own_inputs[: batches.sizes[step, 2]] = 0.0
        add_rows(work.own_inputs, batches.inputs[step, :slots], found)


@compiled
def update_items(
    network: Network, rows: Int64Array, start: int, first_column: int, stop: int, rules: Rules, work: Workspace
) -> None:
    """Update a part's rows of the item matrix, and the biases of those that are columns."""
    move_rows(network.items, rows[start:stop], work.gradients[start:stop], rules.rate)
    biases = work.bias_gradients[first_column:stop].reshape(stop - first_column, 1)
    move_rows(network.bias, rows[first_column:stop], biases, rules.rate)


@compiled
def update_inputs(network: Network, input_rows: Int64Array, n_inputs: int, rules: Rules, work: Workspace) -> None:
    """Update the rows of a table of inputs alone."""
    move_rows(network.inputs, input_rows[:n_inputs], work.own_inputs[:n_inputs], rules.rate)


@compiled
def move_rows(table: Table, rows: Int64Array, gradients: FloatingArray, rate: Rate) -> None:
    """Update rows of a table by Adagrad."""
    adagrad_rows(table.values, table.accumulators, table.momenta, rows, gradients, rate)
