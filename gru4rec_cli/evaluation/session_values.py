"""The sums of every metric over the events of each session."""

from dataclasses import dataclass

import numpy as np

from gru4rec_cli.base.arrays import Float64Array, Int64Array
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.lists import LIST_METRICS, ListSummary
from gru4rec_cli.evaluation.metrics import METRICS, TIE_RULES, TieRule, metric_grid, metric_values, target_ranks
from gru4rec_cli.evaluation.settings import EvaluateSettings
from gru4rec_cli.evaluation.slices import WHOLE, event_slices

ANY = "any"  # the tie rule of metrics that do not depend on one


@dataclass(frozen=True)
class Column:
    """A number of the metrics table, for any model."""

    metric: str
    k: int
    ties: TieRule | str
    slice: str


@dataclass(frozen=True)
class RankedFit:
    """The ranks of one fitted model, as counts, and a summary of its lists.

    Of lists that another tool wrote there is no summary, and only ranks up to `longest` are known.
    """

    greater: Int64Array  # (n_targets,) as in `TargetRanks`
    equal: Int64Array
    lists: ListSummary | None
    longest: int | None = None  # the largest cutoff that is known; None: all are

    def reaches(self, cutoff: int) -> bool:
        """Return whether metrics at a cutoff follow from these ranks."""
        return self.longest is None or cutoff <= self.longest

    def holds(self, column: Column) -> bool:
        """Return whether a number of the metrics table follows from these ranks and lists."""
        return self.reaches(column.k) and (column.metric in METRICS or self.lists is not None)


class SessionValues:
    """Sums over the events of each session, a row for each of `columns`; `counts` (slices, n_sessions) are the events
    that each session has in each of `slices`."""

    def __init__(self, sessions: Sessions, settings: EvaluateSettings) -> None:
        self._ties, self._cutoffs = settings.ties, settings.cutoffs
        self._masks = event_slices(sessions)
        self._targets = sessions.target_items()
        self._starts = np.concatenate([[0], np.cumsum(sessions.lengths - 1)])  # (n_sessions + 1,) first event of each
        session = sessions.event_sessions()
        self.slices = [name for name, mask in self._masks.items() if mask.any() or name == WHOLE]
        self.counts = np.stack(
            [np.bincount(session[self._masks[name]], minlength=sessions.n_sessions) for name in self.slices]
        ).astype(np.float64)
        self.columns = [Column(metric, k, ties, WHOLE) for ties, metric, k in metric_grid(settings.cutoffs)]
        self.columns += [
            Column(metric, k, settings.ties, name)
            for name in self.slices[1:]
            for metric in METRICS
            for k in settings.cutoffs
        ]
        self.columns += [Column(metric, k, ANY, WHOLE) for metric in LIST_METRICS for k in settings.cutoffs]

    def slice_of(self, column: Column) -> int:
        """Return the row of `counts` that holds the events over which a column is a mean."""
        return self.slices.index(column.slice)

    def of(self, fit: RankedFit, block: slice) -> Float64Array:
        """Return the sums of the sessions of `block`, (columns, sessions)."""
        starts = self._starts[block.start : block.stop + 1]
        events = slice(int(starts[0]), int(starts[-1]))
        counts = fit.greater[events], fit.equal[events], self._targets[events]
        rank = {ties: target_ranks(*counts, ties) for ties in TIE_RULES}
        grid = list(metric_grid(self._cutoffs))
        whole = np.stack([metric_values(rank[ties], metric, k) for ties, metric, k in grid])
        headline = whole[[ties == self._ties for ties, _, _ in grid]]
        parts = [headline * self._masks[name][events] for name in self.slices[1:]]
        values = np.concatenate([whole, *parts])  # (columns, events)
        sums = _sums_between(values, starts - starts[0])
        of_lists = np.zeros((len(LIST_METRICS) * len(self._cutoffs), sums.shape[1]))  # no row shows them without lists
        if fit.lists is not None:
            of_lists = fit.lists.sums[:, :, block].reshape(of_lists.shape)
        return np.concatenate([sums, of_lists])


def _sums_between(values: Float64Array, starts: Int64Array) -> Float64Array:
    """Sums of `values` (rows, events) between consecutive `starts`, none of them before the last; 0 where two are the
    same."""
    sums = np.zeros((len(values), len(starts) - 1))
    filled = np.flatnonzero(np.diff(starts))
    if len(filled):
        sums[:, filled] = np.add.reduceat(values, starts[filled], axis=1)
    return sums
