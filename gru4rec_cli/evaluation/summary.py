"""The metrics table: every model, metric, cutoff and tie rule, with intervals."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.metrics import FloatArray, metric_grid, metric_values
from gru4rec_cli.evaluation.ranking import TargetRanks, event_ranks
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.evaluation.uncertainty import bootstrap_means, percentile_interval, session_sums
from gru4rec_cli.progress import SILENT, Progress

MetricRow = dict[str, Any]


def metric_rows(
    counts: Mapping[str, TargetRanks],
    sessions: Sessions,
    settings: EvaluateSettings,
    seed: int,
    *,
    progress: Progress = SILENT,
) -> list[MetricRow]:
    """Rows of the metrics table, models in the given order; means over events.

    Intervals come from one session-cluster bootstrap shared by all columns, so that differences between models are
    paired. With one seed the rows of that seed and of `all`, the mean over seeds, hold the same values.
    """
    columns = [(model, *cell) for model in counts for cell in metric_grid(settings.cutoffs)]
    event_session = sessions.event_sessions()
    sums = np.empty((sessions.n_sessions, len(columns)))
    for model, found in counts.items():
        by_rule = {ties: event_ranks(found, sessions, ties) for ties in ("conservative", "median", "optimistic")}
        for column, (name, ties, metric, k) in enumerate(columns):
            if name == model:
                values = metric_values(by_rule[ties], metric, k)
                sums[:, column] = session_sums(values, event_session, sessions.n_sessions)
    n_events = sessions.n_targets
    values = sums.sum(axis=0) / n_events
    low, high = _intervals(sums, sessions, settings, seed, progress)
    return [
        {
            "model": model,
            "seed": shown_seed,
            "metric": metric,
            "k": k,
            "ties": ties,
            "slice": "all",
            "value": float(values[column]),
            "low": low[column],
            "high": high[column],
            "events": n_events,
        }
        for shown_seed in (str(seed), "all")
        for column, (model, ties, metric, k) in enumerate(columns)
    ]


def _intervals(
    sums: FloatArray, sessions: Sessions, settings: EvaluateSettings, seed: int, progress: Progress
) -> tuple[list[float | None], list[float | None]]:
    if settings.resamples == 0:
        return [None] * sums.shape[1], [None] * sums.shape[1]
    lengths = (sessions.lengths - 1).astype(np.float64)
    means = bootstrap_means(sums, lengths, resamples=settings.resamples, seed=seed, progress=progress)
    low, high = percentile_interval(means, settings.confidence)
    return low.tolist(), high.tolist()


@dataclass(frozen=True)
class Curve:
    """A metric for K = 1, 2, …: means over events (K,), and the ends of their intervals (2, K) or None."""

    values: FloatArray
    interval: FloatArray | None


def curve_by_cutoff(
    rank: FloatArray,
    event_session: npt.NDArray[np.int64],
    metric: str,
    largest: int,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> Curve:
    """A metric for every cutoff up to `largest`; `rank` and `event_session`, the session index, are (events,)."""
    n_sessions = int(event_session.max()) + 1
    by_cutoff = [metric_values(rank, metric, k) for k in range(1, largest + 1)]
    sums = np.column_stack([session_sums(values, event_session, n_sessions) for values in by_cutoff])
    means = sums.sum(axis=0) / len(rank)
    if resamples == 0:
        return Curve(means, None)
    counts = np.bincount(event_session).astype(np.float64)
    resampled = bootstrap_means(sums, counts, resamples=resamples, seed=seed)
    return Curve(means, np.stack(percentile_interval(resampled, confidence)))
