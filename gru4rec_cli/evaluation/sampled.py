"""What a protocol with sampled negatives would have reported, exactly, from the ranks among all items.

The target is ranked among `n` sampled negatives: its rank there is 1 + X, where X negatives are above it. The expected
metric is Σ_x P(X = x) gain(x + 1) over the x below the cutoff, from the gain of `METRICS`: neither sampling noise nor
new scores (Krichene & Rendle, *On Sampled Metrics for Item Recommendation*, KDD 2020). For the audit of others'
protocols only.
"""

import math
from collections.abc import Iterable, Iterator

import numpy as np

from gru4rec_cli.base.arrays import Float64Array, Int64Array
from gru4rec_cli.evaluation.metrics import METRICS, TieRule, ranks


def items_above(greater: Int64Array, equal: Int64Array, ties: TieRule) -> Int64Array:
    """Return how many items count as above the target under a tie rule: whole items, so half of the others at its
    score is rounded down under `median`. The same for training events in place of items."""
    return np.floor(ranks(greater, equal, ties)).astype(np.int64) - 1


def uniform_table(n_items: int, negatives: int, cutoffs: tuple[int, ...]) -> Float64Array:
    """Return expected metrics by the number of items above the target, with negatives drawn uniformly without
    replacement.

    Shape (metrics, cutoffs, n_items): the last axis is the number `a` of items above, 0 … n_items - 1, out of the
    n_items - 1 that are not the target. X is hypergeometric. With as many negatives as there are other items, or more,
    this is full ranking.
    """
    others = n_items - 1
    return _expected(_hypergeometric(others, min(negatives, others)), cutoffs, n_items)


def popularity_means(share: Float64Array, negatives: int, cutoffs: tuple[int, ...]) -> Float64Array:
    """Return expected metrics, (metrics, cutoffs, events), with negatives drawn by popularity with replacement, never
    the target. `share` (events,) is the part of all other items' training events that items above the target hold: the
    probability that a negative is above it. X is binomial."""
    return _expected(_binomial(share, negatives), cutoffs, len(share))


def share_above(above: Int64Array, own: Int64Array, total: int) -> Float64Array:
    """Return the part of the training events of all items but the target that is of items above it; `own` are the
    target's."""
    others = total - own
    return np.divide(above, others, out=np.zeros(len(above)), where=others > 0)


def _expected(masses: Iterable[Float64Array], cutoffs: tuple[int, ...], size: int) -> Float64Array:
    """Return Σ_x P(X = x) gain(x + 1) for x below each of the ascending cutoffs; `masses` are P(X = 0), P(X = 1), …,
    each (size,)."""
    expected = np.zeros((len(METRICS), len(cutoffs), size))
    for x, mass in zip(range(cutoffs[-1]), masses, strict=False):
        gains = np.array([metric.gain(np.array([x + 1.0])) for metric in METRICS.values()])  # (metrics, 1)
        longer = int(np.searchsorted(cutoffs, x, side="right"))  # the first cutoff above x
        expected[:, longer:] += (gains * mass)[:, None]
    return expected


def _hypergeometric(others: int, negatives: int) -> Iterator[Float64Array]:
    """Yield P(X = x) for x = 0 … `negatives`, each for all numbers of items above, 0 … others.

    By recurrence over the number of items above: P(x | a) = 0 for a < x, P(x | a = x) = ∏_{i < x} (n - i) / (N - i),
    and P(x | a + 1) / P(x | a) = (a + 1) / (a + 1 - x) (N - a - n + x) / (N - a); in logarithms, so nothing underflows.
    """
    above = np.arange(others, dtype=np.float64)
    log_first = 0.0
    for x in range(negatives + 1):
        mass = np.zeros(others + 1)
        a = above[x:]
        with np.errstate(divide="ignore", invalid="ignore"):  # log 0: more are drawn than can miss the items above
            steps = np.log1p(x / (a + 1 - x)) + np.log1p(-np.minimum(1.0, (negatives - x) / (others - a)))
        mass[x:] = np.exp(log_first + np.concatenate([[0.0], np.cumsum(steps)]))
        yield mass
        if x < negatives:
            log_first += math.log((negatives - x) / (others - x))


def _binomial(share: Float64Array, negatives: int) -> Iterator[Float64Array]:
    """Yield P(X = x) for x = 0, 1, … successes out of `negatives`, each (events,)."""
    with np.errstate(divide="ignore"):  # log 0 where no item, or every one, is above
        log_above, log_below = np.log(share), np.log1p(-share)
    for x in range(negatives + 1):
        # 0 log 0 is 0 here: a factor to the power of 0.
        above = x * log_above if x else np.zeros_like(share)
        below = (negatives - x) * log_below if x < negatives else np.zeros_like(share)
        yield np.exp(math.log(math.comb(negatives, x)) + above + below)
