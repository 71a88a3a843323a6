"""Scores of all items from states: a product with the item matrix."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.scores import ScoreBlock, block_ranges

_EVENTS_AT_ONCE = 2**15  # whose states are held together, but at least one session
# A product with fewer rows takes another path through the BLAS and rounds differently. With at least this many, every
# row comes out the same whatever rows are beside it, so that ranks do not depend on how events are batched.
MIN_ROWS = 32


def score_states(
    states: Callable[[Sessions], Tensor], sessions: Sessions, items: Tensor, bias: Tensor | None
) -> Iterator[ScoreBlock]:
    """Yield the scores of every event of `sessions`, in event order.

    `states(part)` returns the states of a part of the sessions, (events, D); `items` is (V, D), `bias` (V,) or None.
    """
    done = 0
    with torch.no_grad():
        for group in _groups(sessions):
            queries = states(sessions.select(group))
            for first, stop in block_ranges(len(queries), sessions.n_items):
                yield ScoreBlock(done + first, _scores(queries[first:stop], items, bias))
            done += len(queries)


def _scores(states: Tensor, items: Tensor, bias: Tensor | None) -> "np.ndarray":
    """Return the scores (events, V) of all items after the given states (events, D)."""
    rows = at_least(states, MIN_ROWS)
    scores = rows @ items.T if bias is None else torch.addmm(bias, rows, items.T)
    return scores[: len(states)].numpy()


def at_least(rows: Tensor, count: int) -> Tensor:
    """Return the rows with rows of zeros behind them, so that there are at least `count`."""
    if len(rows) >= count:
        return rows
    return torch.cat([rows, rows.new_zeros(count - len(rows), *rows.shape[1:])])


def _groups(sessions: Sessions) -> Iterator[Int64Array]:
    """Yield consecutive sessions whose states are computed together."""
    number = np.cumsum(sessions.lengths - 1) // _EVENTS_AT_ONCE
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], sessions.n_sessions], strict=True):
        yield np.arange(start, stop)
