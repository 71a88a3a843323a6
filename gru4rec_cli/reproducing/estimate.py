"""How long a table takes on this machine: estimated from short fits and rankings on the bench's clicks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gru4rec_cli.base.errors import StudyError, UsageError
from gru4rec_cli.base.machine import device
from gru4rec_cli.base.measuring import measured
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.bench.clicks import SEED, make_clicks
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.ranking import rank_targets
from gru4rec_cli.models import gru4rec, registry
from gru4rec_cli.models.base import FitContext, Recommender
from gru4rec_cli.models.gru4rec.training import kind_of_step
from gru4rec_cli.models.neural.devices import find_device
from gru4rec_cli.models.neural.settings import NeuralSettings
from gru4rec_cli.models.warming import warm_up
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reporting.tables.cells import duration
from gru4rec_cli.reporting.text.words import ENGLISH
from gru4rec_cli.reproducing.loading import require_rows
from gru4rec_cli.reproducing.table import Counts, PublishedTable

_LARGEST = 500_000  # events of the clicks; models that count are fitted on all of them
_FIRST, _GROWTH = 2_000, 4  # events of the first epoch that is timed, and how many times as many the next one has
_ENOUGH = 1.0  # seconds: no longer epoch is timed
_RANKED = 500  # events
_EVENTS_AN_ITEM = 20  # where the source does not print how many items there are

_COLUMNS = ("row", "fits", "fitting", "ranking", "together")


@dataclass(frozen=True)
class RowTime:
    """The estimated time of a row, over all of its fits; why there is none, if so."""

    fits: int
    fitting: float = 0.0  # seconds
    ranking: float = 0.0  # seconds
    unknown: str = ""

    @property
    def seconds(self) -> float:
        return self.fitting + self.ranking


@dataclass(frozen=True)
class Size:
    """The size of a table's data, as far as the source prints it."""

    train: int  # events to learn from
    test: int  # events to rank
    items: int

    @classmethod
    def of(cls, counts: Counts) -> "Size":
        """Return the size. Raises `UsageError` where the table does not say it."""
        train, test = counts.train_targets or counts.train_events, counts.test_targets or counts.test_events
        if not train or not test:
            raise UsageError(
                "the table does not say how large its data is, so no time can be estimated",
                "add train_events and test_events to data.counts in the table",
            )
        return cls(train, test, counts.items or -(-train // _EVENTS_AN_ITEM))


@dataclass(frozen=True)
class Estimate:
    """The estimated time of the rows of a table."""

    name: str
    size: Size
    rows: Mapping[str, RowTime]
    machine: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        """The time of all rows that are known."""
        return sum(row.seconds for row in self.rows.values())

    def shown(self) -> Table:
        """Return the estimate as a table."""
        rows = [(name, *self._cells(row)) for name, row in self.rows.items()]
        notes = [
            f"estimated: about {duration(self.seconds, ENGLISH)} to fit on {self.size.train:,} events and rank "
            f"{self.size.test:,} over {self.size.items:,} items, on {self.machine['processor']}, "
            f"{self.machine['threads']} threads",
            "from short fits on made-up clicks while this machine was as busy as now; reading the data and the "
            "intervals are not counted",
            *(f"{name}: {row.unknown}" for name, row in self.rows.items() if row.unknown),
        ]
        title = f"Estimated time of {self.name}"
        return Table(title, _COLUMNS, tuple(rows), numeric=frozenset({1, 2, 3, 4}), notes=tuple(notes))

    @staticmethod
    def _cells(row: RowTime) -> tuple[str, ...]:
        times = (row.fitting, row.ranking, row.seconds)
        return str(row.fits), *("–" if row.unknown else duration(each, ENGLISH) for each in times)

    def document(self) -> dict[str, Any]:
        """Return it for a script."""
        rows = {
            name: {"fits": row.fits, "unknown": row.unknown}
            if row.unknown
            else {"fits": row.fits, "fitting_seconds": row.fitting, "ranking_seconds": row.ranking}
            for name, row in self.rows.items()
        }
        return {
            "table": self.name,
            "estimated_seconds": self.seconds,
            "train_events": self.size.train,
            "test_events": self.size.test,
            "items": self.size.items,
            "machine": dict(self.machine),
            "rows": rows,
        }


def estimate(name: str, table: PublishedTable, chosen: Sequence[str] = (), progress: Progress = SILENT) -> Estimate:
    """Return the time that the chosen rows take, or all, by a measurement of a few seconds each.

    Raises:
        UsageError: a row is not in the table, or the table does not say how large its data is.
    """
    rows = require_rows(table, chosen)
    size = Size.of(table.data.counts)
    n_events = max(min(size.train, _LARGEST), 2 * size.items)
    clicks = make_clicks(n_events, size.items).train
    found: dict[str, RowTime] = {}
    with progress.task("timing", total=len(rows), unit="rows") as task:
        for row in rows:
            found[row] = _row_time(table.rows[row].model, clicks, size, len(table.seeds))
            task.advance()
    return Estimate(name, size, found, device())


def _row_time(model: Mapping[str, Any], clicks: Sessions, size: Size, seeds: int) -> RowTime:
    kind = str(model["kind"])
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in model.items() if key != "kind"}
    settings = registry.settings_class(kind).model_validate(given)
    fits = seeds if registry.model_class(kind).random else 1
    try:
        if isinstance(settings, NeuralSettings):
            fitted, seconds, events = _timed_epoch(kind, settings, clicks)
            per_event = settings.epochs * seconds / events
        else:
            fitted = registry.model_class(kind)(settings)
            per_event = _fit_seconds(fitted, clicks) / clicks.n_targets
        ranking = _ranking_seconds(fitted, clicks)
    except StudyError as error:
        return RowTime(fits, unknown=error.message)
    return RowTime(fits, fits * per_event * size.train, fits * ranking * size.test)


def _timed_epoch(kind: str, settings: NeuralSettings, clicks: Sessions) -> tuple[Recommender, float, int]:
    """Return a model after an epoch on so many events that it took a second, its time, and the events."""
    settings = settings.model_copy(
        update={"epochs": 1, "validate_on": None, "patience": None, **_step(settings, clicks)}
    )
    n_events = _FIRST
    while True:
        sample = _first(clicks, n_events)
        model = registry.model_class(kind)(settings)
        seconds = _fit_seconds(model, sample)
        if seconds >= _ENOUGH or sample.n_sessions == clicks.n_sessions:
            return model, seconds, sample.n_targets
        n_events *= _GROWTH


def _step(settings: NeuralSettings, clicks: Sessions) -> dict[str, str]:
    """Return the step that GRU4Rec takes in the whole training, not the one for a few events."""
    if not isinstance(settings, gru4rec.Settings):
        return {}
    return {"step": kind_of_step(settings, clicks, find_device(settings.device))}


def _first(sessions: Sessions, n_events: int) -> Sessions:
    """Return the first sessions, up to so many events to predict."""
    return sessions.select(np.flatnonzero(np.cumsum(sessions.lengths - 1) <= n_events))


def _fit_seconds(model: Recommender, sessions: Sessions) -> float:
    context = FitContext(seed=SEED)
    warm_up(model, sessions, context)
    with measured() as cost:
        model.fit(sessions, context)
    return cost.seconds


def _ranking_seconds(model: Recommender, clicks: Sessions) -> float:
    """Return the seconds that ranking one event takes, the first time apart."""
    sample = _first(clicks, _RANKED)
    rank_targets(model.score(sample), sample, longest=20)
    with measured() as cost:
        rank_targets(model.score(sample), sample, longest=20)
    return cost.seconds / sample.n_targets
