"""Rules `a → b` between items, weighted by how far apart the two were clicked.

The rules of item `a` are list `a` of `ScoredLists`: items `b`, with the weights of the rules as their scores.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from gru4rec_cli.base.arrays import Float32Array, Float64Array, Int32Array, Int64Array
from gru4rec_cli.base.threads import in_threads, thread_count
from gru4rec_cli.data.sessions import Sessions, last_known_items
from gru4rec_cli.evaluation.scores import CandidateBlock, ItemOrder, ScoredLists
from gru4rec_cli.models.base import check_vocabulary

_EVENTS_AT_ONCE = 1 << 20  # in a block of candidates: events that share a list are counted together
_PARTS_PER_THREAD = 8  # of the items, since popular ones take longer


def count_rules(sessions: Sessions, after: Float64Array, before: Float64Array | None = None) -> ScoredLists:
    """Return the rules of all items.

    weight(a → b) = Σ over all pairs of clicks (x, y) of one session, x on a and y on b, of w(y - x), with
    w(d) = `after[d - 1]` and w(-d) = `before[d - 1]`; 0 beyond these arrays. Repeated clicks count every time, and so
    does a pair of two clicks on one item. Time: the number of such pairs.
    """
    from gru4rec_cli.models.indexes.rule_loops import count_pairs

    backward = np.zeros(0) if before is None else np.asarray(before, dtype=np.float64)
    forward = np.asarray(after, dtype=np.float64)
    n_items = sessions.n_items
    rows = np.argsort(sessions.items, kind="stable")  # clicks by item
    bounds = np.searchsorted(sessions.items[rows], np.arange(n_items + 1))
    session_of = np.repeat(np.arange(sessions.n_sessions), sessions.lengths)
    # The items are divided so that each part has as many clicks as the next.
    parts = thread_count() * _PARTS_PER_THREAD
    ends = np.unique(np.searchsorted(bounds, np.linspace(0, len(rows), parts + 1)).clip(0, n_items))
    ends[0], ends[-1] = 0, n_items

    def part(first: int, last: int) -> tuple[Int64Array, Int32Array, Float32Array]:
        of_part = bounds[first : last + 1]
        return count_pairs(sessions.items, sessions.offsets, session_of, rows, of_part, n_items, forward, backward)

    counted = list(in_threads(lambda pair: part(*pair), pairwise(ends.tolist())))
    counts, items, weights = (np.concatenate(arrays) for arrays in zip(*counted, strict=True))
    return ScoredLists(np.concatenate([[0], np.cumsum(counts)]), items, weights)


def distinct_items(sessions: Sessions) -> Sessions:
    """Return every session with each of its items once, at its last click."""
    from gru4rec_cli.models.indexes.history_loops import is_latest

    rows = np.flatnonzero(is_latest(sessions.items, sessions.offsets, sessions.n_items))
    offsets = np.searchsorted(rows, sessions.offsets)
    return replace(sessions, items=sessions.items[rows], times=sessions.times[rows], offsets=offsets)


def strongest(rules: ScoredLists, most: int | None, order: ItemOrder) -> ScoredLists:
    """Return the `most` heaviest rules of every item, equal weights in `order`, then by index; all rules for None."""
    if most is None:
        return rules
    from gru4rec_cli.evaluation.rank_counts import best_candidates
    from gru4rec_cli.models.indexes.rule_loops import select_rules

    every_item = np.arange(len(rules.offsets) - 1)
    return select_rules(rules, best_candidates(every_item, rules, order.levels, order.items, min(most, len(order))))


def rule_blocks(sessions: Sessions, rules: ScoredLists, order: ItemOrder) -> Iterator[CandidateBlock]:
    """Yield, for every event, the rules of the last click of its history that the training data holds."""
    check_vocabulary(sessions, len(order))
    yield from _list_blocks(last_known_items(sessions).astype(np.int64), rules, order)


def fixed_order(sessions: Sessions, order: ItemOrder) -> Iterator[CandidateBlock]:
    """Yield events without candidates: the same order of all items after every history."""
    check_vocabulary(sessions, len(order))
    empty = ScoredLists(np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))
    yield from _list_blocks(np.full(sessions.n_targets, -1, dtype=np.int64), empty, order)


def _list_blocks(rows: Int64Array, lists: ScoredLists, order: ItemOrder) -> Iterator[CandidateBlock]:
    """Yield blocks of events, of which event `e` has the candidates in list `rows[e]`, or none for -1."""
    for start in range(0, len(rows), _EVENTS_AT_ONCE):
        yield CandidateBlock(start, rows[start : start + _EVENTS_AT_ONCE], lists, order)
