"""Differences between models that ranked the same events at different times, such as in several runs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from gru4rec_cli.base import names as names
from gru4rec_cli.base.arrays import Float64Array, Int64Array
from gru4rec_cli.data.sessions import UNSEEN
from gru4rec_cli.evaluation.differences import SignFlips, holm
from gru4rec_cli.evaluation.metrics import METRICS, metric_values, target_ranks
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.evaluation.uncertainty import SessionBootstrap, percentile_interval, session_blocks


def session_starts(ranks: pl.DataFrame) -> Int64Array:
    """Return the row at which each session begins in a rank table, whose events are by session."""
    begins = ranks.select(pl.col(names.SESSION).ne_missing(pl.col(names.SESSION).shift(1)))[names.SESSION]
    return np.flatnonzero(begins.to_numpy())


def session_sums(ranks: pl.DataFrame, settings: EvaluateSettings) -> Float64Array:
    """Return the sums of METRICS at the largest cutoff over the events of each session, (metrics, sessions)."""
    targets = np.where(ranks[names.ITEM].is_null().to_numpy(), UNSEEN, 0)
    greater, equal = ranks[names.GREATER].to_numpy(), ranks[names.EQUAL].to_numpy()
    rank = target_ranks(greater, equal, targets, settings.ties)
    values = np.stack([metric_values(rank, metric, max(settings.cutoffs)) for metric in METRICS])
    sums: Float64Array = np.add.reduceat(values, session_starts(ranks), axis=1)
    return sums


def paired_differences(
    sums: Mapping[str, Float64Array],
    events: Float64Array,
    pairs: Sequence[tuple[str, str]],
    settings: EvaluateSettings,
    seed: int,
) -> list[dict[str, Any]]:
    """Return the difference of every pair in every metric, tested and with an interval, as `evaluate` tests its models.

    Args:
        sums: of each model, as from `session_sums`; of several seeds, their mean.
        events: number of events of each session, (sessions,).
        pairs: which models are compared; Holm's correction is over them, for each metric.
        settings: cutoffs, ties, resamples, permutations and confidence.
        seed: of the resamples and the sign flips, which all pairs share.
    """
    order = list(sums)
    columns = np.concatenate([*sums.values(), events[None]])  # (models × metrics + 1, sessions)
    flips = SignFlips(len(events), int(events.sum()), len(columns) - 1, permutations=settings.permutations, seed=seed)
    bootstrap = SessionBootstrap(
        len(events), len(columns), resamples=settings.resamples, seed=seed, largest=float(events.max())
    )
    for number, block in enumerate(session_blocks(len(events))):
        flips.add(number, columns[:-1, block])
        bootstrap.add(number, columns[:, block])
    means = columns[:-1].sum(axis=1) / events.sum()
    resampled = bootstrap.totals[:, :-1] / bootstrap.totals[:, -1:]
    rows = []
    for place, metric in enumerate(METRICS):
        places = [[order.index(name) * len(METRICS) + place for name in pair] for pair in pairs]
        p_values = [flips.p_value(one, two) for one, two in places]
        for pair, (one, two), p, p_holm in zip(pairs, places, p_values, holm(p_values), strict=True):
            found: dict[str, Any] = {"value": float(means[one] - means[two]), "p": p, "p_holm": p_holm}
            found["relative"] = float(means[one] / means[two] - 1) if means[two] else None
            found |= _interval(resampled[:, one] - resampled[:, two], settings)
            about = {"first": pair[0], "second": pair[1], "metric": metric, "k": max(settings.cutoffs)}
            rows.append({**about, "ties": settings.ties, **found, "distinguishable": p_holm < 1 - settings.confidence})
    return rows


def _interval(differences: Float64Array, settings: EvaluateSettings) -> dict[str, float | None]:
    if settings.resamples == 0:
        return {"low": None, "high": None}
    low, high = percentile_interval(differences[:, None], settings.confidence)
    return {"low": float(low[0]), "high": float(high[0])}
