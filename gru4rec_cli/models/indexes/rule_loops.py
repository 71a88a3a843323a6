"""The loops behind rules; compiled by numba at first use and kept on disk, without the interpreter's lock."""

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.compiling import compiled

_compiled = compiled()


@_compiled
def count_pairs(
    items: npt.NDArray[np.int32],
    offsets: npt.NDArray[np.int64],
    owners: npt.NDArray[np.int64],
    rows: npt.NDArray[np.int64],
    firsts: npt.NDArray[np.int64],
    first_item: int,
    last_item: int,
    after: npt.NDArray[np.float64],
    before: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Rules of the items `first_item … last_item - 1`: how many each has, their items and weights.

    `rows` are the clicks by item, `firsts` (V + 1,) where each item's begin, `owners` the session of every click.
    """
    n_items = len(firsts) - 1
    sums = np.zeros(n_items, dtype=np.float64)
    touched = np.empty(n_items, dtype=np.int32)
    counts = np.zeros(last_item - first_item, dtype=np.int64)
    found = np.empty(1024, dtype=np.int32)
    weights = np.empty(1024, dtype=np.float32)
    size = 0
    for item in range(first_item, last_item):
        n_touched = 0
        for place in range(firsts[item], firsts[item + 1]):
            row = rows[place]
            start, stop = offsets[owners[row]], offsets[owners[row] + 1]
            for other in range(max(start, row - len(before)), min(stop, row + len(after) + 1)):
                if other == row:
                    continue
                weight = after[other - row - 1] if other > row else before[row - other - 1]
                if weight == 0.0:
                    continue
                partner = items[other]
                if sums[partner] == 0.0:
                    touched[n_touched] = partner
                    n_touched += 1
                sums[partner] += weight
        while size + n_touched > len(found):
            found = np.concatenate((found, np.empty_like(found)))
            weights = np.concatenate((weights, np.empty_like(weights)))
        for position in range(n_touched):
            partner = touched[position]
            found[size + position] = partner
            weights[size + position] = sums[partner]
            sums[partner] = 0.0
        size += n_touched
        counts[item - first_item] = n_touched
    return counts, found[:size].copy(), weights[:size].copy()


@_compiled
def keep(
    offsets: npt.NDArray[np.int64],
    items: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float32],
    best: npt.NDArray[np.int32],
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """The rules whose items stand in `best` (V, most), where there are more than `most`."""
    n_items, most = best.shape
    new_offsets = np.zeros(n_items + 1, dtype=np.int64)
    for item in range(n_items):
        new_offsets[item + 1] = new_offsets[item] + min(offsets[item + 1] - offsets[item], most)
    new_items = np.empty(new_offsets[-1], dtype=np.int32)
    new_weights = np.empty(new_offsets[-1], dtype=np.float32)
    weight_of = np.zeros(n_items, dtype=np.float32)
    for item in range(n_items):
        for entry in range(offsets[item], offsets[item + 1]):
            weight_of[items[entry]] = weights[entry]
        for place in range(new_offsets[item + 1] - new_offsets[item]):
            new_items[new_offsets[item] + place] = best[item, place]
            new_weights[new_offsets[item] + place] = weight_of[best[item, place]]
    return new_offsets, new_items, new_weights


@_compiled
def back_off(
    contexts: npt.NDArray[np.int64],
    last: npt.NDArray[np.int64],
    pair_offsets: npt.NDArray[np.int64],
    pair_items: npt.NDArray[np.int32],
    pair_weights: npt.NDArray[np.float32],
    offsets: npt.NDArray[np.int64],
    items: npt.NDArray[np.int32],
    weights: npt.NDArray[np.float32],
    factor: float,
    n_items: int,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """For every event the rules of its context (a row of the pairs, or -1), and those of its last item (or -1), times
    `factor`, for the items that the context does not know: (events + 1,) offsets, items and weights."""
    n_events = len(last)
    bounds = np.zeros(n_events + 1, dtype=np.int64)
    for event in range(n_events):
        size = 0
        if contexts[event] >= 0:
            size += pair_offsets[contexts[event] + 1] - pair_offsets[contexts[event]]
        if last[event] >= 0:
            size += offsets[last[event] + 1] - offsets[last[event]]
        bounds[event + 1] = bounds[event] + size  # at most
    found = np.empty(bounds[-1], dtype=np.int32)
    scores = np.empty(bounds[-1], dtype=np.float32)
    known_at = np.full(n_items, -1, dtype=np.int64)
    size = 0
    for event in range(n_events):
        bounds[event] = size
        if contexts[event] >= 0:
            for entry in range(pair_offsets[contexts[event]], pair_offsets[contexts[event] + 1]):
                found[size], scores[size] = pair_items[entry], pair_weights[entry]
                known_at[pair_items[entry]] = event
                size += 1
        if last[event] >= 0:
            for entry in range(offsets[last[event]], offsets[last[event] + 1]):
                if known_at[items[entry]] != event:
                    found[size], scores[size] = items[entry], weights[entry] * factor
                    size += 1
    bounds[n_events] = size
    return bounds, found[:size].copy(), scores[:size].copy()
