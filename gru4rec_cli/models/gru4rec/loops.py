"""The loops of training; compiled by numba at first use and kept on disk, without the interpreter's lock."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.base.intrinsics import fetch

Floats = npt.NDArray[np.floating]
Int64Array = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

_AHEAD = 4  # rows that are fetched from memory before their turn
_LINE = 64  # bytes of a cache line

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
    own: Floats,
) -> tuple[int, int, int]:
    """Number the distinct items of a step: how many in all, how many of them only inputs, how many inputs.

    Column j holds an item of `targets`, then of `negatives`; the first `batch_size` weigh `as_target[item]`, the others
    `as_sample[item]`, and `weights` sums these by item. With `shared` the inputs come first, among them those that are
    no columns, of weight 0; else inputs are numbered by themselves. `own` (lanes,) is the share of a lane's target
    column in its item's weight. `place_of` (V,) is -1 throughout, before and after.
    """
    unknown, column_only = -1, -2
    width = len(targets)
    n_columns = width + len(negatives)
    n_rows = 0
    if shared:
        for column in range(n_columns):
            place_of[targets[column] if column < width else negatives[column - width]] = column_only
        for wanted in (unknown, column_only):  # inputs alone, then those that are columns too
            if wanted == column_only:
                alone = n_rows
            for lane in range(width):
                item = inputs[lane]
                if place_of[item] == wanted:
                    place_of[item] = n_rows
                    rows[n_rows] = item
                    weights[n_rows] = 0.0
                    n_rows += 1
        n_inputs = n_rows
        for lane in range(width):
            input_places[lane] = place_of[inputs[lane]]
    else:
        alone = n_inputs = 0
        for lane in range(width):
            item = inputs[lane]
            if place_of[item] < 0:
                place_of[item] = n_inputs
                input_rows[n_inputs] = item
                n_inputs += 1
            input_places[lane] = place_of[item]
        for place in range(n_inputs):
            place_of[input_rows[place]] = unknown
    for column in range(n_columns):
        item = targets[column] if column < width else negatives[column - width]
        place = place_of[item]
        if place < 0:
            place = n_rows
            place_of[item] = place
            rows[place] = item
            weights[place] = 0.0
            n_rows += 1
        weights[place] += as_target[item] if column < batch_size else as_sample[item]
        if column < width:
            target_places[column] = place
    for lane in range(width):
        own[lane] = as_target[targets[lane]] / weights[target_places[lane]]
    for place in range(n_rows):
        place_of[rows[place]] = unknown
    return n_rows, alone, n_inputs


@_compiled
def put_all_together(
    items: npt.NDArray[np.integer],
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
    own: Floats,
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
            rows[step], weights[step], target_places[step], input_places[step], input_rows[step], own[step],
        )  # fmt: skip
        sizes[step, 0], sizes[step, 1], sizes[step, 2] = found


@_compiled
def add_rows(gradient: Floats, places: Int64Array, added: Floats) -> None:
    """gradient[places[b]] += added[b], one after the other."""
    for lane in range(len(places)):
        for column in range(gradient.shape[1]):
            gradient[places[lane], column] += added[lane, column]


@_compiled
def _fetch_row(matrix: Floats, row: int) -> None:
    """Begin to bring a row into the cache."""
    for column in range(0, matrix.shape[1], _LINE // matrix.itemsize):
        fetch(matrix, row * matrix.shape[1] + column)


class Rate(NamedTuple):
    """How far Adagrad moves."""

    learning_rate: float
    momentum: float
    epsilon: float


@_vectorised
def adagrad_rows(
    values: Floats, accumulators: Floats, momenta: Floats, rows: Int64Array, gradients: Floats, rate: Rate
) -> None:
    """See `optimizer.Adagrad`: update the given rows of (V, D) matrices, each named once, with gradients (rows, D)."""
    number = values.dtype.type
    learning_rate, momentum, epsilon = number(rate.learning_rate), number(rate.momentum), number(rate.epsilon)
    for place in range(len(rows)):
        row = rows[place]
        if place + _AHEAD < len(rows):
            coming = rows[place + _AHEAD]
            _fetch_row(values, coming)
            _fetch_row(accumulators, coming)
            _fetch_row(momenta, coming)
        if rate.momentum > 0.0:
            for column in range(values.shape[1]):
                g = gradients[place, column]
                accumulators[row, column] += g * g
                step = learning_rate * g / np.sqrt(accumulators[row, column] + epsilon)
                momenta[row, column] = momentum * momenta[row, column] - step
                values[row, column] += momenta[row, column]
        else:
            for column in range(values.shape[1]):
                g = gradients[place, column]
                accumulators[row, column] += g * g
                values[row, column] -= learning_rate * g / np.sqrt(accumulators[row, column] + epsilon)


@_vectorised
def read_rows(matrix: Floats, rows: Int64Array, found: Floats) -> None:
    """found[i] = matrix[rows[i]]."""
    for place in range(len(rows)):
        row = rows[place]
        if place + _AHEAD < len(rows):
            _fetch_row(matrix, rows[place + _AHEAD])
        for column in range(matrix.shape[1]):
            found[place, column] = matrix[row, column]
