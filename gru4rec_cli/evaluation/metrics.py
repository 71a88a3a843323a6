"""Recall, MRR and NDCG of one relevant item, from the counts of greater and equal scores."""

from collections.abc import Iterator
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

TieRule = Literal["conservative", "median", "optimistic"]
TIE_RULES: tuple[TieRule, ...] = get_args(TieRule)
METRICS = ("recall", "mrr", "ndcg")


def ranks(greater: npt.NDArray[np.int64], equal: npt.NDArray[np.int64], ties: TieRule) -> FloatArray:
    """Rank of every target, 1 is best.

    `greater` counts the items scored above the target, `equal` the *other* items scored the same.
    conservative: greater + equal + 1; median: greater + equal / 2 + 1; optimistic: greater + 1.
    """
    share = {"conservative": 1.0, "median": 0.5, "optimistic": 0.0}[ties]
    return greater + share * equal + 1.0


def metric_values(rank: FloatArray, metric: str, k: int) -> FloatArray:
    """The metric of every event at cutoff `k`; a rank of infinity (an unseen target) is a miss at any cutoff.

    Recall@K = [rank ≤ K]; MRR@K = [rank ≤ K] / rank; NDCG@K = [rank ≤ K] / log2(rank + 1).
    """
    hit = rank <= k
    if metric == "recall":
        return hit.astype(np.float64)
    if metric == "mrr":
        return np.where(hit, 1.0 / rank, 0.0)
    if metric == "ndcg":
        return np.where(hit, 1.0 / np.log2(rank + 1.0), 0.0)
    raise ValueError(f"unknown metric {metric!r}; known: {', '.join(METRICS)}")


def metric_grid(cutoffs: tuple[int, ...]) -> Iterator[tuple[TieRule, str, int]]:
    """Every (tie rule, metric, cutoff) that is reported, in the order of the metrics table."""
    for ties in TIE_RULES:
        for metric in METRICS:
            for k in cutoffs:
                yield ties, metric, k
