"""Scores of every event by the author's network, in our event order and in bounded memory."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from gru4rec_cli.base.arrays import Float32Array, Int64Array
from gru4rec_cli.base.threads import torch_threads

_SESSIONS_AT_ONCE = 512
# Narrower products round differently, and so do the last values of an array in torch.sigmoid, of each thread's part.
# Ranks must not depend on the other events of a block: so many rows stand after those that are asked for.
_MIN_ROWS = 32


@torch.no_grad()
def score_blocks(
    network: Any, items: Int64Array, offsets: Int64Array, block_rows: int
) -> Iterator[tuple[int, Float32Array]]:
    """Yield (number of the first event, scores (events, V)) for all events of the sessions, in order.

    The author's network walks the sessions; its own `score_items` then compares the states with all items.
    """
    done = 0
    for first in range(0, len(offsets) - 1, _SESSIONS_AT_ONCE):
        with torch_threads(1):
            queries = _hidden_states(network, items, offsets[first : first + _SESSIONS_AT_ONCE + 1])
        for start in range(0, len(queries), block_rows):
            rows = queries[start : start + block_rows]
            padded = torch.cat([rows, rows.new_zeros(max(0, _MIN_ROWS - len(rows)), rows.shape[1])])
            scores = network.score_items(padded, network.Wy.weight, network.By.weight)
            yield done + start, scores[: len(rows)].numpy()
        done += len(queries)


def _hidden_states(network: Any, items: Int64Array, offsets: Int64Array) -> torch.Tensor:
    """The last layer's state after every event's history, (events, D), in event order.

    The forward pass computes the score of one item only: it is called for the states that it returns.
    An unseen click (a negative index), which the author's evaluation drops, leaves the state as it is.
    """
    steps = np.diff(offsets) - 1
    order = np.argsort(-steps, kind="stable")
    events = np.concatenate([[0], np.cumsum(steps)])
    states = [torch.zeros(len(order) + _MIN_ROWS, width) for width in network.layers]
    queries = torch.empty(int(events[-1]), network.layers[-1])
    one_item = torch.zeros(1, dtype=torch.int64)
    for position in range(int(steps.max(initial=0))):
        active = order[: np.count_nonzero(steps > position)]
        width = len(active) + _MIN_ROWS
        clicks = np.zeros(width, dtype=np.int64)
        clicks[: len(active)] = items[offsets[active] + position]
        seen = torch.from_numpy(clicks >= 0)[:, None]
        before = [state[:width] for state in states]
        after = list(before)
        network.forward(torch.from_numpy(np.maximum(clicks, 0)), after, one_item, training=False)
        states = [torch.where(seen, new, old) for new, old in zip(after, before, strict=True)]
        queries[torch.from_numpy(events[active] + position)] = states[-1][: len(active)]
    return queries
