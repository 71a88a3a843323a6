"""Functions for notebooks: clean, divide and describe click logs in tables of pandas, Polars or PyArrow."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, cast

import narwhals as nw
import numpy as np
import polars as pl

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, SUPPORT, TIME
from gru4rec_cli.data import cleaning, describing
from gru4rec_cli.data.cleaning import CleaningSettings
from gru4rec_cli.data.engine import PolarsEngine
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.layout import layout_of
from gru4rec_cli.data.presets import PRESETS
from gru4rec_cli.data.quality.finding import Finding, reworded, warn_of
from gru4rec_cli.data.quality.log import Origin, findings_of_rows, findings_of_sessions
from gru4rec_cli.data.quality.sessions import LONG
from gru4rec_cli.data.reading import with_time_rules
from gru4rec_cli.data.sessions import Sessions, Vocabulary, sessions_from_frame
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.splitting import item_table, split_log
from gru4rec_cli.data.times import LATEST, MICROS_PER, NANOSECONDS_PER_MICROSECOND, TimeUnit

Frame = TypeVar("Frame")  # a table of pandas, Polars (also lazy) or PyArrow


@dataclass(frozen=True)
class Parts(Generic[Frame]):
    """A divided log. `items` holds the item column and `support`, in order of first appearance in `train`."""

    train: Frame
    valid: Frame | None
    test: Frame  # empty with test=0
    items: Frame
    statistics: dict[str, Any]  # as `split` writes them into statistics.json


def clean(
    events: Frame,
    *,
    session: str = "SessionId",
    item: str = "ItemId",
    time: str = "Time",
    time_unit: TimeUnit = "seconds",
    **settings: Any,
) -> tuple[Frame, dict[str, int]]:
    """Clean a log of clicks by the rules of `split:`.

    Args:
        events: at least the three columns named; others are left out. Ids are integers or text, times are numbers in
            `time_unit`, or datetimes (UTC, where they have no zone).
        settings: keys of `split:` about cleaning, such as `min_item_support=5`.

    Returns:
        The events that are left as a table of the same kind and column types, in visiting order: sessions by start,
        events by time. How many events each rule removed.

    Raises:
        DataError: a column is missing, of the wrong type, or lacks a value.
        ValueError: a setting is wrong.
    """
    log = _Log(events, {SESSION: session, ITEM: item, TIME: time}, time_unit)
    cleaned, removals = cleaning.clean(log.events, CleaningSettings(**settings))
    return log.like_it(cleaned), {removal.reason: removal.events for removal in removals}


def split(
    events: Frame,
    *,
    session: str = "SessionId",
    item: str = "ItemId",
    time: str = "Time",
    time_unit: TimeUnit = "seconds",
    **settings: Any,
) -> Parts[Frame]:
    """Clean a log of clicks and divide it by time, as the stage `split` does; `settings` are keys of `split:`.

    Columns, tables and errors are those of `clean`; `DataError` is also raised where a part would be empty. What a
    preset says of times and their order applies, too, in the order of the rows; `ValueError` is also raised where it
    asks for more than a table holds, and for `windows`, which are several splits.
    """
    rules = SplitSettings(**settings)
    if rules.windows:
        raise ValueError('windows: are several splits; give window={"number": 1, "of": ...} for each of them')
    reading = _reading_of(rules.preset)
    log = _Log(events, {SESSION: session, ITEM: item, TIME: time}, time_unit)
    log.warn(long_sessions=rules.max_session_length is None)
    made = split_log(with_time_rules(log.events, reading), rules)
    valid = None if made.valid is None else log.like_it(made.valid)
    return Parts(log.like_it(made.train), valid, log.like_it(made.test), log.like_it(made.items), made.statistics)


def describe(
    events: Any,
    *,
    session: str = "SessionId",
    item: str = "ItemId",
    time: str = "Time",
    time_unit: TimeUnit = "seconds",
) -> dict[str, Any]:
    """Describe a log of clicks, as `gru4rec-study describe` does; ready for JSON. Columns are those of `clean`.

    Like `split`, it issues a `StudyWarning` of each thing that is probably wrong with the log.
    """
    log = _Log(events, {SESSION: session, ITEM: item, TIME: time}, time_unit)
    log.warn(long_sessions=True)
    return describing.describe(log.events)


def read_table(events: Any, columns: Mapping[str, str], time_unit: TimeUnit) -> tuple[pl.DataFrame, list[Finding]]:
    """Return the events of a table (SESSION, ITEM, TIME), and what is probably wrong with them.

    `columns` has the names of the table's columns for SESSION, ITEM and TIME. Errors are those of `clean`.
    """
    log = _Log(events, dict(columns), time_unit)
    return log.events, log.findings()


def to_sessions(
    events: Any,
    *,
    session: str = "SessionId",
    item: str = "ItemId",
    time: str = "Time",
    time_unit: TimeUnit = "seconds",
    vocabulary: Vocabulary | None = None,
) -> Sessions:
    """Return a log of clicks as sessions, which models fit and rank; columns and errors are those of `clean`.

    Nothing is cleaned. The rows may be in any order: sessions are put by start, events by time, those of equal time as
    they stand.

    Args:
        vocabulary: that of the training sessions, for other sessions; their further items are UNSEEN. Without it, all
            items of the log, in order of first appearance.
    """
    log = _Log(events, {SESSION: session, ITEM: item, TIME: time}, time_unit)
    engine = PolarsEngine()
    ordered = engine.visiting_order(engine.events([log.events]).pop())
    if vocabulary is None:
        items = item_table(ordered)
        vocabulary = Vocabulary(items[ITEM].to_numpy(), items[SUPPORT].to_numpy().astype(np.int64))
    elif (vocabulary.ids.dtype.kind == "i") != ordered.schema[ITEM].is_integer():
        kinds = ("text", "integers") if ordered.schema[ITEM].is_integer() else ("integers", "text")
        raise DataError(f"the ids of the vocabulary are {kinds[0]}, those of column {item!r} are {kinds[1]}", "convert")
    return sessions_from_frame(ordered, vocabulary)


def _reading_of(preset: str | None) -> DataSettings:
    """Return how the rows of a table are read; by default just as they are.

    Raises:
        ValueError: the preset needs events of other types, files or columns, which a table of clicks does not have.
    """
    wanted = {} if preset is None else {key: value for key, value in PRESETS[preset].data.items() if key != "files"}
    only_of_files = {
        "shared_row_numbers": "shared_row_numbers" in wanted,
        "equal_times": wanted.get("equal_times") == "first_seen",
        "sessions": "sessions" in wanted,
        "session_time": "session_time" in wanted
        and preset is not None
        and layout_of(PRESETS[preset].format).day is not None,
    }
    missing = [f"data.{key}: {json.dumps(wanted[key])}" for key, needed in only_of_files.items() if needed]
    if missing:
        alone = f"split(clicks, **gru4rec_cli.data.presets.PRESETS[{preset!r}].values)"
        raise ValueError(
            f"preset: {preset} needs the raw files, not a table of clicks ({'; '.join(missing)}); use the command "
            f"split on the files, or give the rules of its split alone: {alone}"
        )
    return DataSettings(source="the table", **wanted)


class _Log(Generic[Frame]):
    """A user's table as events (SESSION, ITEM, TIME), and the way back."""

    def __init__(self, given: Frame, names: dict[str, str], time_unit: TimeUnit) -> None:
        frame = nw.from_native(cast(Any, given))
        self._lazy = isinstance(frame, nw.LazyFrame)
        self._names, self._unit = names, time_unit
        schema = frame.collect_schema()
        missing = [name for name in names.values() if name not in schema]
        if missing:
            what = f"no column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing))}"
            raise DataError(f"the table has {what}; it has {', '.join(schema)}", "name them: session=, item=, time=")
        self._types = {name: schema[column] for name, column in names.items()}
        columns = [self._id(SESSION), self._id(ITEM), self._micros()]
        selected = frame.select(*columns)
        eager = selected.collect() if isinstance(selected, nw.LazyFrame) else selected
        self._backend = eager.implementation
        self.events = pl.DataFrame({name: _values(eager[name]) for name in (SESSION, ITEM, TIME)})
        for name, column in names.items():
            if self.events[name].has_nulls():
                row = self.events[name].is_null().arg_max()
                raise DataError(f"row {row} of column {column!r} holds no {_MEANING[name]}", "leave such rows out")
        if self.events.is_empty():
            raise DataError("the table holds no events", "give at least one")

    def warn(self, *, long_sessions: bool) -> None:
        """Warn of what is probably wrong with the log; of long sessions only if asked to."""
        warn_of(finding for finding in self.findings() if long_sessions or finding.id != LONG)

    def findings(self) -> list[Finding]:
        """Return what is probably wrong with the log."""
        unit = "iso8601" if isinstance(self._types[TIME], nw.Datetime) else self._unit
        origin = Origin("the table", unit=unit)
        found = [*findings_of_rows(self.events, origin), *findings_of_sessions(self.events, origin)]
        return list(reworded(found, _ARGUMENTS))

    def like_it(self, events: pl.DataFrame) -> Frame:
        """Return a result as a table of the user's kind, with the user's column names and types."""
        table = {self._names.get(column.name, column.name): column for column in events}
        if TIME in events.columns:
            table[self._names[TIME]] = self._time(events[TIME])
        frame = nw.from_dict({name: _plain(column) for name, column in table.items()}, backend=self._backend)
        casts = []
        for name in (name for name in self._names if name in events.columns):
            column, dtype = nw.col(self._names[name]), self._types[name]
            if isinstance(dtype, nw.Datetime) and dtype.time_zone:
                column = column.dt.replace_time_zone("UTC").dt.convert_time_zone(dtype.time_zone)
            casts.append(column.cast(dtype))
        frame = frame.with_columns(*casts)
        return cast(Frame, frame.lazy().to_native() if self._lazy else frame.to_native())

    def _id(self, name: str) -> nw.Expr:
        column, dtype = self._names[name], self._types[name]
        if dtype.is_integer():
            return nw.col(column).cast(nw.Int64).alias(name)
        if dtype in (nw.String, nw.Categorical, nw.Enum):
            return nw.col(column).cast(nw.String).alias(name)
        raise DataError(f"column {column!r} is of type {dtype}, ids must be integers or text", "convert it")

    def _micros(self) -> nw.Expr:
        column, dtype = self._names[TIME], self._types[TIME]
        if isinstance(dtype, nw.Datetime):
            return nw.col(column).dt.timestamp("us").alias(TIME)
        if not dtype.is_numeric() or self._unit == "iso8601":
            raise DataError(f"column {column!r} is of type {dtype}, times must be numbers or moments", "convert it")
        if self._unit == "nanoseconds" and dtype.is_integer():  # a float would lose some of their digits
            micros = nw.col(column).cast(nw.Int64) // NANOSECONDS_PER_MICROSECOND
        else:
            micros = (nw.col(column).cast(nw.Float64) * MICROS_PER[self._unit]).round()
        return nw.when((micros >= 0) & (micros <= LATEST)).then(micros).cast(nw.Int64).alias(TIME)

    def _time(self, micros: pl.Series) -> pl.Series:
        dtype = self._types[TIME]
        if isinstance(dtype, nw.Datetime):
            return micros.cast(pl.Datetime("us"))
        per_unit = MICROS_PER[self._unit]
        if not dtype.is_integer():
            return micros / per_unit
        return micros * round(1 / per_unit) if per_unit < 1 else micros // int(per_unit)


# Settings in hints, as arguments of the functions here.
_ARGUMENTS = {
    r"set data\.missing: .* to drop (?:and count these rows|it)": "leave these rows out",
    r"Set data\.missing: .* to drop it": "Leave its rows out",
    r"set data\.sessions\.gap_minutes: 30, to end": "make other session ids: end",
    r"set data\.time_unit: (\w+)": r'give time_unit="\1"',
    r"data\.time_unit": "time_unit",
    r"Set split\.max_session_length: (\d+)": r"Give max_session_length=\1",
    r"split\.overlong: cut": 'overlong="cut"',
    r"split\.by: days": 'by="days"',
}
_MEANING = {SESSION: "id", ITEM: "id", TIME: "time between 1970 and 2200"}


def _values(column: nw.Series[Any]) -> pl.Series:
    native = column.to_native()
    if isinstance(native, pl.Series):
        return native
    return pl.Series(column.to_list(), dtype=pl.String if column.dtype == nw.String else pl.Int64)


def _plain(column: pl.Series) -> Any:
    """Values that all kinds of tables accept."""
    return column.to_list() if column.dtype == pl.String else column.to_numpy()
