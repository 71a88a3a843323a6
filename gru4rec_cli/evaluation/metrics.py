"""The table of metrics, and their values from the counts of greater and equal scores: one relevant item an event."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from gru4rec_cli.base.arrays import Float64Array, Int64Array, IntegerArray

TieRule = Literal["conservative", "median", "optimistic"]
TIE_RULES: tuple[TieRule, ...] = get_args(TieRule)


@dataclass(frozen=True)
class Metric:
    """A metric of one relevant item: metric@K is `gain(rank)` where the target's rank is at most K, else 0.

    `gain` takes ranks of any shape, 1 is best and halves are possible, and returns values of that shape.
    """

    name: str  # in artifacts and settings
    label: str  # in tables and figures
    gain: Callable[[Float64Array], Float64Array]


# All metrics, in the order in which they are reported. A new one is one entry here.
METRICS = {
    metric.name: metric
    for metric in (
        Metric("recall", "Recall", lambda rank: np.ones_like(rank)),  # the hit rate, since one item is relevant
        Metric("mrr", "MRR", lambda rank: 1.0 / rank),
        Metric("ndcg", "NDCG", lambda rank: 1.0 / np.log2(rank + 1.0)),  # Järvelin & Kekäläinen, ACM TOIS 2002
    )
}
HEADLINE = next(iter(METRICS))  # the first of them orders the models
LARGEST_CUTOFF = 1_000_000  # that can be set; one above the number of items means all items
_SHOWN = 30  # characters of a text that is refused
_METRIC_AT_K = re.compile(rf"({'|'.join(METRICS)})@([1-9][0-9]*)")


def metric_at_k(text: str) -> tuple[str, int]:
    """Return the metric and the cutoff that a text such as `recall@20` names.

    Raises:
        ValueError: it is not a metric with a cutoff from 1 to LARGEST_CUTOFF.
    """
    found = _METRIC_AT_K.fullmatch(text)
    if not found:
        raise ValueError(f"given {text!r}; allowed: {', '.join(METRICS)} with a cutoff, such as recall@20")
    digits = found[2]
    if len(digits) > len(str(LARGEST_CUTOFF)) or int(digits) > LARGEST_CUTOFF:
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "…"
        raise ValueError(
            f"given {shown!r}; the largest cutoff is {LARGEST_CUTOFF:,}; one above the number of items means all items"
        )
    return found[1], int(digits)


def ranks(greater: IntegerArray, equal: IntegerArray, ties: TieRule) -> Float64Array:
    """Return the rank of every target, 1 is best.

    `greater` counts the items scored above the target, `equal` the *other* items scored the same.
    conservative: greater + equal + 1; median: greater + equal / 2 + 1; optimistic: greater + 1.
    """
    share = {"conservative": 1.0, "median": 0.5, "optimistic": 0.0}[ties]
    return greater + share * equal + 1.0


def target_ranks(greater: Int64Array, equal: Int64Array, targets: IntegerArray, ties: TieRule) -> Float64Array:
    """Return the rank of every event's target, (events,).

    The rank is infinite, and so a miss at any cutoff, where training never saw the target (`targets` below 0).
    """
    return np.where(targets >= 0, ranks(greater, equal, ties), np.inf)


def metric_values(rank: Float64Array, metric: str, k: int) -> Float64Array:
    """Return the metric of every event at cutoff `k`; a rank of infinity is a miss at any cutoff.

    Raises `ValueError` for a metric that is not in the table.
    """
    if metric not in METRICS:
        raise ValueError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")
    hit = rank <= k
    return np.where(hit, METRICS[metric].gain(np.where(hit, rank, 1.0)), 0.0)


def metric_grid(cutoffs: tuple[int, ...]) -> Iterator[tuple[TieRule, str, int]]:
    """Yield every (tie rule, metric, cutoff) that is reported, in the order of the metrics table."""
    for ties in TIE_RULES:
        for metric in METRICS:
            for k in cutoffs:
                yield ties, metric, k
