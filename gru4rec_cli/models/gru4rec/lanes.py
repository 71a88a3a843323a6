"""Session-parallel mini-batches (ICLR 2016, figure 3): the order in which clicks are learnt from."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gru4rec_cli.data.sessions import Int64Array, Sessions

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class LaneStep:
    """One mini-batch: every lane shows one click of its session and the click after it."""

    rows: Int64Array  # (lanes,) row of the input click; the target is the row after it
    starts: BoolArray  # (lanes,) the lane begins a session here: its hidden state is zero
    kept: Int64Array | None  # (lanes,) where each lane stood in the step before, if lanes were removed since


def lane_steps(sessions: Sessions, batch_size: int, *, min_lanes: int = 1) -> Iterator[LaneStep]:
    """The mini-batches of one epoch.

    `batch_size` lanes each walk through one session. A lane that has shown its session's last pair takes the next
    unvisited session (lanes in index order, sessions in visiting order). When none is left finished lanes are
    removed, and the epoch goes on until fewer than `min_lanes` remain: with one, no event is lost.
    """
    width = min(batch_size, sessions.n_sessions)
    rows = sessions.offsets[:width].copy()
    last = sessions.offsets[1 : width + 1] - 1  # (lanes,) row of the last click of the lane's session
    starts = np.ones(width, dtype=bool)
    kept: Int64Array | None = None
    following = width
    while len(rows) >= min_lanes and len(rows):
        yield LaneStep(rows, starts, kept)
        rows = rows + 1
        finished = np.flatnonzero(rows == last)
        starts, kept = np.zeros(len(rows), dtype=bool), None
        if len(finished) == 0:
            continue
        renewed = finished[: sessions.n_sessions - following]
        taken = np.arange(following, following + len(renewed))
        rows[renewed], starts[renewed] = sessions.offsets[taken], True
        last = last.copy()
        last[renewed] = sessions.offsets[taken + 1] - 1
        following += len(renewed)
        if len(renewed) < len(finished):
            kept = np.setdiff1d(np.arange(len(rows)), finished[len(renewed) :])
            rows, last, starts = rows[kept], last[kept], starts[kept]


def count_events(sessions: Sessions, batch_size: int, *, min_lanes: int = 1) -> int:
    """How many events one epoch learns from: all of them, unless `min_lanes` ends it early."""
    if min_lanes <= 1:
        return sessions.n_targets
    return sum(len(step.rows) for step in lane_steps(sessions, batch_size, min_lanes=min_lanes))
