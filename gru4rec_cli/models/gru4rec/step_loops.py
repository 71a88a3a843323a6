"""A step of learning, compiled: forward, loss, gradient and update, by one thread or two.

Two threads have a role each; a single one plays both, in the order in which they stand here. The distinct items of a
step are in two parts, one for each role to read, score and update; the recurrent layers are the first role's, what the
states bring into them the second's. Where one role needs what the other has computed they meet; who only gives
something arrives and goes on. The same sums are taken in the same order whoever plays.
"""

from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.base.team import Progress, arrive, meet
from gru4rec_cli.models.gru4rec.item_loops import (
    add_input_gradients,
    compare,
    exponentiate,
    item_gradients,
    score,
    score_gradients,
    update_inputs,
    update_items,
)
from gru4rec_cli.models.gru4rec.layer_loops import (
    backward,
    carry_states,
    forward,
    input_weight_gradients,
    read_inputs,
    state_weight_gradients,
    update_cells,
)
from gru4rec_cli.models.gru4rec.loops import read_rows
from gru4rec_cli.models.gru4rec.step_layout import Batches, Floats, Form, Network, Room, Rules


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

        if second:
            carry_states(network, form, batches, step, room)
            arrive(progress, me)
            read_rows(network.items.values, rows[middle:n_items], room.items[middle:n_items])
        if first:
            read_inputs(network, form, batches, step, room)
            meet(progress, me)  # what the states bring is known
            forward(network, form, batches, step, room)
            arrive(progress, me)
            read_rows(network.items.values, rows[:middle], room.items[:middle])
            score(network, form, batches, step, 0, middle, rules, room)
        if second:
            meet(progress, me)  # the query is known
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
            arrive(progress, me)
            item_gradients(form, lanes, 0, middle, room)
            add_input_gradients(form, batches, step, room)
            if update:
                update_items(network, rows, 0, alone, middle, rules, room)
                if not form.shared:
                    update_inputs(network, batches.input_rows[step], n_inputs, rules, room)
        if second:
            item_gradients(form, lanes, middle, n_items, room)
            if update:
                update_items(network, rows, middle, middle, n_items, rules, room)
            meet(progress, me)  # the gradients of the gates are known
            state_weight_gradients(form, lanes, room)
            if update:
                update_cells(network.cells, room.cells, rules)
        meet(progress, me)
