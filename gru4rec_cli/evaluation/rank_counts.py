"""Compiled loops behind full ranking: how many items rank above each target, and which items rank first."""

from typing import NamedTuple

import numpy as np

from gru4rec_cli.base.arrays import Float32Array, Float64Array, FloatingArray, Int32Array, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.evaluation.scores import ScoredLists

_SHARED = 4  # events that share a list, from which on sorting it pays
_SETS = 256  # of items whose maximum is taken together


@compiled
def count_dense(scores: FloatingArray, targets: Int32Array, supports: Int64Array) -> Int64Array:
    """Count, for every row of `scores` (events, V), greater, equal, greater_support, equal_support, and NaNs;
    (5, events).

    A target below 0 is unknown: all V items count as greater.
    """
    n_events, n_items = scores.shape
    counts = np.zeros((5, n_events), dtype=np.int64)
    for event in range(n_events):
        row = scores[event]
        target = targets[event]
        target_score = row[max(target, 0)]
        greater = equal = n_nan = 0
        greater_support = equal_support = 0
        for item in range(n_items):
            score = row[item]
            above, same = score > target_score, score == target_score
            greater += above
            equal += same
            n_nan += score != score
            greater_support += supports[item] * above
            equal_support += supports[item] * same
        counts[4, event] = n_nan
        if target < 0:
            counts[0, event], counts[2, event] = n_items, supports.sum()
            continue
        counts[0, event], counts[1, event] = greater, equal - 1
        counts[2, event], counts[3, event] = greater_support, equal_support - supports[target]
    return counts


@compiled
def best_dense(scores: FloatingArray, longest: int) -> Int32Array:
    """Return the `longest` best items of every row, best first, equal scores in index order, (events, longest); no NaN.

    Set s are the items s, s + sets, s + 2 · sets, …. As many sets as there are places have a maximum of at least `bar`,
    so that only the few sets whose maximum reaches it hold any of the best items.
    """
    n_events, n_items = scores.shape
    lists = np.empty((n_events, longest), dtype=np.int32)
    best = np.empty(longest, dtype=scores.dtype)
    n_sets = min(n_items, max(_SETS, 4 * longest))
    maxima = np.empty(n_sets, dtype=scores.dtype)
    for event in range(n_events):
        row = scores[event]
        _maxima(row, maxima)
        bar = np.partition(maxima, max(n_sets - longest, 0))[max(n_sets - longest, 0)]
        n_chosen = 0
        for first in range(n_sets):
            if maxima[first] < bar:
                continue
            for item in range(first, n_items, n_sets):
                score = row[item]
                if score < bar or (n_chosen == longest and not _ahead_of(score, item, best, lists[event], longest - 1)):
                    continue
                place = n_chosen if n_chosen < longest else longest - 1
                n_chosen = min(n_chosen + 1, longest)
                while place > 0 and _ahead_of(score, item, best, lists[event], place - 1):
                    best[place] = best[place - 1]
                    lists[event, place] = lists[event, place - 1]
                    place -= 1
                best[place] = score
                lists[event, place] = item
    return lists


@compiled
def _ahead_of(score: float, item: int, best: FloatingArray, items: Int32Array, place: int) -> bool:
    """Return whether an item comes before the item at a place of a list."""
    return bool(score > best[place] or (score == best[place] and item < items[place]))


@compiled
def _maxima(row: FloatingArray, maxima: FloatingArray) -> None:
    """Write the highest score of every set into `maxima`. The comparison is vectorised; `max` would not be."""
    n_sets, n_items = len(maxima), len(row)
    maxima[:] = row[:n_sets]
    for start in range(n_sets, n_items, n_sets):
        scores = row[start : start + n_sets]
        for place in range(len(scores)):
            score, highest = scores[place], maxima[place]
            maxima[place] = score if score > highest else highest


class _Candidates(NamedTuple):
    """One list of candidates."""

    items: Int32Array  # (candidates,)
    keys: Float64Array  # (candidates,) numbers above 0 that order the candidates by score, then level
    key_of: Float64Array  # (V,) the same by item, 0 for items that are no candidates


@compiled
def count_candidates(
    rows: Int64Array, lists: ScoredLists, targets: Int32Array, levels: Int32Array, supports: Int64Array
) -> Int64Array:
    """Count what `count_dense` counts, from the lists of a `CandidateBlock`; time grows with the candidates, not V.

    Events that share a list, as they do where the last click decides, are counted one after the other; where there are
    several, the list is sorted first, and each of them takes logarithmic time.
    """
    items_from, support_from = _level_totals(levels, supports)
    n_events, n_items, n_levels = len(rows), len(levels), len(items_from)
    counts = np.zeros((5, n_events), dtype=np.int64)
    key_of = np.zeros(n_items, dtype=np.float64)
    by_row = np.argsort(rows, kind="mergesort")
    first = 0
    while first < n_events:
        row = rows[by_row[first]]
        last = first
        while last < n_events and rows[by_row[last]] == row:
            last += 1
        start, stop = (lists.offsets[row], lists.offsets[row + 1]) if row >= 0 else (0, 0)
        items = lists.items[start:stop]
        keys, n_nan = _keys(lists.scores[start:stop], levels[items], n_levels)
        key_of[items] = keys
        events = by_row[first:last]
        counts[4, events] = n_nan
        if last - first < _SHARED:
            _count_by_scan(counts, events, targets, _Candidates(items, keys, key_of), levels, supports)
        else:
            _count_by_search(counts, events, targets, _Candidates(items, keys, key_of), levels, supports)
        for event in events:
            target = targets[event]
            if target < 0:
                counts[0, event], counts[1, event] = n_items, 0
                counts[2, event], counts[3, event] = support_from[0], 0
            elif key_of[target] == 0.0:
                # No candidate: so far its counts are the candidates that are not of a higher level, and those of its
                # level; above it are all candidates and, of the others, those of a higher level.
                level = levels[target]
                counts[0, event] += items_from[level + 1]
                counts[1, event] = items_from[level] - items_from[level + 1] - 1 - counts[1, event]
                counts[2, event] += support_from[level + 1]
                same_support = support_from[level] - support_from[level + 1] - supports[target]
                counts[3, event] = same_support - counts[3, event]
        key_of[items] = 0.0
        first = last
    return counts


@compiled
def _count_by_scan(
    counts: Int64Array,
    events: Int64Array,
    targets: Int32Array,
    candidates: _Candidates,
    levels: Int32Array,
    supports: Int64Array,
) -> None:
    """Count, for a target that is a candidate, the other candidates above it and at its key; for another target, the
    candidates that are not of a higher level, and those of its level; each with their training events."""
    items, keys, key_of = candidates.items, candidates.keys, candidates.key_of
    for event in events:
        target = max(targets[event], 0)
        is_candidate = key_of[target] > 0.0
        for place in range(len(items)):
            item = items[place]
            if is_candidate:
                above, same = keys[place] > key_of[target], keys[place] == key_of[target] and item != target
            else:
                above, same = levels[item] <= levels[target], levels[item] == levels[target]
            counts[0, event] += above
            counts[1, event] += same
            counts[2, event] += supports[item] * above
            counts[3, event] += supports[item] * same


@compiled
def _count_by_search(
    counts: Int64Array,
    events: Int64Array,
    targets: Int32Array,
    candidates: _Candidates,
    levels: Int32Array,
    supports: Int64Array,
) -> None:
    """Count the same as `_count_by_scan`, by binary search."""
    items, keys, key_of = candidates.items, candidates.keys, candidates.key_of
    by_key, by_level = np.argsort(keys), np.argsort(levels[items])
    sorted_keys, sorted_levels = keys[by_key], levels[items[by_level]]
    until_key, until_level = _running_sums(supports[items[by_key]]), _running_sums(supports[items[by_level]])
    for event in events:
        target = max(targets[event], 0)
        if key_of[target] > 0.0:
            left = np.searchsorted(sorted_keys, key_of[target], side="left")
            right = np.searchsorted(sorted_keys, key_of[target], side="right")
            counts[0, event], counts[1, event] = len(keys) - right, right - left - 1
            counts[2, event] = until_key[len(keys)] - until_key[right]
            counts[3, event] = until_key[right] - until_key[left] - supports[target]
        else:
            left = np.searchsorted(sorted_levels, levels[target], side="left")
            right = np.searchsorted(sorted_levels, levels[target], side="right")
            counts[0, event], counts[1, event] = right, right - left
            counts[2, event], counts[3, event] = until_level[right], until_level[right] - until_level[left]


@compiled
def _keys(scores: Float32Array, levels: Int32Array, n_levels: int) -> tuple[Float64Array, int]:
    """Return numbers that order candidates by score, then level (see `CandidateBlock.dense`), and the number of NaN
    scores."""
    keys = np.empty(len(scores), dtype=np.float64)
    n_nan = 0
    for place in range(len(scores)):
        n_nan += scores[place] != scores[place]
        keys[place] = np.float64(scores[place]) * (1.0 + 2.0**-25 * (levels[place] + 1.0) / (n_levels + 1.0))
    return keys, n_nan


@compiled
def _running_sums(values: Int64Array) -> Int64Array:
    """Return 0 and the running sums, (values + 1,)."""
    sums = np.zeros(len(values) + 1, dtype=np.int64)
    for place in range(len(values)):
        sums[place + 1] = sums[place] + values[place]
    return sums


@compiled
def _level_totals(levels: Int32Array, supports: Int64Array) -> tuple[Int64Array, Int64Array]:
    """Count the items of at least each level, and their training events, each (levels + 1,) with a 0 at the end."""
    n_levels = levels.max() + 1
    items_from = np.zeros(n_levels + 1, dtype=np.int64)
    support_from = np.zeros(n_levels + 1, dtype=np.int64)
    for item in range(len(levels)):
        items_from[levels[item]] += 1
        support_from[levels[item]] += supports[item]
    for level in range(n_levels - 1, -1, -1):
        items_from[level] += items_from[level + 1]
        support_from[level] += support_from[level + 1]
    return items_from, support_from


@compiled
def best_candidates(
    rows: Int64Array, lists: ScoredLists, levels: Int32Array, order: Int32Array, longest: int
) -> Int32Array:
    """Return what `best_dense` returns, from the lists of a `CandidateBlock`; `order` (V,) is the items by descending
    level, equal levels in index order. Events that share a list are computed once."""
    n_events = len(rows)
    chosen = np.empty((n_events, longest), dtype=np.int32)
    best = np.empty(longest, dtype=np.float32)
    by_row = np.argsort(rows, kind="mergesort")
    for index in range(n_events):
        event, row = by_row[index], rows[by_row[index]]
        if index > 0 and rows[by_row[index - 1]] == row:
            chosen[event] = chosen[by_row[index - 1]]
            continue
        start, stop = (lists.offsets[row], lists.offsets[row + 1]) if row >= 0 else (0, 0)
        _best_of_list(lists.items[start:stop], lists.scores[start:stop], levels, order, best, chosen[event])
    return chosen


@compiled
def _best_of_list(
    items: Int32Array,
    scores: Float32Array,
    levels: Int32Array,
    order: Int32Array,
    best: Float32Array,
    chosen: Int32Array,
) -> None:
    """Fill `chosen` with the best of the candidates, then with the first of the others in `order`."""
    longest, n_chosen = len(chosen), 0
    for entry in range(len(items)):
        item, score = items[entry], scores[entry]
        if n_chosen == longest and not _before(score, item, best[longest - 1], chosen[longest - 1], levels):
            continue
        place = n_chosen if n_chosen < longest else longest - 1
        n_chosen = min(n_chosen + 1, longest)
        while place > 0 and _before(score, item, best[place - 1], chosen[place - 1], levels):
            best[place] = best[place - 1]
            chosen[place] = chosen[place - 1]
            place -= 1
        best[place] = score
        chosen[place] = item
    candidates = n_chosen
    position = 0
    while n_chosen < longest:  # then all candidates are chosen
        item = order[position]
        position += 1
        known = False
        for place in range(candidates):
            known |= chosen[place] == item
        if not known:
            chosen[n_chosen] = item
            n_chosen += 1


@compiled
def _before(score: np.float32, item: np.int32, other_score: np.float32, other: np.int32, levels: Int32Array) -> bool:
    """Return whether one candidate comes before another: by score, then by level, then by index."""
    if score != other_score:
        return bool(score > other_score)
    if levels[item] != levels[other]:
        return bool(levels[item] > levels[other])
    return bool(item < other)
