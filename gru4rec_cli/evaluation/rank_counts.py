"""How many items rank above each target, and which items rank first: compiled loops behind full ranking.

Memory is allocated, and events are sorted, by NumPy. Inside the loops these would be compiled with them: with numba's
`argsort`, `searchsorted` and `partition`, the loops took 30 s to compile.
"""

from typing import NamedTuple

import numpy as np

from gru4rec_cli.base.arrays import Float32Array, Float64Array, FloatingArray, Int32Array, Int64Array
from gru4rec_cli.base.compiling import compiled
from gru4rec_cli.evaluation.scores import ScoredLists

_SHARED = 4  # events that share a list, from which on sorting it pays
_RUN = 16  # numbers that are sorted by insertion
_SETS = 256  # of items whose maximum is taken together


def count_dense(scores: FloatingArray, targets: Int32Array, supports: Int64Array) -> Int64Array:
    """Count, for every row of `scores` (events, V), greater, equal, greater_support, equal_support, and NaNs;
    (5, events).

    A target below 0 is unknown: all V items count as greater.
    """
    counts = np.zeros((5, len(scores)), dtype=np.int64)
    _count_rows(scores, targets, supports, supports.sum(), counts)
    return counts


@compiled
def _count_rows(
    scores: FloatingArray, targets: Int32Array, supports: Int64Array, all_support: int, counts: Int64Array
) -> None:
    """Fill `counts` (5, events); see `count_dense`."""
    n_events, n_items = scores.shape
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
            counts[0, event], counts[2, event] = n_items, all_support
            continue
        counts[0, event], counts[1, event] = greater, equal - 1
        counts[2, event], counts[3, event] = greater_support, equal_support - supports[target]


def best_dense(scores: FloatingArray, longest: int) -> Int32Array:
    """Return the `longest` best items of every row, best first, equal scores in index order, (events, longest); no
    NaN."""
    n_events, n_items = scores.shape
    lists = np.empty((n_events, longest), dtype=np.int32)
    n_sets = min(n_items, max(_SETS, 4 * longest))
    maxima = np.empty((2, n_sets), dtype=scores.dtype)
    _fill_lists(scores, maxima, np.empty(longest, dtype=scores.dtype), lists)
    return lists


@compiled
def _fill_lists(scores: FloatingArray, maxima: FloatingArray, best: FloatingArray, lists: Int32Array) -> None:
    """Fill `lists` (events, longest); see `best_dense`. Working memory: `maxima` (2, sets), `best` (longest,).

    Set s are the items s, s + sets, s + 2 · sets, …. As many sets as there are places have a maximum of at least `bar`,
    so that only the few sets whose maximum reaches it hold any of the best items.
    """
    n_events, n_items = scores.shape
    n_sets, longest = maxima.shape[1], len(best)
    for event in range(n_events):
        row = scores[event]
        _maxima(row, maxima[0])
        for place in range(n_sets):
            maxima[1, place] = maxima[0, place]
        bar = _in_order(maxima[1], max(n_sets - longest, 0))
        n_chosen = 0
        for first in range(n_sets):
            if maxima[0, first] < bar:
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


@compiled
def _ahead_of(score: float, item: int, best: FloatingArray, items: Int32Array, place: int) -> bool:
    """Return whether an item comes before the item at a place of a list."""
    return bool(score > best[place] or (score == best[place] and item < items[place]))


@compiled
def _maxima(row: FloatingArray, maxima: FloatingArray) -> None:
    """Write the highest score of every set into `maxima`. The comparison is vectorised; `max` would not be."""
    n_sets, n_items = len(maxima), len(row)
    for place in range(n_sets):
        maxima[place] = row[place]
    for start in range(n_sets, n_items, n_sets):
        scores = row[start : start + n_sets]
        for place in range(len(scores)):
            score, highest = scores[place], maxima[place]
            maxima[place] = score if score > highest else highest


@compiled
def _in_order(values: FloatingArray, place: int) -> float:
    """Return the value that is at this place in ascending order; `values` are moved (Hoare, *Find*, CACM 1961)."""
    first, last = 0, len(values) - 1
    while first < last:
        pivot = values[(first + last) // 2]
        left, right = first, last
        while left <= right:
            while values[left] < pivot:
                left += 1
            while pivot < values[right]:
                right -= 1
            if left <= right:
                values[left], values[right] = values[right], values[left]
                left += 1
                right -= 1
        if place <= right:
            last = right
        elif place >= left:
            first = left
        else:
            break
    return float(values[place])


class _Candidates(NamedTuple):
    """One list of candidates."""

    items: Int32Array  # (candidates,)
    keys: Float64Array  # (candidates,) numbers above 0 that order the candidates by score, then level
    key_of: Float64Array  # (V,) the same by item, 0 for items that are no candidates


class _AllItems(NamedTuple):
    """Levels and training events of all items, for those that are no candidates."""

    levels: Int32Array  # (V,)
    supports: Int64Array  # (V,)
    items_from: Int64Array  # (levels + 1,) items of at least each level, 0 at the end
    support_from: Int64Array  # (levels + 1,) their training events

    @classmethod
    def of(cls, levels: Int32Array, supports: Int64Array) -> "_AllItems":
        items = np.bincount(levels)
        support = np.zeros(len(items), dtype=np.int64)
        np.add.at(support, levels, supports)
        return cls(levels, supports, *(np.append(np.cumsum(by[::-1])[::-1], 0) for by in (items, support)))


def count_candidates(
    rows: Int64Array, lists: ScoredLists, targets: Int32Array, levels: Int32Array, supports: Int64Array
) -> Int64Array:
    """Count what `count_dense` counts, from the lists of a `CandidateBlock`; time grows with the candidates, not V.

    Events that share a list, as they do where the last click decides, are counted one after the other; where there are
    several, the list is sorted first, and each of them takes logarithmic time.
    """
    counts = np.zeros((5, len(rows)), dtype=np.int64)
    by_row = np.argsort(rows, kind="stable")
    _count_lists(rows, by_row, lists, targets, _AllItems.of(levels, supports), np.zeros(len(levels)), counts)
    return counts


@compiled
def _count_lists(
    rows: Int64Array,
    by_row: Int64Array,
    lists: ScoredLists,
    targets: Int32Array,
    known: _AllItems,
    key_of: Float64Array,
    counts: Int64Array,
) -> None:
    """Fill `counts` (5, events), which are 0; `by_row` are the events in the order of their `rows`. `key_of` (V,) is 0
    throughout, before and after."""
    levels, supports = known.levels, known.supports
    keys = np.empty(0, dtype=np.float64)
    first = 0
    while first < len(rows):
        row = rows[by_row[first]]
        last = first
        while last < len(rows) and rows[by_row[last]] == row:
            last += 1
        events = by_row[first:last]
        start, stop = (lists.offsets[row], lists.offsets[row + 1]) if row >= 0 else (0, 0)
        if stop - start > len(keys):
            keys = np.empty(2 * (stop - start), dtype=np.float64)
        candidates = _Candidates(lists.items[start:stop], keys[: stop - start], key_of)
        n_nan = _find_keys(candidates, lists.scores[start:stop], levels, len(known.items_from))
        if last - first < _SHARED:
            _count_by_scan(counts, events, targets, candidates, levels, supports)
        else:
            _count_by_search(counts, events, targets, candidates, levels, supports)
        for event in events:
            counts[4, event] = n_nan
            if targets[event] < 0 or key_of[targets[event]] == 0.0:
                _count_others(counts[:, event], targets[event], known)
        for item in candidates.items:
            key_of[item] = 0.0
        first = last


@compiled
def _count_others(counts: Int64Array, target: np.int32, known: _AllItems) -> None:
    """Complete the counts (5,) of an event whose target is no candidate.

    So far they are the candidates that are not of a higher level, and those of its level. Above it are all candidates
    and, of the others, those of a higher level.
    """
    items_from, support_from = known.items_from, known.support_from
    if target < 0:
        counts[0], counts[1] = items_from[0], 0
        counts[2], counts[3] = support_from[0], 0
        return
    level = known.levels[target]
    counts[0] += items_from[level + 1]
    counts[1] = items_from[level] - items_from[level + 1] - 1 - counts[1]
    counts[2] += support_from[level + 1]
    counts[3] = support_from[level] - support_from[level + 1] - known.supports[target] - counts[3]


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
    items, key_of = candidates.items, candidates.key_of
    n_candidates = 0
    for event in events:
        n_candidates += key_of[max(targets[event], 0)] > 0.0
    if n_candidates > 0:
        keys, until = _ascending(candidates.keys, items, supports)
        for event in events:
            target = max(targets[event], 0)
            if key_of[target] > 0.0:
                left, right = _places(keys, key_of[target])
                counts[0, event], counts[1, event] = len(keys) - right, right - left - 1
                counts[2, event], counts[3, event] = until[len(keys)] - until[right], until[right] - until[left]
                counts[3, event] -= supports[target]
    if n_candidates < len(events):
        item_levels = np.empty(len(items), dtype=np.float64)
        for place in range(len(items)):
            item_levels[place] = levels[items[place]]
        item_levels, until = _ascending(item_levels, items, supports)
        for event in events:
            target = max(targets[event], 0)
            if key_of[target] == 0.0:
                left, right = _places(item_levels, np.float64(levels[target]))
                counts[0, event], counts[1, event] = right, right - left
                counts[2, event], counts[3, event] = until[right], until[right] - until[left]


@compiled
def _find_keys(candidates: _Candidates, scores: Float32Array, levels: Int32Array, n_levels: int) -> int:
    """Fill in the keys, which order candidates by score, then level (see `CandidateBlock.dense`); return the number of
    NaN scores."""
    n_nan = 0
    for place in range(len(scores)):
        item = candidates.items[place]
        n_nan += scores[place] != scores[place]
        key = np.float64(scores[place]) * (1.0 + 2.0**-25 * (levels[item] + 1.0) / (n_levels + 1.0))
        candidates.keys[place] = candidates.key_of[item] = key
    return n_nan


@compiled
def _ascending(numbers: Float64Array, items: Int32Array, supports: Int64Array) -> tuple[Float64Array, Int64Array]:
    """Return the numbers of some items in ascending order, and the running sums of the items' training events, from 0
    on (numbers + 1,)."""
    ascending, until = np.empty(len(numbers), dtype=np.float64), np.empty(len(numbers) + 1, dtype=np.int64)
    until[0] = 0
    for place in range(len(numbers)):
        ascending[place], until[place + 1] = numbers[place], supports[items[place]]
    _sort(ascending, until[1:])
    for place in range(len(numbers)):
        until[place + 1] += until[place]
    return ascending, until


@compiled
def _sort(values: Float64Array, others: Int64Array) -> None:
    """Sort values, and others with them (Hoare, *Quicksort*, 1962); short runs by insertion."""
    waiting = np.empty((64, 2), dtype=np.int64)  # the larger part waits, so that there are at most log2(values)
    waiting[0, 0], waiting[0, 1] = 0, len(values) - 1
    n_waiting = 1
    while n_waiting > 0:
        n_waiting -= 1
        first, last = waiting[n_waiting, 0], waiting[n_waiting, 1]
        while last - first >= _RUN:
            pivot = values[(first + last) // 2]
            left, right = first, last
            while left <= right:
                while values[left] < pivot:
                    left += 1
                while pivot < values[right]:
                    right -= 1
                if left <= right:
                    values[left], values[right] = values[right], values[left]
                    others[left], others[right] = others[right], others[left]
                    left, right = left + 1, right - 1
            if right - first > last - left:
                waiting[n_waiting, 0], waiting[n_waiting, 1] = first, right
                first = left
            else:
                waiting[n_waiting, 0], waiting[n_waiting, 1] = left, last
                last = right
            n_waiting += 1
        for place in range(first + 1, last + 1):
            value, other, free = values[place], others[place], place
            while free > first and values[free - 1] > value:
                values[free], others[free] = values[free - 1], others[free - 1]
                free -= 1
            values[free], others[free] = value, other


@compiled
def _places(ascending: Float64Array, number: float) -> tuple[int, int]:
    """Return how many of the ascending numbers are below a number, and how many are not above it."""
    low, high = 0, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] < number:
            low = middle + 1
        else:
            high = middle
    below, high = low, len(ascending)
    while low < high:
        middle = (low + high) // 2
        if ascending[middle] <= number:
            low = middle + 1
        else:
            high = middle
    return below, low


def best_candidates(
    rows: Int64Array, lists: ScoredLists, levels: Int32Array, order: Int32Array, longest: int
) -> Int32Array:
    """Return what `best_dense` returns, from the lists of a `CandidateBlock`; `order` (V,) is the items by descending
    level, equal levels in index order. Events that share a list are computed once."""
    chosen = np.empty((len(rows), longest), dtype=np.int32)
    best = np.empty(longest, dtype=np.float32)
    _choose(rows, np.argsort(rows, kind="stable"), lists, levels, order, best, chosen)
    return chosen


@compiled
def _choose(
    rows: Int64Array,
    by_row: Int64Array,
    lists: ScoredLists,
    levels: Int32Array,
    order: Int32Array,
    best: Float32Array,
    chosen: Int32Array,
) -> None:
    """Fill `chosen` (events, longest); `by_row` are the events in the order of their `rows`."""
    for index in range(len(rows)):
        event, row = by_row[index], rows[by_row[index]]
        if index > 0 and rows[by_row[index - 1]] == row:
            for place in range(len(best)):
                chosen[event, place] = chosen[by_row[index - 1], place]
            continue
        start, stop = (lists.offsets[row], lists.offsets[row + 1]) if row >= 0 else (0, 0)
        _best_of_list(lists.items[start:stop], lists.scores[start:stop], levels, order, best, chosen[event])


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
