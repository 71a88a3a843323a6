"""Every metric by cutoff: its mean for K = 1, 2, …, with intervals from resampled sessions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.metrics import METRICS, target_ranks
from gru4rec_cli.evaluation.session_values import RankedFit
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.evaluation.uncertainty import SessionBootstrap, percentile_interval, session_blocks


def curves_by_cutoff(
    fits: Sequence[RankedFit], sessions: Sessions, settings: EvaluateSettings, seed: int
) -> dict[str, Any]:
    """Return, for every metric, `values` for K = 1 … the largest cutoff, each the mean over the fits of one model, and
    the ends of their intervals, `low` and `high` (None without resamples).

    No list is longer than V, so K ends there. Metric@K is Σ_{r ≤ K} n_r gain(r) / Σ_r n_r with n_r the number of
    targets at rank r. So the n_r of each session are resampled, once for all metrics and cutoffs; a block of sessions
    by K of them is in memory at once, whatever the number of events.
    """
    largest = min(max(settings.cutoffs), sessions.n_items)
    steps = 2 if settings.ties == "median" else 1  # the median rule gives half ranks, too
    ranks = np.arange(steps, steps * largest + 1) / steps  # (bins,) 1 … largest
    targets, starts = sessions.target_items(), sessions.offsets - np.arange(sessions.n_sessions + 1)
    totals = np.zeros(len(ranks))
    bootstrap = SessionBootstrap(
        sessions.n_sessions,
        len(ranks) + 1,
        resamples=settings.resamples,
        seed=seed,
        largest=float(len(fits) * sessions.lengths.max(initial=1)),
    )
    for number, block in enumerate(session_blocks(sessions.n_sessions)):
        events = slice(int(starts[block.start]), int(starts[block.stop]))
        n_events = np.diff(starts[block.start : block.stop + 1])
        session = np.repeat(np.arange(len(n_events)), n_events)
        shape = len(ranks), len(n_events)
        counts = np.zeros(shape)
        for fit in fits:
            rank = target_ranks(fit.greater[events], fit.equal[events], targets[events], settings.ties)
            hit = rank <= largest
            places = np.ravel_multi_index(((steps * rank[hit]).astype(np.int64) - steps, session[hit]), shape)
            counts += np.bincount(places, minlength=counts.size).reshape(shape)
        totals += counts.sum(axis=1)
        bootstrap.add(number, np.vstack([counts, len(fits) * n_events]))

    def by_cutoff(counts: Float64Array, gains: Float64Array, n_events: Float64Array) -> Float64Array:
        """Return the metric at every K, (rows, K), from the counts of the targets at each rank, (rows, bins)."""
        return np.cumsum(counts * gains, axis=1)[:, ::steps] / n_events

    curves: dict[str, Any] = {}
    for metric in METRICS.values():
        gains = metric.gain(ranks)
        values = by_cutoff(totals[None, :], gains, np.array(float(len(fits) * sessions.n_targets)))[0]
        curves[metric.name] = {"values": values.tolist(), "low": None, "high": None}
        if settings.resamples:
            means = by_cutoff(bootstrap.totals[:, :-1], gains, bootstrap.totals[:, -1:])
            low, high = percentile_interval(means, settings.confidence)
            curves[metric.name] |= {"low": low.tolist(), "high": high.tolist()}
    return curves
