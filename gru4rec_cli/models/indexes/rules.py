"""Rules `a → b` between items, weighted by how far apart the two were clicked, as compressed rows by `a`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from gru4rec_cli.base.threads import in_threads, thread_count
from gru4rec_cli.data.sessions import Sessions, last_known_items
from gru4rec_cli.evaluation.scores import CandidateBlock, FloatArray, Int32Array, Int64Array, ItemOrder

EVENTS_AT_ONCE = 1 << 20  # in a block of candidates: events that share a list are counted together
_PARTS_PER_THREAD = 8  # of the items, since popular ones take longer


@dataclass(frozen=True)
class Rules:
    """The rules of item `a` are entries `offsets[a]:offsets[a + 1]`: each item once, with a weight above 0."""

    offsets: Int64Array  # (V + 1,)
    items: Int32Array  # (n_rules,)
    weights: FloatArray  # (n_rules,)

    @classmethod
    def of(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "Rules":
        """The rules among the named arrays of a fitted model."""
        return cls(arrays["offsets"], arrays["items"], arrays["weights"])


def count_rules(
    sessions: Sessions, after: npt.NDArray[np.float64], before: npt.NDArray[np.float64] | None = None
) -> Rules:
    """weight(a → b) = Σ over all pairs of clicks (x, y) of one session, x on a and y on b, of w(y - x).

    w(d) = `after[d - 1]` and w(-d) = `before[d - 1]`; 0 beyond these arrays. Repeated clicks count every time, and so
    does a pair of two clicks on one item. Time: the number of such pairs.
    """
    from gru4rec_cli.models.indexes.rule_loops import count_pairs

    backward = np.zeros(0) if before is None else np.asarray(before, dtype=np.float64)
    forward = np.asarray(after, dtype=np.float64)
    n_items = sessions.n_items
    rows = np.argsort(sessions.items, kind="stable")  # clicks by item
    firsts = np.searchsorted(sessions.items[rows], np.arange(n_items + 1))
    owners = np.repeat(np.arange(sessions.n_sessions), sessions.lengths)
    # The items are divided so that each part has as many clicks as the next.
    parts = thread_count() * _PARTS_PER_THREAD
    bounds = np.unique(np.searchsorted(firsts, np.linspace(0, len(rows), parts + 1)).clip(0, n_items))
    bounds[0], bounds[-1] = 0, n_items

    def part(ends: tuple[int, int]) -> tuple[Int64Array, Int32Array, FloatArray]:
        return count_pairs(sessions.items, sessions.offsets, owners, rows, firsts, *ends, forward, backward)

    found = list(in_threads(part, zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True)))
    counts, items, weights = (np.concatenate(arrays) for arrays in zip(*found, strict=True))
    return Rules(np.concatenate([[0], np.cumsum(counts)]), items, weights)


def distinct_items(sessions: Sessions) -> Sessions:
    """Every session with each of its items once, at its last click."""
    from gru4rec_cli.models.indexes.history_loops import is_latest

    rows = np.flatnonzero(is_latest(sessions.items, sessions.offsets, sessions.n_items))
    offsets = np.searchsorted(rows, sessions.offsets)
    return replace(sessions, items=sessions.items[rows], times=sessions.times[rows], offsets=offsets)


def strongest(rules: Rules, most: int | None, order: ItemOrder) -> Rules:
    """The `most` heaviest rules of every item, equal weights in `order`, then by index; all of them for None."""
    if most is None:
        return rules
    from gru4rec_cli.evaluation.counting import best_candidates
    from gru4rec_cli.models.indexes.rule_loops import keep

    rows = np.arange(len(rules.offsets) - 1)
    width = min(most, len(order))
    best = best_candidates(rows, rules.offsets, rules.items, rules.weights, order.levels, order.items, width)
    return Rules(*keep(rules.offsets, rules.items, rules.weights, best))


def rule_blocks(sessions: Sessions, rules: Rules, order: ItemOrder) -> Iterator[CandidateBlock]:
    """For every event the rules of the last click of its history that the training data holds."""
    yield from candidate_blocks(last_known_items(sessions).astype(np.int64), rules, order)


def candidate_blocks(rows: Int64Array, rules: Rules, order: ItemOrder) -> Iterator[CandidateBlock]:
    """Blocks of events, of which event `e` has the candidates in row `rows[e]` of `rules`, or none for -1."""
    for start in range(0, len(rows), EVENTS_AT_ONCE):
        part = rows[start : start + EVENTS_AT_ONCE]
        yield CandidateBlock(start, part, rules.offsets, rules.items, rules.weights, order)


def fixed_order(n_events: int, order: ItemOrder) -> Iterator[CandidateBlock]:
    """Blocks of events without candidates: the same order of all items after every history."""
    nothing = Rules(np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.float32))
    yield from candidate_blocks(np.full(n_events, -1, dtype=np.int64), nothing, order)
