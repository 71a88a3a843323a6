"""The metrics table and the differences between models, each number with its interval."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.differences import SignFlips, holm
from gru4rec_cli.evaluation.lists import COVERAGE
from gru4rec_cli.evaluation.metrics import METRICS
from gru4rec_cli.evaluation.session_values import ANY, Column, RankedFit, SessionValues
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.evaluation.slices import WHOLE
from gru4rec_cli.evaluation.uncertainty import (
    SessionBootstrap,
    percentile_interval,
    session_blocks,
)

Row = dict[str, Any]
Fits = Mapping[str, Mapping[int, RankedFit]]  # by model and seed
Interval = tuple[float | None, float | None]
ALL_SEEDS = "all"
_NO_INTERVAL: Interval = (None, None)


class Summary:
    """Means over events of every model, seed by seed and over its seeds, and what resampling sessions does to them.

    All from session sums, block by block: beside the ranks, memory does not grow with the number of sessions.
    The bootstrap and the randomisation test are shared by all models: differences are paired. The mean over a model's
    seeds is linear in the session sums, so its interval is that of the events, for the mean over these seeds.
    """

    def __init__(
        self,
        models: Fits,
        sessions: Sessions,
        settings: EvaluateSettings,
        seed: int,
        *,
        progress: Progress = SILENT,
    ) -> None:
        self._models, self._settings = models, settings
        self._fits = [(name, number) for name, fits in models.items() for number in fits]
        values = SessionValues(sessions, settings)
        self._columns = values.columns
        self._slice = np.array([values.slice_of(column) for column in values.columns])
        largest = max(settings.cutoffs)
        self._resampled = [i for i, c in enumerate(values.columns) if c.slice == WHOLE or c.k == largest]
        self._compared = [self._columns.index(Column(metric, largest, settings.ties, WHOLE)) for metric in METRICS]
        self._bootstrap = SessionBootstrap(
            sessions.n_sessions,
            len(self._fits) * len(self._resampled) + len(values.slices),
            resamples=settings.resamples,
            seed=seed,
            largest=float(values.counts[0].max(initial=1.0)),
        )
        self._flips = SignFlips(
            sessions.n_sessions,
            sessions.n_targets,
            len(models) * len(METRICS),
            permutations=settings.permutations,
            seed=seed,
        )
        self._totals = np.zeros((len(self._fits), len(values.columns)))
        self._events = values.counts.sum(axis=1)
        blocks = session_blocks(sessions.n_sessions)
        with progress.task("metrics and intervals", total=sessions.n_sessions, unit="sessions") as task:
            for number, block in enumerate(blocks):
                self._add(number, block, values)
                task.advance(block.stop - block.start)

    def _add(self, number: int, block: slice, values: SessionValues) -> None:
        sums = {fit: values.of(self._models[fit[0]][fit[1]], block) for fit in self._fits}
        self._totals += np.stack([found.sum(axis=1) for found in sums.values()])
        columns = [found[self._resampled] for found in sums.values()]
        self._bootstrap.add(number, np.concatenate([*columns, values.counts[:, block]]))
        over_seeds = [
            np.mean([sums[name, s][self._compared] for s in fits], axis=0) for name, fits in self._models.items()
        ]
        self._flips.add(number, np.concatenate(over_seeds))

    def rows(self) -> list[Row]:
        """Return the rows of the metrics table: models in the given order, each seed and then `all`, the mean over
        them. What does not follow from the ranks of a fit has no row."""
        rows: list[Row] = []
        for name, fits in self._models.items():
            seeds = [*((str(number), [number]) for number in fits), (ALL_SEEDS, list(fits))]
            for shown, numbers in seeds:
                rows += self._rows_of(name, shown, numbers)
        return rows

    def _rows_of(self, name: str, shown: str, numbers: list[int]) -> list[Row]:
        values, ends = self._means(name, numbers), self._intervals(name, numbers)
        events = self._events[self._slice]
        fits = [self._models[name][number] for number in numbers]
        rows = [
            _row(name, shown, column, float(values[i]), ends.get(i, _NO_INTERVAL), int(events[i]))
            for i, column in enumerate(self._columns)
            if all(fit.holds(column) for fit in fits)
        ]
        summaries = [fit.lists for fit in fits if fit.lists is not None]
        if not summaries:
            return rows
        coverage = np.mean([lists.coverage for lists in summaries], axis=0)
        whole = int(self._events[0])
        return rows + [
            _row(name, shown, Column(COVERAGE, k, ANY, WHOLE), float(coverage[i]), _NO_INTERVAL, whole)
            for i, k in enumerate(self._settings.cutoffs)
        ]

    def _means(self, name: str, numbers: list[int]) -> Float64Array:
        """Return the means over events, (columns,)."""
        totals = self._totals[[self._fits.index((name, number)) for number in numbers]].mean(axis=0)
        means: Float64Array = totals / self._events[self._slice]
        return means

    def _resampled_means(self, name: str, numbers: list[int]) -> Float64Array:
        """Return the means of every resample, (resamples, columns that are resampled)."""
        places = [self._fits.index((name, number)) for number in numbers]
        width = len(self._resampled)
        totals = self._bootstrap.totals
        sums = np.mean([totals[:, place * width : (place + 1) * width] for place in places], axis=0)
        events = totals[:, len(self._fits) * width :][:, self._slice[self._resampled]]
        means: Float64Array = np.divide(sums, events, out=np.full_like(sums, np.nan), where=events > 0)
        return means

    def _intervals(self, name: str, numbers: list[int]) -> dict[int, Interval]:
        """Return the ends of the interval by column."""
        if self._settings.resamples == 0:
            return {}
        low, high = percentile_interval(self._resampled_means(name, numbers), self._settings.confidence)
        return dict(zip(self._resampled, zip(low.tolist(), high.tolist(), strict=True), strict=True))

    def differences(self) -> list[Row]:
        """Return every pair of models, the better first (by the headline metric at the largest cutoff), metric by
        metric; without models whose ranks are not known that far."""
        largest = max(self._settings.cutoffs)
        models = {n: fits for n, fits in self._models.items() if all(fit.reaches(largest) for fit in fits.values())}
        means = {name: self._means(name, list(fits)) for name, fits in models.items()}
        order = sorted(means, key=lambda name: -means[name][self._compared[0]])
        resampled = {name: self._resampled_means(name, list(fits)) for name, fits in models.items()}
        rows: list[Row] = []
        for place, metric in enumerate(METRICS):
            pairs = list(combinations(order, 2))
            p_values = [self._p_value(first, second, place) for first, second in pairs]
            column = self._resampled.index(self._compared[place])
            for (first, second), p, p_holm in zip(pairs, p_values, holm(p_values), strict=True):
                ends = resampled[first][:, column] - resampled[second][:, column]
                ours, theirs = (float(means[name][self._compared[place]]) for name in (first, second))
                rows.append(
                    {
                        "first": first,
                        "second": second,
                        "metric": metric,
                        "k": max(self._settings.cutoffs),
                        "ties": self._settings.ties,
                        "value": ours - theirs,
                        "relative": (ours - theirs) / theirs if theirs else None,
                        **self._ends(ends),
                        "p": p,
                        "p_holm": p_holm,
                        "distinguishable": p_holm < 1 - self._settings.confidence,
                    }
                )
        return rows

    def _p_value(self, first: str, second: str, metric: int) -> float:
        places = [list(self._models).index(name) * len(METRICS) + metric for name in (first, second)]
        return self._flips.p_value(*places)

    def _ends(self, differences: Float64Array) -> dict[str, float | None]:
        if self._settings.resamples == 0:
            return {"low": None, "high": None}
        low, high = percentile_interval(differences[:, None], self._settings.confidence)
        return {"low": float(low[0]), "high": float(high[0])}


def _row(model: str, seed: str, column: Column, value: float, ends: Interval, events: int) -> Row:
    return {
        "model": model,
        "seed": seed,
        "metric": column.metric,
        "k": column.k,
        "ties": column.ties,
        "slice": column.slice,
        "value": value,
        "low": ends[0],
        "high": ends[1],
        "events": events,
    }
