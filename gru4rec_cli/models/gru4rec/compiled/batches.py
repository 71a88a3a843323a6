"""Mini-batches for the compiled step: the walk through the sessions, the negatives, and the distinct items of a step.

Sampled columns repeat. Scores of equal items are equal, so loss and gradients are computed once for each distinct
item, which weighs as much as its columns together: the same numbers from smaller products, and distinct gradient rows.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.arrays import BoolArray, Float64Array, FloatingArray, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.models.gru4rec.batches import STEPS_AT_ONCE, MiniBatches, Walk
from gru4rec_cli.models.gru4rec.network import ITEMS, input_table
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.models.neural import sampling

_GUIDE_PER_ITEM = 4  # entries of the guide table: what is looked up is then rarely far


class NegativeSampler(sampling.NegativeSampler):
    """Draws the same items, found by a guide table in place of a binary search.

    `guide[g]` is the item of the number g / len(guide) (Chen & Asau, *On generating random variates from an empirical
    distribution*, 1974).
    """

    def __init__(self, supports: Int64Array, alpha: float) -> None:
        super().__init__(supports, alpha)
        n_entries = _GUIDE_PER_ITEM * len(supports)
        self.guide = super().find(np.arange(n_entries) / n_entries)

    def find(self, uniform: Float64Array) -> Int64Array:
        items = np.empty(len(uniform), dtype=np.int64)
        _find_items(self.cumulative, self.guide, uniform, items)
        return items


@compiled
def _find_items(cumulative: Float64Array, guide: Int64Array, uniform: Float64Array, items: Int64Array) -> None:
    total = cumulative[-1]
    for index in range(len(uniform)):
        sought = uniform[index] * total
        item = guide[int(uniform[index] * len(guide))]
        while cumulative[item] <= sought and item < len(cumulative) - 1:
            item += 1
        items[index] = item


class _Slots(NamedTuple):
    """Where the slots are between two chunks of steps."""

    rows: Int64Array  # (W,)
    last: Int64Array  # (W,) row of the last click of the slot's session
    starts: BoolArray  # (W,)
    previous: Int64Array  # (W,)
    counts: Int64Array  # (2,): the next session, how many slots there are


class _Steps(NamedTuple):
    """The arrays of a `Walk`."""

    rows: Int64Array
    starts: BoolArray
    previous: Int64Array
    widths: Int64Array


def walk_sessions(offsets: Int64Array, batch_size: int, min_slots: int = 1) -> Iterator[Walk]:
    """Yield what `gru4rec.batches.walk_sessions` yields, compiled."""
    width = min(batch_size, len(offsets) - 1)
    first, counts = np.arange(width), np.array([width, width])
    slots = _Slots(offsets[:width].copy(), offsets[1 : width + 1] - 1, np.ones(width, dtype=bool), first, counts)
    shape = (STEPS_AT_ONCE, width)
    while True:
        steps = _Steps(
            np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.int64),
            np.zeros(STEPS_AT_ONCE, dtype=np.int64),
        )  # fmt: skip
        n_steps = _walk(offsets, slots, min_slots, steps)
        if n_steps:
            rows, starts, previous, widths = steps
            yield Walk(rows[:n_steps], starts[:n_steps], previous[:n_steps], widths[:n_steps])
        if n_steps < STEPS_AT_ONCE:
            return


@compiled
def _walk(offsets: Int64Array, slots: _Slots, min_slots: int, steps: _Steps) -> int:
    """Write the next steps and return how many there are."""
    n_sessions = len(offsets) - 1
    for step in range(len(steps.widths)):
        width = slots.counts[1]
        if width == 0 or width < min_slots:
            return step
        steps.rows[step, :width] = slots.rows[:width]
        steps.starts[step, :width] = slots.starts[:width]
        steps.previous[step, :width] = slots.previous[:width]
        steps.widths[step] = width
        remaining = 0
        for slot in range(width):
            row, end, begins = slots.rows[slot] + 1, slots.last[slot], False
            if row == end:
                session = slots.counts[0]
                if session == n_sessions:
                    continue  # the slot is removed
                row, end, begins = offsets[session], offsets[session + 1] - 1, True
                slots.counts[0] += 1
            slots.rows[remaining], slots.last[remaining] = row, end
            slots.starts[remaining], slots.previous[remaining] = begins, slot
            remaining += 1
        slots.counts[1] = remaining
    return len(steps.widths)


class Batches(NamedTuple):
    """Steps to learn from. A place is the number of an item among the distinct items of its step."""

    widths: Int64Array  # (steps,) slots
    previous: Int64Array  # (steps, W)
    starts: BoolArray  # (steps, W)
    # (steps, 3): distinct items; how many of them, the first ones, are only inputs; distinct inputs. With shared
    # inputs these are the first items, else they are counted by themselves.
    sizes: Int64Array
    rows: Int64Array  # (steps, most items) the distinct items
    # (steps, most items) cross-entropy: summed weights e^-correction of an item's columns; BPR-max: how many they are
    weights: FloatingArray
    targets: Int64Array  # (steps, W) place of each slot's target
    own: FloatingArray  # (steps, W) share of a slot's own target column in its item's weight; BPR-max: not used
    inputs: Int64Array  # (steps, W) place of each slot's input, in `input_rows` where inputs have their own table
    input_rows: Int64Array  # (steps, W) distinct inputs, where they have a table of their own
    embed_mask: FloatingArray  # (steps, W, width), or nothing
    hidden_masks: FloatingArray  # (steps, B · units of all layers), of each step flat (B, D) by layer; or nothing


class _ColumnWeights(NamedTuple):
    """How much a column weighs, by its item (V,)."""

    as_target: Float64Array
    as_sample: Float64Array
    batch_size: int


class Assembler:
    """Puts equal items of a step together.

    Cross-entropy corrects the score of column j by strength · log q_j, see `losses.cross_entropy`: as a weight of the
    softmax that is q_j^-strength.
    """

    def __init__(self, supports: Int64Array, settings: Settings, dtype: npt.DTypeLike = np.float32) -> None:
        """`supports` (V,) are training events of every item; `dtype` is that of the step."""
        self.settings = settings
        self.dtype = dtype
        support = np.maximum(supports, 1).astype(np.float64)
        self._weights = _ColumnWeights(
            support**-settings.logq_strength,
            support ** (-settings.logq_strength * settings.sample_alpha),
            settings.batch_size,
        )
        self._place_of = np.full(len(supports), -1, dtype=np.int64)

    def assemble(self, batches: MiniBatches) -> Batches:
        """Return the same steps with equal items put together."""
        walk, negatives = batches.walk, batches.negatives
        steps, width = batches.inputs.shape
        most = 2 * width + negatives.shape[1]
        integers = [np.zeros((steps, n), dtype=np.int64) for n in (3, most, width, width, width)]
        sizes, rows, targets, inputs, input_rows = integers
        weights, own = np.zeros((steps, most)), np.zeros((steps, width))
        masks = self._mask(batches), self._hidden_masks(batches)
        found = Batches(
            walk.widths, walk.previous, walk.starts, sizes, rows, weights, targets, own, inputs, input_rows, *masks
        )
        shared = input_table(self.settings) == ITEMS
        _put_together(batches.inputs, batches.targets, negatives, self._weights, shared, self._place_of, found)
        return found._replace(weights=weights.astype(self.dtype), own=own.astype(self.dtype))

    def _mask(self, batches: MiniBatches) -> FloatingArray:
        if "embed" not in batches.masks:
            return np.empty((0, 0, 0), dtype=self.dtype)
        return batches.masks["embed"].numpy().astype(self.dtype, copy=False)

    def _hidden_masks(self, batches: MiniBatches) -> FloatingArray:
        """Return those of all layers, one after the other; 1 where a layer has none."""
        layers = self.settings.layers
        names = [f"hidden.{layer}" for layer in range(len(layers))]
        if not any(name in batches.masks for name in names):
            return np.empty((0, 0), dtype=self.dtype)
        steps, width = batches.inputs.shape
        found = np.ones((steps, self.settings.batch_size * sum(layers)), dtype=self.dtype)
        start = 0
        for name, units in zip(names, layers, strict=True):
            if name in batches.masks:
                found[:, start : start + width * units] = batches.masks[name].numpy().reshape(steps, -1)
            start += self.settings.batch_size * units
        return found


@compiled
def _put_together(
    inputs: Int64Array,
    targets: Int64Array,
    negatives: Int64Array,
    weights: _ColumnWeights,
    shared: bool,
    place_of: Int64Array,
    found: Batches,
) -> None:
    """Number the distinct items of every step, in `found`; `place_of` (V,) is -1 throughout, before and after.

    Column j holds an item of `targets`, then of `negatives`; the first `batch_size` weigh `as_target[item]`, the others
    `as_sample[item]`, and `found.weights` sums these by item. With `shared` the inputs come first, among them those
    that are no columns, of weight 0; else inputs are numbered by themselves.
    """
    unknown, column_only = -1, -2
    for step in range(len(found.widths)):
        width = found.widths[step]
        n_columns = width + negatives.shape[1]
        rows, summed, input_rows = found.rows[step], found.weights[step], found.input_rows[step]
        n_rows = alone = n_inputs = 0
        if shared:
            for column in range(n_columns):
                place_of[targets[step, column] if column < width else negatives[step, column - width]] = column_only
            for wanted in (unknown, column_only):  # inputs alone, then those that are columns too
                if wanted == column_only:
                    alone = n_rows
                for slot in range(width):
                    item = inputs[step, slot]
                    if place_of[item] == wanted:
                        place_of[item] = n_rows
                        rows[n_rows] = item
                        summed[n_rows] = 0.0
                        n_rows += 1
            n_inputs = n_rows
            for slot in range(width):
                found.inputs[step, slot] = place_of[inputs[step, slot]]
        else:
            for slot in range(width):
                item = inputs[step, slot]
                if place_of[item] < 0:
                    place_of[item] = n_inputs
                    input_rows[n_inputs] = item
                    n_inputs += 1
                found.inputs[step, slot] = place_of[item]
            for place in range(n_inputs):
                place_of[input_rows[place]] = unknown
        for column in range(n_columns):
            item = targets[step, column] if column < width else negatives[step, column - width]
            place = place_of[item]
            if place < 0:
                place = n_rows
                place_of[item] = place
                rows[place] = item
                summed[place] = 0.0
                n_rows += 1
            summed[place] += weights.as_target[item] if column < weights.batch_size else weights.as_sample[item]
            if column < width:
                found.targets[step, column] = place
        for slot in range(width):
            found.own[step, slot] = weights.as_target[targets[step, slot]] / summed[found.targets[step, slot]]
        for place in range(n_rows):
            place_of[rows[place]] = unknown
        found.sizes[step, 0], found.sizes[step, 1], found.sizes[step, 2] = n_rows, alone, n_inputs
