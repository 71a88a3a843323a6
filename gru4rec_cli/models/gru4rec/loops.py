"""The loops of training; compiled by numba at first use and kept on disk, without the interpreter's lock."""

import numpy as np
import numpy.typing as npt

from gru4rec_cli.compiling import compiled

Floats = npt.NDArray[np.floating]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_TINY = 1e-24  # inside the logarithms, as in the author's implementation

_compiled = compiled()
# Sums may be taken in another order than written, so that they are vectorised; NaN and infinity stay what they are.
_vectorised = compiled(fastmath={"reassoc", "contract", "arcp", "nsz"})


@_compiled
def walk_lanes(
    offsets: Int64Array,
    rows: Int64Array,
    last: Int64Array,
    starts: BoolArray,
    kept: Int64Array,
    place: Int64Array,
    min_lanes: int,
    all_rows: Int64Array,
    all_starts: BoolArray,
    all_kept: Int64Array,
    widths: Int64Array,
) -> int:
    """Write the next mini-batches into `all_rows`, `all_starts`, `all_kept` (steps, lanes) and `widths`; how many.

    `rows`, `last`, `starts` and `kept` (lanes,) are the lanes as they stand, `place` the next session and the width.
    """
    n_sessions = len(offsets) - 1
    for step in range(len(widths)):
        width = place[1]
        if width == 0 or width < min_lanes:
            return step
        all_rows[step, :width] = rows[:width]
        all_starts[step, :width] = starts[:width]
        all_kept[step, :width] = kept[:width]
        widths[step] = width
        going_on = 0
        for lane in range(width):
            row, end, begins = rows[lane] + 1, last[lane], False
            if row == end:
                if place[0] == n_sessions:
                    continue  # the lane is removed
                row, end, begins = offsets[place[0]], offsets[place[0] + 1] - 1, True
                place[0] += 1
            rows[going_on], last[going_on], starts[going_on], kept[going_on] = row, end, begins, lane
            going_on += 1
        place[1] = going_on
    return len(widths)


@_compiled
def draw_items(cumulative: Floats, guide: Int64Array, uniform: Floats, items: Int64Array) -> None:
    """Fill `items` with the first item whose cumulative weight is above each uniform number times their total.

    `guide[g]` is that item for the number g / len(guide) (Chen & Asau, *On generating random variates from an empirical
    distribution*, 1974).
    """
    total = cumulative[-1]
    for index in range(len(uniform)):
        sought = uniform[index] * total
        item = guide[int(uniform[index] * len(guide))]
        while cumulative[item] <= sought and item < len(cumulative) - 1:
            item += 1
        items[index] = item


@_compiled
def put_together(
    inputs: Int64Array,
    targets: Int64Array,
    negatives: Int64Array,
    as_target: Floats,
    as_sample: Floats,
    batch_size: int,
    shared: bool,
    place_of: Int64Array,
    rows: Int64Array,
    weights: Floats,
    target_places: Int64Array,
    input_places: Int64Array,
    input_rows: Int64Array,
) -> tuple[int, int, int]:
    """Number the distinct items of a step's columns, and of its inputs; how many columns, rows in all, own inputs.

    Column j holds an item of `targets`, then of `negatives`; the first `batch_size` weigh `as_target[item]`, the others
    `as_sample[item]`, and `weights` sums these by item. With `shared` inputs are numbered with the columns, else by
    themselves. `place_of` (V,) is -1 throughout, before and after.
    """
    width = len(targets)
    n_columns = 0
    for column in range(width + len(negatives)):
        item = targets[column] if column < width else negatives[column - width]
        place = place_of[item]
        if place < 0:
            place = n_columns
            place_of[item] = place
            rows[place] = item
            weights[place] = 0.0
            n_columns += 1
        weights[place] += as_target[item] if column < batch_size else as_sample[item]
        if column < width:
            target_places[column] = place
    n_rows = n_columns
    if shared:
        for lane in range(width):
            item = inputs[lane]
            if place_of[item] < 0:
                place_of[item] = n_rows
                rows[n_rows] = item
                n_rows += 1
            input_places[lane] = place_of[item]
    for place in range(n_rows):
        place_of[rows[place]] = -1
    n_inputs = 0
    if not shared:
        for lane in range(width):
            item = inputs[lane]
            if place_of[item] < 0:
                place_of[item] = n_inputs
                input_rows[n_inputs] = item
                n_inputs += 1
            input_places[lane] = place_of[item]
        for place in range(n_inputs):
            place_of[input_rows[place]] = -1
    return n_columns, n_rows, n_inputs


@_compiled
def put_all_together(
    items: Int64Array,
    lane_rows: Int64Array,
    widths: Int64Array,
    negatives: Int64Array,
    as_target: Floats,
    as_sample: Floats,
    batch_size: int,
    shared: bool,
    place_of: Int64Array,
    rows: Int64Array,
    weights: Floats,
    target_places: Int64Array,
    input_places: Int64Array,
    input_rows: Int64Array,
    sizes: Int64Array,
) -> None:
    """`put_together` for every step of a chunk: all arrays by step, `sizes` (steps, 3)."""
    for step in range(len(widths)):
        width = widths[step]
        inputs, targets = np.empty(width, dtype=np.int64), np.empty(width, dtype=np.int64)
        for lane in range(width):
            inputs[lane], targets[lane] = items[lane_rows[step, lane]], items[lane_rows[step, lane] + 1]
        found = put_together(
            inputs, targets, negatives[step], as_target, as_sample, batch_size, shared, place_of,
            rows[step], weights[step], target_places[step], input_places[step], input_rows[step],
        )  # fmt: skip
        sizes[step, 0], sizes[step, 1], sizes[step, 2] = found


@_compiled
def carry_state(state: Floats, kept: Int64Array, starts: BoolArray) -> None:
    """Move the states (lanes, D) of the lanes that are `kept` together, those of a new session to zero."""
    for lane in range(len(kept)):
        if starts[lane]:
            state[lane, :] = 0.0
        elif kept[lane] != lane:
            state[lane, :] = state[kept[lane], :]


@_vectorised
def cross_entropy_gradient(
    shares: Floats, targets: Int64Array, own_shares: Floats, batch_size: int, column_sums: Floats
) -> float:
    """See `losses.cross_entropy`: turn softmax shares into gradients in place; the loss."""
    lanes, n_columns = shares.shape
    column_sums[:] = 0.0
    loss = 0.0
    for lane in range(lanes):
        own = shares[lane, targets[lane]] * own_shares[lane]
        loss -= np.log(np.float64(own) + _TINY)
        factor = shares.dtype.type(own / (np.float64(own) + _TINY) / batch_size)
        for column in range(n_columns):
            shares[lane, column] *= factor
        shares[lane, targets[lane]] -= factor
        for column in range(n_columns):
            column_sums[column] += shares[lane, column]
    return loss / batch_size


@_vectorised
def bpr_max_gradient(
    scores: Floats,
    weights: Floats,
    wins: Floats,
    targets: Int64Array,
    elu_param: float,
    regularisation: float,
    batch_size: int,
    column_sums: Floats,
) -> float:
    """See `losses.bpr_max`: turn scores into gradients in place; the loss."""
    lanes, n_columns = scores.shape
    column_sums[:] = 0.0
    number = scores.dtype.type
    one, alpha, bpreg = number(1.0), number(elu_param), number(regularisation)
    total = 0.0
    for lane in range(lanes):
        likelihood, penalty, pull = number(0.0), number(0.0), number(0.0)
        for column in range(n_columns):
            weight, win, score = weights[lane, column], wins[lane, column], scores[lane, column]
            likelihood += weight * win
            penalty += weight * score * score
            pull += weight * win * (one - win)
        total += bpreg * penalty - np.log(np.float64(likelihood) + _TINY)
        scale = number(1.0 / batch_size)
        push = number(1.0 / (np.float64(likelihood) + _TINY))
        target = targets[lane]
        own_slope = one
        if elu_param > 0.0 and scores[lane, target] < 0.0:
            own_slope = scores[lane, target] + alpha
        for column in range(n_columns):
            weight, win, score = weights[lane, column], wins[lane, column], scores[lane, column]
            gradient = push * weight * (likelihood - win + win * (one - win))
            gradient += bpreg * weight * (score * score - penalty + score + score)
            if elu_param > 0.0:
                gradient *= score + alpha if score < number(0.0) else one
            scores[lane, column] = gradient * scale
        scores[lane, target] -= push * pull * own_slope * scale
        for column in range(n_columns):
            column_sums[column] += scores[lane, column]
    return total / batch_size


@_vectorised
def gru_gate_gradients(
    gradient: Floats, gates: Floats, candidate: Floats, from_state: Floats, state: Floats, d_x: Floats, d_h: Floats
) -> None:
    """See `cells.GruCell.backward`: gradients of what enters the gates from the input (lanes, 3D) and the state."""
    lanes, units = candidate.shape
    for lane in range(lanes):
        for unit in range(units):
            r, z, n = gates[lane, unit], gates[lane, units + unit], candidate[lane, unit]
            d = gradient[lane, unit]
            d_n = d * (1 - z) * (1 - n * n)
            d_z = d * (state[lane, unit] - n) * z * (1 - z)
            d_r = d_n * from_state[lane, 2 * units + unit] * r * (1 - r)
            d_x[lane, unit] = d_r
            d_h[lane, unit] = d_r
            d_x[lane, units + unit] = d_z
            d_h[lane, units + unit] = d_z
            d_x[lane, 2 * units + unit] = d_n
            d_h[lane, 2 * units + unit] = d_n * r


@_compiled
def add_rows(gradient: Floats, places: Int64Array, added: Floats) -> None:
    """gradient[places[b]] += added[b], one after the other."""
    for lane in range(len(places)):
        for column in range(gradient.shape[1]):
            gradient[places[lane], column] += added[lane, column]


@_vectorised
def adagrad_rows(
    values: Floats,
    accumulators: Floats,
    momenta: Floats,
    rows: Int64Array,
    gradients: Floats,
    learning_rate: float,
    momentum: float,
    epsilon: float,
) -> None:
    """See `optimizer.Adagrad`: update the given rows of (V, D) matrices, each named once, with gradients (rows, D)."""
    number = values.dtype.type
    rate, decay, tiny = number(learning_rate), number(momentum), number(epsilon)
    for index in range(len(rows)):
        row = rows[index]
        if momentum > 0.0:
            for column in range(values.shape[1]):
                g = gradients[index, column]
                accumulators[row, column] += g * g
                step = rate * g / np.sqrt(accumulators[row, column] + tiny)
                momenta[row, column] = decay * momenta[row, column] - step
                values[row, column] += momenta[row, column]
        else:
            for column in range(values.shape[1]):
                g = gradients[index, column]
                accumulators[row, column] += g * g
                values[row, column] -= rate * g / np.sqrt(accumulators[row, column] + tiny)
