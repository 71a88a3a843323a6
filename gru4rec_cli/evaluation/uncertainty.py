"""Intervals from resampling sessions: the events of one session are not independent."""

import numpy as np
import numpy.typing as npt

from gru4rec_cli.progress import SILENT, Progress

FloatArray = npt.NDArray[np.float64]

_BATCH = 16  # resamples whose weights are in memory at once


def session_sums(values: FloatArray, sessions: npt.NDArray[np.int64], n_sessions: int) -> FloatArray:
    """Sum of `values` (events,) over the events of every session, shape (n_sessions,)."""
    return np.bincount(sessions, weights=values, minlength=n_sessions).astype(np.float64, copy=False)


def bootstrap_means(
    sums: FloatArray, counts: FloatArray, *, resamples: int, seed: int, progress: Progress = SILENT
) -> FloatArray:
    """Means over events under a session-cluster bootstrap, shape (resamples, columns).

    `sums` (n_sessions, columns) holds the sum of each metric over the events of each session, `counts`
    (n_sessions,) the number of events. Each resample draws n_sessions sessions with replacement, the same ones
    for all columns, so that differences between columns are paired.
    """
    n_sessions = len(counts)
    rng = np.random.Generator(np.random.PCG64(seed))
    means = np.empty((resamples, sums.shape[1]))
    with progress.task("bootstrap", total=resamples, unit="resamples") as task:
        for start in range(0, resamples, _BATCH):
            stop = min(start + _BATCH, resamples)
            weights = np.stack(
                [np.bincount(rng.integers(0, n_sessions, n_sessions), minlength=n_sessions) for _ in range(start, stop)]
            )
            drawn = weights.astype(np.float64)
            means[start:stop] = (drawn @ sums) / (drawn @ counts)[:, None]
            task.advance(stop - start)
    return means


def percentile_interval(means: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Lower and upper ends of the percentile interval of every column of `means`."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail], axis=0)
    return low, high
