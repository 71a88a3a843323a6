"""The bootstrap of the means of a few columns at once, all sessions in memory."""

import numpy as np

from gru4rec_cli.base.arrays import Float64Array, Int64Array
from gru4rec_cli.evaluation.metrics import metric_values
from gru4rec_cli.evaluation.uncertainty import SessionBootstrap, percentile_interval, session_blocks


def session_sums(values: Float64Array, sessions: Int64Array, n_sessions: int) -> Float64Array:
    """Return the sum of `values` (events,) over the events of every session, (n_sessions,)."""
    return np.bincount(sessions, weights=values, minlength=n_sessions).astype(np.float64)


def bootstrap_means(sums: Float64Array, counts: Float64Array, *, resamples: int, seed: int) -> Float64Array:
    """Return means over events, (resamples, columns), from the sums over the events of every session,
    (n_sessions, columns), and their number, (n_sessions,)."""
    table = np.column_stack([sums, counts])
    largest = float(np.abs(table).max(initial=1.0))
    bootstrap = SessionBootstrap(len(counts), table.shape[1], resamples=resamples, seed=seed, largest=largest)
    for number, block in enumerate(session_blocks(len(counts))):
        bootstrap.add(number, table[block].T)
    return bootstrap.totals[:, :-1] / bootstrap.totals[:, -1:]


def curve_by_definition(
    rank: Float64Array,
    session: Int64Array,
    metric: str,
    largest: int,
    *,
    resamples: int,
    confidence: float,
    seed: int,
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return a metric for K = 1 … `largest` and the ends of its interval, each (K,), one cutoff after the other;
    `rank` (fits, events), `session` (events,)."""
    n_sessions = int(session.max()) + 1
    by_cutoff = [metric_values(rank, metric, k).mean(axis=0) for k in range(1, largest + 1)]
    sums = np.column_stack([session_sums(values, session, n_sessions) for values in by_cutoff])
    counts = np.bincount(session).astype(np.float64)
    low, high = percentile_interval(bootstrap_means(sums, counts, resamples=resamples, seed=seed), confidence)
    return sums.sum(axis=0) / rank.shape[1], low, high
