"""Session-parallel mini-batches (ICLR 2016, figure 3): the order in which GRU4Rec learns from clicks.

A mini-batch has B slots. Each slot walks through one session; when the session ends it takes the next one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gru4rec_cli.base.arrays import BoolArray, Int64Array
from gru4rec_cli.models.gru4rec.network import Masks, dropout_places
from gru4rec_cli.models.gru4rec.settings import Settings
from gru4rec_cli.models.neural.sampling import NegativeSampler, dropout_mask

if TYPE_CHECKING:
    from gru4rec_cli.data.sessions import Sessions

STEPS_AT_ONCE = 64
NEGATIVES_AT_ONCE = 2**24  # drawn together, 8 bytes each, but at least those of one step

Draws = tuple[Int64Array, Masks]  # negatives (steps, n_sample); dropout by place, (steps, W, units) each
Draw = Callable[[int, int], Draws]  # of so many steps with so many slots


class WalkStep(NamedTuple):
    """The slots in one step, (width,) each; see `Walk`."""

    rows: Int64Array
    starts: BoolArray
    previous: Int64Array


@dataclass(frozen=True)
class Walk:
    """The slots in consecutive steps; in step s the first `widths[s]` entries of row s count, others are 0.

    W is the number of slots of the widest step: B, or as many as there are sessions.
    """

    rows: Int64Array  # (steps, W) row of the click that is the input; the target is the row after it
    starts: BoolArray  # (steps, W) the slot begins a session here: its hidden state is zero
    previous: Int64Array  # (steps, W) which slot of the step before this one was; slots in between were removed
    widths: Int64Array  # (steps,)

    def __iter__(self) -> Iterator[WalkStep]:
        for step, width in enumerate(self.widths):
            yield WalkStep(self.rows[step, :width], self.starts[step, :width], self.previous[step, :width])


@dataclass(frozen=True)
class MiniBatches:
    """Consecutive steps with all that they draw. Entries beyond a step's width are item 0, and must not count."""

    walk: Walk
    inputs: Int64Array  # (steps, W) items
    targets: Int64Array  # (steps, W)
    negatives: Int64Array  # (steps, n_sample)
    masks: Masks  # (steps, W, units) each

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def n_events(self) -> int:
        """Events that these steps learn from."""
        return int(self.walk.widths.sum())


def walk_sessions(offsets: Int64Array, batch_size: int, min_slots: int = 1) -> Iterator[Walk]:
    """Yield one epoch, up to `STEPS_AT_ONCE` steps at a time.

    `offsets` (sessions + 1,) say which rows a session has. A slot that has shown its session's last pair of clicks
    takes the next unvisited session (slots in index order, sessions in visiting order). When none is left, such slots
    are removed, and the epoch goes on until fewer than `min_slots` remain: with one, no event is lost.
    """
    width = min(batch_size, len(offsets) - 1)
    next_session = width
    rows, last = offsets[:width].copy(), offsets[1 : width + 1] - 1  # of the click, of the session's last click
    starts, previous = np.ones(width, dtype=bool), np.arange(width)
    shape = (STEPS_AT_ONCE, width)
    while len(rows) >= max(min_slots, 1):
        walk = Walk(
            np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.int64),
            np.zeros(STEPS_AT_ONCE, dtype=np.int64),
        )  # fmt: skip
        steps = 0
        while steps < STEPS_AT_ONCE and len(rows) >= max(min_slots, 1):
            n = walk.widths[steps] = len(rows)
            walk.rows[steps, :n], walk.starts[steps, :n], walk.previous[steps, :n] = rows, starts, previous
            steps += 1
            rows = rows + 1
            starts = rows == last  # the session has no more pairs: the slot takes a new one
            ended = np.flatnonzero(starts)
            taken = np.arange(next_session, min(next_session + len(ended), len(offsets) - 1))
            next_session += len(taken)
            rows[ended[: len(taken)]] = offsets[taken]
            last[ended[: len(taken)]] = offsets[taken + 1] - 1
            previous = np.delete(np.arange(n), ended[len(taken) :])
            rows, last, starts = rows[previous], last[previous], starts[previous]
        yield Walk(walk.rows[:steps], walk.starts[:steps], walk.previous[:steps], walk.widths[:steps])


def drawing(sampler: NegativeSampler, settings: Settings, seed: int) -> Draw:
    """Return what draws an epoch's negatives, shared by all slots of a step, and its dropout."""
    generator = np.random.Generator(np.random.PCG64(seed))

    def draw(steps: int, slots: int) -> Draws:
        negatives = sampler.draw(generator, steps, settings.n_negatives)
        places = dropout_places(settings).items()
        return negatives, {name: dropout_mask(generator, rate, steps, slots, units) for name, (rate, units) in places}

    return draw


def split_walks(walks: Iterator[Walk], most: int) -> Iterator[Walk]:
    """Yield the same steps, at most so many at a time."""
    for walk in walks:
        for start in range(0, len(walk.rows), most):
            part = slice(start, start + most)
            yield Walk(walk.rows[part], walk.starts[part], walk.previous[part], walk.widths[part])


def mini_batches(train: "Sessions", walks: Iterator[Walk], draw: Draw) -> Iterator[MiniBatches]:
    """Yield the mini-batches of a walk through the training sessions."""
    for walk in walks:
        there = np.arange(walk.rows.shape[1]) < walk.widths[:, None]  # (steps, W)
        inputs, targets = (np.where(there, train.items[walk.rows + shift], 0).astype(np.int64) for shift in (0, 1))
        yield MiniBatches(walk, inputs, targets, *draw(*walk.rows.shape))


def min_slots(settings: Settings) -> int:
    """Return how many slots a step needs: with in-batch negatives alone a single one has nothing to compare with."""
    return 2 if settings.n_sample == 0 else 1


def count_events(train: "Sessions", settings: Settings) -> int:
    """Return how many events one epoch learns from: all of them, unless it ends early for lack of negatives."""
    if min_slots(settings) == 1:
        return train.n_targets
    walks = walk_sessions(train.offsets, settings.batch_size, min_slots(settings))
    return int(sum(walk.widths.sum() for walk in walks))
