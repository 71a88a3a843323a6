"""Session-parallel mini-batches (ICLR 2016, figure 3): the order in which clicks are learnt from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gru4rec_cli.data.sessions import Int64Array, Sessions

BoolArray = npt.NDArray[np.bool_]

STEPS_AT_ONCE = 64


@dataclass(frozen=True)
class LaneStep:
    """One mini-batch: every lane shows one click of its session and the click after it."""

    rows: Int64Array  # (lanes,) row of the input click; the target is the row after it
    starts: BoolArray  # (lanes,) the lane begins a session here: its hidden state is zero
    kept: Int64Array  # (lanes,) where each lane stood in the step before; lanes in between were removed

    def alone(self) -> "LaneChunk":
        """The step as a chunk of one."""
        return LaneChunk(self.rows[None], self.starts[None], self.kept[None], np.array([len(self.rows)]))


@dataclass(frozen=True)
class LaneChunk:
    """Consecutive mini-batches: step s is the first `widths[s]` entries of row s."""

    rows: Int64Array  # (steps, B)
    starts: BoolArray
    kept: Int64Array
    widths: Int64Array  # (steps,)

    def step(self, number: int) -> LaneStep:
        """One of them."""
        width = self.widths[number]
        return LaneStep(self.rows[number, :width], self.starts[number, :width], self.kept[number, :width])


def lane_chunks(sessions: Sessions, batch_size: int, *, min_lanes: int = 1) -> Iterator[LaneChunk]:
    """The mini-batches of one epoch.

    `batch_size` lanes each walk through one session. A lane that has shown its session's last pair takes the next
    unvisited session (lanes in index order, sessions in visiting order). When none is left finished lanes are
    removed, and the epoch goes on until fewer than `min_lanes` remain: with one, no event is lost.
    """
    from gru4rec_cli.models.gru4rec.loops import walk_lanes

    width = min(batch_size, sessions.n_sessions)
    lanes = (
        sessions.offsets[:width].copy(),  # row of the lane's click
        sessions.offsets[1 : width + 1] - 1,  # row of the last click of the lane's session
        np.ones(width, dtype=bool),
        np.arange(width),
        np.array([width, width]),
    )
    while True:
        shape = (STEPS_AT_ONCE, width)
        chunk = LaneChunk(
            np.empty(shape, dtype=np.int64),
            np.empty(shape, dtype=bool),
            np.empty(shape, dtype=np.int64),
            np.empty(STEPS_AT_ONCE, dtype=np.int64),
        )
        found = walk_lanes(sessions.offsets, *lanes, min_lanes, chunk.rows, chunk.starts, chunk.kept, chunk.widths)
        if found:
            yield LaneChunk(chunk.rows[:found], chunk.starts[:found], chunk.kept[:found], chunk.widths[:found])
        if found < STEPS_AT_ONCE:
            return


def lane_steps(sessions: Sessions, batch_size: int, *, min_lanes: int = 1) -> Iterator[LaneStep]:
    """The mini-batches of one epoch, one by one."""
    for chunk in lane_chunks(sessions, batch_size, min_lanes=min_lanes):
        for number in range(len(chunk.widths)):
            yield chunk.step(number)


def count_events(sessions: Sessions, batch_size: int, *, min_lanes: int = 1) -> int:
    """How many events one epoch learns from: all of them, unless `min_lanes` ends it early."""
    if min_lanes <= 1:
        return sessions.n_targets
    return int(sum(chunk.widths.sum() for chunk in lane_chunks(sessions, batch_size, min_lanes=min_lanes)))
