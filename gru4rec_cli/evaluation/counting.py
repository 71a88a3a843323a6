"""The loops behind full ranking: how many items stand above each target, and which are the best.

Compiled by numba at first use and kept on disk, without the interpreter's lock, so that threads can share the work.
"""

import numba
import numpy as np
import numpy.typing as npt

_STRETCH = 128  # scores whose maximum is taken together

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


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

    As many stretches as there are places have a maximum of at least `bar`, so that only the few stretches whose maximum
    reaches it hold any of the best items.
    """
    n_events, n_items = scores.shape
    lists = np.empty((n_events, longest), dtype=np.int32)
    best = np.empty(longest, dtype=scores.dtype)
    n_stretches = (n_items + _STRETCH - 1) // _STRETCH
    maxima = np.empty(n_stretches, dtype=scores.dtype)
    for event in range(n_events):
        row = scores[event]
        _maxima(row, maxima)
        bar = np.partition(maxima, max(n_stretches - longest, 0))[max(n_stretches - longest, 0)]
        found = 0
        for stretch in range(n_stretches):
            if maxima[stretch] < bar:
                continue
            for item in range(stretch * _STRETCH, min((stretch + 1) * _STRETCH, n_items)):
                score = row[item]
                if found == longest and score <= best[longest - 1]:
                    continue
                place = found if found < longest else longest - 1
                found = min(found + 1, longest)
                while place > 0 and best[place - 1] < score:
                    best[place] = best[place - 1]
                    lists[event, place] = lists[event, place - 1]
                    place -= 1
                best[place] = score
                lists[event, place] = item
    return lists


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"nnan", "nsz", "reassoc"})
def _maxima(row: npt.NDArray[np.floating], maxima: npt.NDArray[np.floating]) -> None:
    """The highest score of every stretch."""
    for stretch in range(len(maxima)):
        start, stop = stretch * _STRETCH, min((stretch + 1) * _STRETCH, len(row))
        highest = row[start]
        for item in range(start, stop):
            highest = max(highest, row[item])
        maxima[stretch] = highest


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
    """What `count_dense` counts, from a `CandidateBlock`'s arrays: time goes with the candidates, not with V."""
    at, at_support = _level_totals(levels, supports)
    n_events, n_items = len(rows), len(levels)
    counts = np.zeros((5, n_events), dtype=np.int64)
    for event in range(n_events):
        target = targets[event]
        if target < 0:
            counts[0, event], counts[2, event] = n_items, supports.sum()
            continue
        level = levels[target]
        first = last = 0
        if rows[event] >= 0:
            first, last = offsets[rows[event]], offsets[rows[event] + 1]
        own = np.float32(-1.0)
        strange = 0
        for entry in range(first, last):
            strange += scores[entry] != scores[entry]
            if items[entry] == target:
                own = scores[entry]
        greater = equal = greater_support = equal_support = 0
        if own < 0:  # not a candidate: above it are the candidates and, of the others, those of a higher level
            greater, equal = at[level + 1], at[level] - at[level + 1] - 1
            greater_support = at_support[level + 1]
            equal_support = at_support[level] - at_support[level + 1] - supports[target]
        for entry in range(first, last):
            item = items[entry]
            above = scores[entry] > own or (scores[entry] == own and levels[item] > level)
            if own < 0:
                greater += levels[item] <= level  # those of a higher level are counted already
                greater_support += supports[item] * (levels[item] <= level)
                equal -= levels[item] == level
                equal_support -= supports[item] * (levels[item] == level)
            elif above:
                greater += 1
                greater_support += supports[item]
            elif scores[entry] == own and levels[item] == level and item != target:
                equal += 1
                equal_support += supports[item]
        counts[0, event], counts[1, event] = greater, equal
        counts[2, event], counts[3, event] = greater_support, equal_support
        counts[4, event] = strange
    return counts


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
    levels in index order."""
    n_events = len(rows)
    lists = np.empty((n_events, longest), dtype=np.int32)
    best = np.empty(longest, dtype=np.float32)
    for event in range(n_events):
        chosen = lists[event]
        first = last = 0
        if rows[event] >= 0:
            first, last = offsets[rows[event]], offsets[rows[event] + 1]
        found = 0
        for entry in range(first, last):
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
        while found < longest:  # then all candidates are chosen, and the fixed order fills up
            item = order[position]
            position += 1
            known = False
            for place in range(candidates):
                known |= chosen[place] == item
            if not known:
                chosen[found] = item
                found += 1
    return lists


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
