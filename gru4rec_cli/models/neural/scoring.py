"""Scores of all items from states: a product with the item matrix, which ranking multiplies tile by tile."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from gru4rec_cli.base.arrays import Int64Array
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.few_rows import FewRows
from gru4rec_cli.evaluation.scores import ProductBlock

_EVENTS_AT_ONCE = 2**15  # whose states are held together, but at least one session
# A product with fewer rows takes another path through the BLAS and rounds differently. With at least this many, every
# row comes out the same whatever rows are beside it, so that ranks do not depend on how events are batched. (On an AMD
# EPYC this was not so for results of 1, 5 to 7, 9 and 10 columns; real models have more.) Where a
# network has torch.sigmoid, so many rows are added in any case, and it runs in one thread: the last values of an array,
# or of a thread's part of it, are rounded in another way than the others.
MIN_ROWS = 32


def score_states(
    states: Callable[[Sessions], Tensor],
    sessions: Sessions,
    items: Tensor,
    bias: Tensor | None,
    few: FewRows | None = None,
) -> Iterator[ProductBlock]:
    """Yield the scores of every event of `sessions`, in event order.

    `states(part)` returns the states of a part of the sessions, (events, D); `items` is (V, D), `bias` (V,) or None.
    For `few` see `ProductBlock`.
    """
    start = 0
    with torch.no_grad():
        for group in _groups(sessions):
            queries = states(sessions if len(group) == sessions.n_sessions else sessions.select(group))
            yield ProductBlock(start, queries, items, bias, few)
            start += len(queries)


def _groups(sessions: Sessions) -> Iterator[Int64Array]:
    """Yield consecutive sessions whose states are computed together."""
    if sessions.n_sessions == 0:
        return
    number = np.cumsum(sessions.lengths - 1) // _EVENTS_AT_ONCE
    starts = np.flatnonzero(np.diff(number, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], sessions.n_sessions], strict=True):
        yield np.arange(start, stop)
