"""A step of learning, compiled: forward, loss, gradient and update, by one thread or two.

There are two roles, for two threads; a single thread takes both, in the order of the code. The distinct items of a step
are in two parts, one for each role to read, score and update. The recurrent layers belong to the first role, the
products of their states to the second. A role that needs what the other computes waits for it; a role that only gives
something signals and goes on. The same sums are taken in the same order for one thread and for two.
"""

from gru4rec_cli.base.arrays import FloatingArray
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.compiled.batches import Batches
from gru4rec_cli.models.gru4rec.compiled.items import (
    add_input_gradients,
    compare,
    exponentiate,
    item_gradients,
    score,
    score_gradients,
    update_inputs,
    update_items,
)
from gru4rec_cli.models.gru4rec.compiled.layers import (
    backward,
    carry_states,
    forward,
    input_weight_gradients,
    read_inputs,
    state_weight_gradients,
    update_cells,
)
from gru4rec_cli.models.gru4rec.compiled.layout import LayerShapes, Network, Rules, Workspace
from gru4rec_cli.models.gru4rec.compiled.rows import read_rows
from gru4rec_cli.models.gru4rec.compiled.threads import Counters, signal, wait


@compiled
def learn(
    counters: Counters,
    me: int,
    network: Network,
    shapes: LayerShapes,
    rules: Rules,
    batches: Batches,
    work: Workspace,
    losses: FloatingArray,
) -> None:
    """Learn from steps one after the other, and write their `losses` (steps,)."""
    first, second = me == 0, me == len(counters) - 1
    for step in range(len(batches.widths)):
        slots = batches.widths[step]
        n_items, alone, n_inputs = batches.sizes[step, 0], batches.sizes[step, 1], batches.sizes[step, 2]
        middle = (n_items + 1) // 2
        if shapes.shared:
            middle = max(n_inputs, middle)  # the first part holds all inputs
        rows = batches.rows[step]

        if second:
            carry_states(network, shapes, batches, step, work)
            signal(counters, me)
            read_rows(network.items.values, rows[middle:n_items], work.items[middle:n_items])
        if first:
            read_inputs(network, shapes, batches, step, work)
            wait(counters, me)  # what the states bring is known
            forward(network, shapes, batches, step, work)
            signal(counters, me)
            read_rows(network.items.values, rows[:middle], work.items[:middle])
            score(network, shapes, batches, step, 0, middle, rules, work)
        if second:
            wait(counters, me)  # the query is known
            score(network, shapes, batches, step, middle, n_items, rules, work)
        if not rules.cross_entropy:
            wait(counters, me)  # the scores of the targets are known
            if first:
                compare(batches, step, 0, middle, work)
            if second:
                compare(batches, step, middle, n_items, work)
        else:
            if first:
                exponentiate(batches, step, 0, middle, work)
            if second:
                exponentiate(batches, step, middle, n_items, work)
        wait(counters, me)

        if first:
            score_gradients(shapes, batches, step, 0, middle, rules, work)
        if second:
            score_gradients(shapes, batches, step, middle, n_items, rules, work)
        wait(counters, me)

        if first:
            losses[step] = work.losses[0] + work.losses[1]
            backward(network, shapes, batches, step, work)
            input_weight_gradients(shapes, slots, work)
            signal(counters, me)
            item_gradients(shapes, slots, 0, middle, work)
            add_input_gradients(shapes, batches, step, work)
            if rules.update:
                update_items(network, rows, 0, alone, middle, rules, work)
                if not shapes.shared:
                    update_inputs(network, batches.input_rows[step], n_inputs, rules, work)
        if second:
            item_gradients(shapes, slots, middle, n_items, work)
            if rules.update:
                update_items(network, rows, middle, middle, n_items, rules, work)
            wait(counters, me)  # the gradients of the gates are known
            state_weight_gradients(shapes, slots, work)
            if rules.update:
                update_cells(network.cells, work.cells, rules)
        wait(counters, me)
