"""JSON lines with a session each, its events in a list, or with an event each.

They are read fast by Polars, and line by line to explain what is wrong.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from polars.exceptions import PanicException, PolarsError

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data import delimited, times
from gru4rec_cli.data.delimited import BadRows, RecordError
from gru4rec_cli.data.eventfile import FileCounts, FileEvents, removed
from gru4rec_cli.data.layout import Layout
from gru4rec_cli.data.removals import Counts

_LATEST_SECOND, _LATEST_MILLISECOND = times.LATEST // times.MICROSECONDS_PER_SECOND, times.LATEST // 1000
_KIND = "kind"


@dataclass(frozen=True)
class SessionLines:
    """A file of lines `{"session": ID, "events": [{"aid": ID, "ts": TIME, "type": TYPE}, …]}`, ids integers."""

    path: Path
    layout: Layout
    keep: tuple[str, ...]
    skip: bool = False

    def read(self) -> FileEvents:
        """Return SESSION, ITEM, TIME in file order. A bad line counts as one bad row, however many events it holds.

        Raises:
            DataError: a line is not a session, or one of its events is not an event; names the line.
        """
        lost: dict[str, BadRows] = {}
        events = self._fast()
        if events is None or any(events[name].has_nulls() for name in events.columns):
            rows = list(self._slow(lost))
            events = pl.DataFrame(rows, schema=[SESSION, ITEM, TIME, _KIND], orient="row")
        if events.is_empty():
            raise DataError(f"{self.path}: holds no events", "is this the right file?")
        micros = times.to_microseconds(pl.col(TIME), events.schema[TIME], self.layout.unit).alias(TIME)
        wanted = events.filter(pl.col(_KIND).is_in(list(self.keep))) if self.keep else events
        if wanted.is_empty():
            raise DataError(
                f"{self.path}: none of its {events.height} events is of type {' or '.join(self.keep)}",
                "name the types to keep in data.events",
            )
        bad = Counts(sum(reason.rows for reason in lost.values()), 0, 0)
        table = wanted.select(SESSION, ITEM, micros)
        counts = FileCounts(events.height + bad.events, removed(events, wanted), bad, list(lost.values()))
        return FileEvents(table, counts)

    def _fast(self) -> pl.DataFrame | None:
        """The events, or None where Polars cannot read them; a value of another type than expected may be null."""
        layout = self.layout
        event = pl.Struct({layout.item: pl.Int64, str(layout.time): pl.Int64, str(layout.kind): pl.String})
        try:
            lines = pl.scan_ndjson(self.path, schema={str(layout.session): pl.Int64, "events": pl.List(event)})
            inner = lines.select(pl.col(str(layout.session)).alias(SESSION), "events").explode("events")
            fields = pl.col("events").struct
            columns = {ITEM: layout.item, TIME: str(layout.time), _KIND: str(layout.kind)}
            events = inner.select(SESSION, *(fields.field(column).alias(name) for name, column in columns.items()))
            read = events.collect()
        except (PolarsError, PanicException, OSError):
            return None
        within = read.select((pl.col(TIME).is_between(0, _LATEST_MILLISECOND)).all()).item()
        return read if within else None

    def _slow(self, lost: dict[str, BadRows]) -> Iterator[tuple[int, int, int, str]]:
        """Every good event; bad ones are counted in `lost`, or refused."""
        for number, line in delimited.numbered_lines(self.path):
            try:
                session, events = self._session(line)
            except ValueError as error:
                _count_bad(self, lost, number, str(error))
                continue
            for event in events:
                try:
                    yield session, *self._event(event)
                except ValueError as error:
                    _count_bad(self, lost, number, str(error))

    def _session(self, line: bytes) -> tuple[int, list[Any]]:
        found = _parsed(line)
        events = found.get("events") if isinstance(found, dict) else None
        if not isinstance(events, list) or not _integer(found.get(self.layout.session)):
            raise ValueError("not a session: an integer id and a list of events are needed")
        return found[self.layout.session], events

    def _event(self, event: Any) -> tuple[int, int, str]:
        found: dict[Any, Any] = event if isinstance(event, dict) else {}
        item, time, kind = (found.get(name) for name in (self.layout.item, self.layout.time, self.layout.kind))
        if not isinstance(item, int) or not _integer(item):
            raise ValueError("an event without an integer item id")
        if not isinstance(time, int) or not _integer(time) or not 0 <= time <= _LATEST_MILLISECOND:
            raise ValueError("an event whose time is not one in milliseconds")
        if not isinstance(kind, str):
            raise ValueError("an event without a type")
        return item, time, kind


@dataclass(frozen=True)
class EventLines:
    """A file of lines `{USER: ID, ITEM: ID, TIME: SECONDS, …}`, ids text; events without an item are not used."""

    path: Path
    layout: Layout
    skip: bool = False

    def read(self) -> FileEvents:
        """Return SESSION (the user), ITEM, TIME in file order; events without an item are counted as others.

        Raises:
            DataError: a line is not an event, or no event names an item; names the line.
        """
        lost: dict[str, BadRows] = {}
        events = self._fast()
        if events is None:
            events = pl.DataFrame(
                list(self._slow(lost)), schema={SESSION: pl.String, ITEM: pl.String, TIME: pl.Int64}, orient="row"
            )
        wanted = events.drop_nulls(ITEM)
        if wanted.is_empty():
            raise DataError(
                f"{self.path}: none of its {events.height} events names an item in {self.layout.item!r}",
                "is this the right file?",
            )
        bad = Counts(sum(reason.rows for reason in lost.values()), 0, 0)
        table = wanted.with_columns(pl.col(TIME) * times.MICROSECONDS_PER_SECOND)
        return FileEvents(
            table, FileCounts(events.height + bad.events, removed(events, wanted), bad, list(lost.values()))
        )

    def _fast(self) -> pl.DataFrame | None:
        """The events, or None where one must be looked at: Polars makes text of ids of any type."""
        layout = self.layout
        columns = {SESSION: str(layout.user), ITEM: layout.item, TIME: str(layout.time)}
        types = (pl.String, pl.String, pl.Int64)
        try:
            lines = pl.scan_ndjson(self.path, schema=dict(zip(columns.values(), types, strict=True)))
            read = lines.select(pl.col(column).alias(name) for name, column in columns.items()).collect()
        except (PolarsError, PanicException, OSError):
            return None
        unusual = pl.any_horizontal(pl.col(SESSION, ITEM).str.contains(r"^([\[{]|true$|false$|$)")).fill_null(
            value=False
        )
        bad_time = ~pl.col(TIME).is_between(0, _LATEST_SECOND).fill_null(value=False)
        bad = pl.col(ITEM).is_not_null() & (pl.col(SESSION).is_null() | bad_time)
        return None if read.select((unusual | bad).any()).item() else read

    def _slow(self, lost: dict[str, BadRows]) -> Iterator[tuple[str | None, str | None, int | None]]:
        """Every good event; bad ones are counted in `lost`, or refused."""
        for number, line in delimited.numbered_lines(self.path):
            if line.strip():
                try:
                    yield self._event(_parsed(line))
                except ValueError as error:
                    _count_bad(self, lost, number, str(error))

    def _event(self, found: Any) -> tuple[str | None, str | None, int | None]:
        if not isinstance(found, dict):
            raise ValueError("not an event")
        user, item, time = (found.get(name) for name in (self.layout.user, self.layout.item, self.layout.time))
        if item is None:
            return _id(user), None, None
        if _id(item) is None:
            raise ValueError("an event whose item id is not text")
        if _id(user) is None:
            raise ValueError("an event without a user id")
        if not isinstance(time, int) or not _integer(time) or not 0 <= time <= _LATEST_SECOND:
            raise ValueError("an event whose time is not one in whole seconds")
        return _id(user), _id(item), time


def _id(value: object) -> str | None:
    """An id as text, None where it is none."""
    return str(value) if value != "" and (isinstance(value, str) or _integer(value)) else None


def _parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        raise ValueError("not JSON in UTF-8") from None


def _count_bad(file: SessionLines | EventLines, lost: dict[str, BadRows], number: int, reason: str) -> None:
    """Count a bad line in `lost`, or refuse it."""
    if not file.skip:
        raise RecordError(f"{file.path}: line {number}: {reason}", "correct it, or set data.on_error: skip")
    earlier = lost.get(reason, BadRows(reason, 0, f"{file.path.name}, line {number}"))
    lost[reason] = BadRows(reason, earlier.rows + 1, earlier.first)


def _integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
