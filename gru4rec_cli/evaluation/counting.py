"""The loops behind full ranking: how many items stand above each target, and which are the best.

Compiled by numba at first use and kept on disk, without the interpreter's lock, so that threads can share the work.
"""

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.compiling import compiled

_SHARED = 4  # events that share a list, from which on sorting it pays
_SETS = 256  # of items whose maximum is taken together

_compiled = compiled()


@_compiled
def count_dense(
    scores: npt.NDArray[np.floating], targets: npt.NDArray[np.int32], supports: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """For every row of `scores` (events, V): greater, equal, greater_support, equal_support, and NaNs; (5, events).

    A target below 0 is unknown: all V items count as greater.
    """
    n_events, n_items = scores.shape
    counts = np.zeros((5, n_events), dtype=np.int64)
    for event in range(n_events):
        row = scores[event]
        target = targets[event]
        own = row[max(target, 0)]
        greater = equal = strange = 0
        greater_support = equal_support = 0
        for item in range(n_items):
            score = row[item]
            above, same = score > own, score == own
            greater += above
            equal += same
            strange += score != score
            greater_support += supports[item] * above
            equal_support += supports[item] * same
        counts[4, event] = strange
        if target < 0:
            counts[0, event], counts[2, event] = n_items, supports.sum()
            continue
        counts[0, event], counts[1, event] = greater, equal - 1
        counts[2, event], counts[3, event] = greater_support, equal_support - supports[target]
    return counts


@_compiled
def best_dense(scores: npt.NDArray[np.floating], longest: int) -> npt.NDArray[np.int32]:
    """The `longest` best items of every row, best first, equal scores in index order, (events, longest); no NaN.

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
        found = 0
        for first in range(n_sets):
            if maxima[first] < bar:
                continue
            for item in range(first, n_items, n_sets):
                score = row[item]
                if score < bar or (found == longest and not _ahead_of(score, item, best, lists[event], longest - 1)):
                    continue
                place = found if found < longest else longest - 1
                found = min(found + 1, longest)
                while place > 0 and _ahead_of(score, item, best, lists[event], place - 1):
                    best[place] = best[place - 1]
                    lists[event, place] = lists[event, place - 1]
                    place -= 1
                best[place] = score
                lists[event, place] = item
    return lists


@_compiled
def _ahead_of(
    score: float, item: int, best: npt.NDArray[np.floating], items: npt.NDArray[np.int32], place: int
) -> bool:
    """Whether an item comes before the one at a place of a list."""
    return bool(score > best[place] or (score == best[place] and item < items[place]))


@compiled(fastmath={"nnan", "nsz"})
def _maxima(row: npt.NDArray[np.floating], maxima: npt.NDArray[np.floating]) -> None:
    """The highest score of every set; item by item side by side, and written so that it is vectorised: `max` is not."""
    n_sets, n_items = len(maxima), len(row)
    maxima[:] = row[:n_sets]
    for start in range(n_sets, n_items, n_sets):
        scores = row[start : start + n_sets]
        for place in range(len(scores)):
            maxima[place] = scores[place] if scores[place] > maxima[place] else maxima[place]


@_compiled
def count_candidates(
    rows: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    items: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    levels: npt.NDArray[np.int32],
    targets: npt.NDArray[np.int32],
    supports: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """What `count_dense` counts, from a `CandidateBlock`'s arrays: time goes with the candidates, not with V.

    Events that share a list, as they do where the last click decides, are counted one after the other; where there are
    several, the list is sorted first, and each of them takes logarithmic time.
    """
    at, at_support = _level_totals(levels, supports)
    n_events, n_items = len(rows), len(levels)
    counts = np.zeros((5, n_events), dtype=np.int64)
    own = np.zeros(n_items, dtype=np.float64)  # keys of the list at hand; 0 for an item that is no candidate
    by_row = np.argsort(rows, kind="mergesort")
    first = 0
    while first < n_events:
        row = rows[by_row[first]]
        last = first
        while last < n_events and rows[by_row[last]] == row:
            last += 1
        start, stop = (offsets[row], offsets[row + 1]) if row >= 0 else (0, 0)
        candidates = items[start:stop]
        keys, strange = _keys(scores[start:stop], levels[candidates], len(at))
        own[candidates] = keys
        events = by_row[first:last]
        counts[4, events] = strange
        if last - first < _SHARED:
            _count_one_by_one(counts, events, targets, candidates, keys, own, levels, supports)
        else:
            _count_sorted(counts, events, targets, candidates, keys, own, levels, supports)
        for event in events:
            target = targets[event]
            if target < 0:
                counts[0, event], counts[1, event], counts[2, event], counts[3, event] = n_items, 0, at_support[0], 0
            elif own[target] == 0.0:
                # No candidate: so far its counts are the candidates that are not of a higher level, and those of its
                # own; above it are all candidates and, of the others, those of a higher level.
                level = levels[target]
                counts[0, event] += at[level + 1]
                counts[1, event] = at[level] - at[level + 1] - 1 - counts[1, event]
                counts[2, event] += at_support[level + 1]
                same_support = at_support[level] - at_support[level + 1] - supports[target]
                counts[3, event] = same_support - counts[3, event]
        own[candidates] = 0.0
        first = last
    return counts


@_compiled
def _count_one_by_one(
    counts: npt.NDArray[np.int64],
    events: npt.NDArray[np.int64],
    targets: npt.NDArray[np.int32],
    candidates: npt.NDArray[np.int32],
    keys: npt.NDArray[np.float64],
    own: npt.NDArray[np.float64],
    levels: npt.NDArray[np.int32],
    supports: npt.NDArray[np.int64],
) -> None:
    """Of a target that is a candidate, the other candidates above it and at its key; of another, the candidates that
    are not of a higher level, and those of its own; each with their training events."""
    for event in events:
        target = max(targets[event], 0)
        is_candidate = own[target] > 0.0
        for place in range(len(candidates)):
            item = candidates[place]
            if is_candidate:
                above, same = keys[place] > own[target], keys[place] == own[target] and item != target
            else:
                above, same = levels[item] <= levels[target], levels[item] == levels[target]
            counts[0, event] += above
            counts[1, event] += same
            counts[2, event] += supports[item] * above
            counts[3, event] += supports[item] * same


@_compiled
def _count_sorted(
    counts: npt.NDArray[np.int64],
    events: npt.NDArray[np.int64],
    targets: npt.NDArray[np.int32],
    candidates: npt.NDArray[np.int32],
    keys: npt.NDArray[np.float64],
    own: npt.NDArray[np.float64],
    levels: npt.NDArray[np.int32],
    supports: npt.NDArray[np.int64],
) -> None:
    """The same as `_count_one_by_one`, by binary search."""
    by_key, by_level = np.argsort(keys), np.argsort(levels[candidates])
    sorted_keys, sorted_levels = keys[by_key], levels[candidates[by_level]]
    until_key, until_level = _running(supports[candidates[by_key]]), _running(supports[candidates[by_level]])
    for event in events:
        target = max(targets[event], 0)
        if own[target] > 0.0:
            left = np.searchsorted(sorted_keys, own[target], side="left")
            right = np.searchsorted(sorted_keys, own[target], side="right")
            counts[0, event], counts[1, event] = len(keys) - right, right - left - 1
            counts[2, event] = until_key[len(keys)] - until_key[right]
            counts[3, event] = until_key[right] - until_key[left] - supports[target]
        else:
            left = np.searchsorted(sorted_levels, levels[target], side="left")
            right = np.searchsorted(sorted_levels, levels[target], side="right")
            counts[0, event], counts[1, event] = right, right - left
            counts[2, event], counts[3, event] = until_level[right], until_level[right] - until_level[left]


@_compiled
def _keys(
    scores: npt.NDArray[np.float32], levels: npt.NDArray[np.int32], n_levels: int
) -> tuple[npt.NDArray[np.float64], int]:
    """Numbers that order candidates by score, then level (see `CandidateBlock.dense`), and how many scores are NaN."""
    keys = np.empty(len(scores), dtype=np.float64)
    strange = 0
    for place in range(len(scores)):
        strange += scores[place] != scores[place]
        keys[place] = np.float64(scores[place]) * (1.0 + 2.0**-25 * (levels[place] + 1.0) / (n_levels + 1.0))
    return keys, strange


@_compiled
def _running(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """0 and the running sums, (values + 1,)."""
    sums = np.zeros(len(values) + 1, dtype=np.int64)
    for place in range(len(values)):
        sums[place + 1] = sums[place] + values[place]
    return sums


@_compiled
def _level_totals(
    levels: npt.NDArray[np.int32], supports: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Items of at least each level, and their training events, each (levels + 1,) with a 0 at the end."""
    n_levels = levels.max() + 1
    at = np.zeros(n_levels + 1, dtype=np.int64)
    at_support = np.zeros(n_levels + 1, dtype=np.int64)
    for item in range(len(levels)):
        at[levels[item]] += 1
        at_support[levels[item]] += supports[item]
    for level in range(n_levels - 1, -1, -1):
        at[level] += at[level + 1]
        at_support[level] += at_support[level + 1]
    return at, at_support


@_compiled
def best_candidates(
    rows: npt.NDArray[np.int64],
    offsets: npt.NDArray[np.int64],
    items: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    levels: npt.NDArray[np.int32],
    order: npt.NDArray[np.int32],
    longest: int,
) -> npt.NDArray[np.int32]:
    """What `best_dense` finds, from a `CandidateBlock`'s arrays; `order` (V,) is the items by descending level, equal
    levels in index order. Events that share a list have theirs found once."""
    n_events = len(rows)
    lists = np.empty((n_events, longest), dtype=np.int32)
    best = np.empty(longest, dtype=np.float32)
    by_row = np.argsort(rows, kind="mergesort")
    for index in range(n_events):
        event, row = by_row[index], rows[by_row[index]]
        if index > 0 and rows[by_row[index - 1]] == row:
            lists[event] = lists[by_row[index - 1]]
            continue
        first, last = (offsets[row], offsets[row + 1]) if row >= 0 else (0, 0)
        _best_of(items[first:last], scores[first:last], levels, order, best, lists[event])
    return lists


@_compiled
def _best_of(
    items: npt.NDArray[np.int32],
    scores: npt.NDArray[np.float32],
    levels: npt.NDArray[np.int32],
    order: npt.NDArray[np.int32],
    best: npt.NDArray[np.float32],
    chosen: npt.NDArray[np.int32],
) -> None:
    """Fill `chosen` with the best of the candidates, then with the first of the others in `order`."""
    longest, found = len(chosen), 0
    for entry in range(len(items)):
        item, score = items[entry], scores[entry]
        if found == longest and not _before(score, item, best[longest - 1], chosen[longest - 1], levels):
            continue
        place = found if found < longest else longest - 1
        found = min(found + 1, longest)
        while place > 0 and _before(score, item, best[place - 1], chosen[place - 1], levels):
            best[place] = best[place - 1]
            chosen[place] = chosen[place - 1]
            place -= 1
        best[place] = score
        chosen[place] = item
    candidates = found
    position = 0
    while found < longest:  # then all candidates are chosen
        item = order[position]
        position += 1
        known = False
        for place in range(candidates):
            known |= chosen[place] == item
        if not known:
            chosen[found] = item
            found += 1


@_compiled
def _before(
    score: np.float32, item: np.int32, other_score: np.float32, other: np.int32, levels: npt.NDArray[np.int32]
) -> bool:
    """Whether one candidate comes before another: by score, then by level, then by index."""
    if score != other_score:
        return bool(score > other_score)
    if levels[item] != levels[other]:
        return bool(levels[item] > levels[other])
    return bool(item < other)
