"""Compiled loops behind rules."""

import numpy as np

from gru4rec_cli.base.arrays import Float32Array, Float64Array, Int32Array, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.evaluation.scores import ScoredLists


@compiled
def count_pairs(
    items: Int32Array,
    offsets: Int64Array,
    sessions: Int64Array,
    rows: Int64Array,
    bounds: Int64Array,
    n_items: int,
    after: Float64Array,
    before: Float64Array,
) -> tuple[Int64Array, Int32Array, Float32Array]:
    """Return the rules of some items: how many each has, and their items and weights.

    `rows` are clicks by item; those of the n-th of the items are `rows[bounds[n]:bounds[n + 1]]`. `sessions` is the
    session of every click. For the weights see `count_rules`.
    """
    sums = np.zeros(n_items, dtype=np.float64)
    current = np.empty(n_items, dtype=np.int32)
    counts = np.zeros(len(bounds) - 1, dtype=np.int64)
    partners = np.empty(1024, dtype=np.int32)
    weights = np.empty(1024, dtype=np.float32)
    size = 0
    for n in range(len(counts)):
        n_partners = 0
        for place in range(bounds[n], bounds[n + 1]):
            row = rows[place]
            start, stop = offsets[sessions[row]], offsets[sessions[row] + 1]
            for other in range(max(start, row - len(before)), min(stop, row + len(after) + 1)):
                if other == row:
                    continue
                weight = after[other - row - 1] if other > row else before[row - other - 1]
                if weight == 0.0:
                    continue
                partner = items[other]
                if sums[partner] == 0.0:
                    current[n_partners] = partner
                    n_partners += 1
                sums[partner] += weight
        while size + n_partners > len(partners):
            partners = np.concatenate((partners, np.empty_like(partners)))
            weights = np.concatenate((weights, np.empty_like(weights)))
        for position in range(n_partners):
            partner = current[position]
            partners[size + position] = partner
            weights[size + position] = sums[partner]
            sums[partner] = 0.0
        size += n_partners
        counts[n] = n_partners
    return counts, partners[:size].copy(), weights[:size].copy()


@compiled
def select_rules(rules: ScoredLists, chosen: Int32Array) -> ScoredLists:
    """Return the rules to the items in `chosen` (V, most), of items that have more than `most`; all rules of others.

    The first items of a row of `chosen` are those that the item has rules to.
    """
    n_items, most = chosen.shape
    offsets = np.zeros(n_items + 1, dtype=np.int64)
    for item in range(n_items):
        offsets[item + 1] = offsets[item] + min(rules.offsets[item + 1] - rules.offsets[item], most)
    items = np.empty(offsets[-1], dtype=np.int32)
    scores = np.empty(offsets[-1], dtype=np.float32)
    score_of = np.zeros(n_items, dtype=np.float32)
    for item in range(n_items):
        for entry in range(rules.offsets[item], rules.offsets[item + 1]):
            score_of[rules.items[entry]] = rules.scores[entry]
        for place in range(offsets[item + 1] - offsets[item]):
            items[offsets[item] + place] = chosen[item, place]
            scores[offsets[item] + place] = score_of[chosen[item, place]]
    return ScoredLists(offsets, items, scores)


@compiled
def back_off(
    contexts: Int64Array,
    pair_rules: ScoredLists,
    last_items: Int64Array,
    rules: ScoredLists,
    factor: float,
    n_items: int,
) -> ScoredLists:
    """Return, for every event, the rules of its context, and those of its last item, times `factor`, to items that the
    context has no rule to.

    `contexts` are lists of `pair_rules`, or -1; `last_items` are lists of `rules`, or -1.
    """
    n_events = len(last_items)
    most = 0
    for event in range(n_events):
        if contexts[event] >= 0:
            most += pair_rules.offsets[contexts[event] + 1] - pair_rules.offsets[contexts[event]]
        if last_items[event] >= 0:
            most += rules.offsets[last_items[event] + 1] - rules.offsets[last_items[event]]
    offsets = np.zeros(n_events + 1, dtype=np.int64)
    items = np.empty(most, dtype=np.int32)
    scores = np.empty(most, dtype=np.float32)
    known_at = np.full(n_items, -1, dtype=np.int64)
    size = 0
    for event in range(n_events):
        if contexts[event] >= 0:
            for entry in range(pair_rules.offsets[contexts[event]], pair_rules.offsets[contexts[event] + 1]):
                items[size], scores[size] = pair_rules.items[entry], pair_rules.scores[entry]
                known_at[items[size]] = event
                size += 1
        if last_items[event] >= 0:
            for entry in range(rules.offsets[last_items[event]], rules.offsets[last_items[event] + 1]):
                if known_at[rules.items[entry]] != event:
                    items[size], scores[size] = rules.items[entry], rules.scores[entry] * factor
                    size += 1
        offsets[event + 1] = size
    return ScoredLists(offsets, items[:size].copy(), scores[:size].copy())
