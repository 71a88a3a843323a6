"""JSON lines with a session each, its events in a list, or with an event each.

They are read in batches of lines: fast by Polars, and line by line where Polars might read something else than stands
there, or to explain what is wrong.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import polars as pl
from polars.exceptions import PanicException, PolarsError

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data import delimited, times
from gru4rec_cli.data.delimited import BadRows, Batch, RecordError
from gru4rec_cli.data.eventfile import WANTED, FileCounts, FileEvents, no_events, removed
from gru4rec_cli.data.layout import Layout
from gru4rec_cli.data.memory import Room
from gru4rec_cli.data.removals import Counts

_LATEST_SECOND, _LATEST_MILLISECOND = times.LATEST // times.MICROSECONDS_PER_SECOND, times.LATEST // 1000
_KIND = "kind"
_LARGEST = 2**63 - 1
Schema = dict[str, type[pl.DataType]]
_HALF_A_CHARACTER = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F][0-9a-fA-F]{2})")  # Polars makes \0


@dataclass(frozen=True)
class SessionLines:
    """A file of lines `{"session": ID, "events": [{"aid": ID, "ts": TIME, "type": TYPE}, …]}`, ids integers."""

    path: Path
    layout: Layout
    keep: tuple[str, ...]
    skip: bool = False
    others: bool = False  # events of other types are returned, too, with WANTED
    schema: ClassVar[Schema] = {SESSION: pl.Int64, ITEM: pl.Int64, TIME: pl.Int64, _KIND: pl.String}

    def read(self, room: Room | None = None) -> FileEvents:
        """Return SESSION, ITEM, TIME in file order. A bad line counts as one bad row, however many events it holds.

        Raises:
            DataError: a line is not a session, or one of its events is not an event; names the line.
            UsageError: the events do not fit into memory.
        """
        events, lost = _read(self, room or Room())
        if events.is_empty():
            raise DataError(f"{self.path}: holds no events", "is this the right file?")
        micros = times.to_microseconds(pl.col(TIME), events.schema[TIME], self.layout.unit).alias(TIME)
        is_wanted = pl.col(_KIND).is_in(list(self.keep)) if self.keep else pl.lit(value=True)
        wanted = events.filter(is_wanted)
        kinds = dict(events.group_by(_KIND).len().iter_rows())
        if wanted.is_empty():
            raise no_events(self.path, self.keep, kinds)
        table = events.select(SESSION, ITEM, micros, is_wanted.alias(WANTED))
        found = _found(events, wanted, table if self.others else table.filter(WANTED).drop(WANTED), lost)
        return replace(found, counts=replace(found.counts, kinds=kinds))

    def fast(self, text: bytes) -> pl.DataFrame | None:
        """Return the events of whole lines, or None where they must be looked at one by one."""
        layout = self.layout
        if re.search(rf'"{layout.kind}"\s*:\s*[^"\s]'.encode(), text):  # Polars makes text of a number
            return None
        event = pl.Struct({layout.item: pl.Int64, str(layout.time): pl.Int64, str(layout.kind): pl.String})
        try:
            lines = pl.read_ndjson(BytesIO(text), schema={str(layout.session): pl.Int64, "events": pl.List(event)})
            inner = lines.select(pl.col(str(layout.session)).alias(SESSION), "events").explode("events")
            fields = pl.col("events").struct
            columns = {ITEM: layout.item, TIME: str(layout.time), _KIND: str(layout.kind)}
            read = inner.select(SESSION, *(fields.field(column).alias(name) for name, column in columns.items()))
        except (PolarsError, PanicException, OSError):
            return None
        within = read.select((pl.col(TIME).is_between(0, _LATEST_MILLISECOND)).all()).item()
        if not within or any(column.has_nulls() for column in read):
            return None
        rows = dict.fromkeys((layout.item, str(layout.time), str(layout.kind)), read.height)
        rows |= dict.fromkeys((str(layout.session), "events"), lines.height)
        return read if all(_count(text, key) == count for key, count in rows.items()) else None

    def slow(self, batch: Batch, lost: dict[str, BadRows]) -> Iterator[tuple[int, int, int, str]]:
        """Yield every good event; bad ones are counted in `lost`, or refused."""
        for number, line in _filled_lines(batch):
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

    def names(self) -> frozenset[str]:
        """Return the keys that are read: none of them may occur twice in an object."""
        layout = self.layout
        return frozenset((str(layout.session), "events", layout.item, str(layout.time), str(layout.kind)))

    def _session(self, line: bytes) -> tuple[int, list[Any]]:
        found = _parsed(line, self.names())
        events = found.get("events") if isinstance(found, dict) else None
        session = found.get(self.layout.session) if isinstance(found, dict) else None
        if not isinstance(events, list) or not isinstance(session, int) or not _integer(session):
            raise ValueError("not a session: an integer id and a list of events are needed")
        if not -_LARGEST <= session <= _LARGEST:
            raise ValueError(f"a session id beyond {_LARGEST}")
        return session, events

    def _event(self, event: Any) -> tuple[int, int, str]:
        found: dict[Any, Any] = event if isinstance(event, dict) else {}
        item, time, kind = (found.get(name) for name in (self.layout.item, self.layout.time, self.layout.kind))
        if not isinstance(item, int) or not _integer(item):
            raise ValueError("an event without an integer item id")
        if not -_LARGEST <= item <= _LARGEST:
            raise ValueError(f"an item id beyond {_LARGEST}")
        if not isinstance(time, int) or not _integer(time) or not 0 <= time <= _LATEST_MILLISECOND:
            raise ValueError("an event whose time is not one in milliseconds")
        if not isinstance(kind, str) or not _is_text(kind):
            raise ValueError("an event without a type")
        return item, time, kind


@dataclass(frozen=True)
class EventLines:
    """A file of lines `{USER: ID, ITEM: ID, TIME: SECONDS, …}`, ids text; events without an item are not used."""

    path: Path
    layout: Layout
    skip: bool = False
    others: bool = False  # events without an item are returned, too, with WANTED
    schema: ClassVar[Schema] = {SESSION: pl.String, ITEM: pl.String, TIME: pl.Int64}

    def read(self, room: Room | None = None) -> FileEvents:
        """Return SESSION (the user), ITEM, TIME in file order; events without an item are counted as others.

        Raises:
            DataError: a line is not an event, or no event names an item; names the line.
            UsageError: the events do not fit into memory.
        """
        events, lost = _read(self, room or Room())
        wanted = events.drop_nulls(ITEM)
        if wanted.is_empty():
            raise DataError(
                f"{self.path}: none of its {events.height} events names an item in {self.layout.item!r}",
                "is this the right file?",
            )
        table = events.with_columns(pl.col(ITEM).is_not_null().alias(WANTED)) if self.others else wanted
        return _found(events, wanted, table.with_columns(pl.col(TIME) * times.MICROSECONDS_PER_SECOND), lost)

    def fast(self, text: bytes) -> pl.DataFrame | None:
        """Return the events of whole lines, or None where one must be looked at: Polars makes text of any id."""
        layout = self.layout
        columns = {SESSION: str(layout.user), ITEM: layout.item, TIME: str(layout.time)}
        if re.search(rf'"(?:{layout.user}|{layout.item})"\s*:\s*[^"\s]'.encode(), text):
            return None
        types = (pl.String, pl.String, pl.Int64)
        try:
            lines = pl.read_ndjson(BytesIO(text), schema=dict(zip(columns.values(), types, strict=True)))
            read = lines.select(pl.col(column).alias(name) for name, column in columns.items())
        except (PolarsError, PanicException, OSError):
            return None
        unusual = pl.any_horizontal(pl.col(SESSION, ITEM).str.contains("^$|[\n\r]")).fill_null(value=False)
        bad_time = ~pl.col(TIME).is_between(0, _LATEST_SECOND).fill_null(value=False)
        bad = pl.col(ITEM).is_not_null() & (pl.col(SESSION).is_null() | bad_time)
        if read.select((unusual | bad).any()).item():
            return None
        once = all(_count(text, key) == read[name].count() for name, key in columns.items())
        return read if once else None

    def slow(self, batch: Batch, lost: dict[str, BadRows]) -> Iterator[tuple[str | None, str | None, int | None]]:
        """Yield every good event; bad ones are counted in `lost`, or refused."""
        for number, line in _filled_lines(batch):
            try:
                yield self._event(_parsed(line, self.names()))
            except ValueError as error:
                _count_bad(self, lost, number, str(error))

    def names(self) -> frozenset[str]:
        """Return the keys that are read: none of them may occur twice in an object."""
        return frozenset((str(self.layout.user), self.layout.item, str(self.layout.time)))

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


def _read(file: SessionLines | EventLines, room: Room) -> tuple[pl.DataFrame, list[BadRows]]:
    """All events of a file, and what was left out."""
    delimited.require_plain_text(file.path, json=True)
    tables, lost = [pl.DataFrame(schema=file.schema)], dict[str, BadRows]()
    for batch in delimited.batches(file.path):
        events = None if _HALF_A_CHARACTER.search(batch.text) else file.fast(batch.text)
        if events is None:
            events = pl.DataFrame(list(file.slow(batch, lost)), schema=file.schema, orient="row")
        room.take(file.path, events.height)
        tables.append(events)
    return pl.concat(tables), list(lost.values())


def _found(events: pl.DataFrame, wanted: pl.DataFrame, table: pl.DataFrame, lost: list[BadRows]) -> FileEvents:
    bad = Counts(sum(reason.rows for reason in lost), 0, 0)
    return FileEvents(table, FileCounts(events.height + bad.events, removed(events, wanted), bad, lost))


def _count(text: bytes, key: str) -> int:
    """How often a key may occur; a value or a key of another object can look like it."""
    return text.count(f'"{key}"'.encode())


def _filled_lines(batch: Batch) -> Iterator[tuple[int, bytes]]:
    return ((number, line) for number, line in enumerate(batch.text.split(b"\n"), batch.first_line) if line.strip())


def _id(value: object) -> str | None:
    """An id as text, None where it is none."""
    if isinstance(value, str):
        return value if value and _is_text(value) and "\n" not in value else None
    return str(value) if _integer(value) else None


def _is_text(value: str) -> bool:
    """Whether all characters are whole: JSON can hold half of a pair of surrogates."""
    return value.isascii() or not re.search("[\ud800-\udfff]", value)


def _parsed(line: bytes, names: frozenset[str]) -> Any:
    """A line as Python objects. Raises `ValueError` with the reason why it is none."""

    twice: list[str] = []

    def noted(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            keys = [key for key, _ in pairs]
            twice.extend(key for key in found if key in names and keys.count(key) > 1)
        return found

    try:
        parsed = json.loads(line.decode("utf-8").removeprefix("\ufeff"), object_pairs_hook=noted, strict=False)
    except (json.JSONDecodeError, UnicodeDecodeError):
        raise ValueError("not JSON in UTF-8") from None
    except RecursionError:
        raise ValueError("lists or objects nested too deeply") from None
    except ValueError:
        raise ValueError("a number of thousands of digits") from None
    if twice:
        raise ValueError(f"the key {twice[0]!r} occurs twice in one object")
    return parsed


def _count_bad(file: SessionLines | EventLines, lost: dict[str, BadRows], number: int, reason: str) -> None:
    """Count a bad line in `lost`, or refuse it."""
    if not file.skip:
        raise RecordError(f"{file.path}: line {number}: {reason}", "correct it, or set data.on_error: skip")
    earlier = lost.get(reason, BadRows(reason, 0, f"{file.path.name}, line {number}"))
    lost[reason] = BadRows(reason, earlier.rows + 1, earlier.first)


def _integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
