"""One file of events as users have them: read fast, and explained row by row where it is wrong."""

from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import polars as pl
from polars.exceptions import PanicException, PolarsError

from gru4rec_cli.columns import ITEM, SESSION, TIME
from gru4rec_cli.data import delimited, times
from gru4rec_cli.data.times import TimeUnit
from gru4rec_cli.errors import DataError

MICROSECONDS_PER_SECOND = 1_000_000

_EMPTY = "empty: "
_SHOWN_COLUMNS = 20

Result = TypeVar("Result")


@dataclass(frozen=True)
class EventFile:
    """A file and how to read it; `separator` is None for Parquet, `time` where the row number is the time."""

    path: Path
    session: str
    item: str
    time: str | None
    unit: TimeUnit
    separator: str | None

    def read(self) -> pl.DataFrame:
        """SESSION, ITEM, TIME in file order; raises `DataError` (see `read_events`)."""
        self._require_columns()
        schema = self._attempt(lambda: self._scan().collect_schema())
        self._require_types(schema)
        exprs = [_integer_id(self.session, schema).alias(SESSION), _integer_id(self.item, schema).alias(ITEM)]
        if self.time is not None:
            exprs.append(times.to_microseconds(pl.col(self.time), schema[self.time], self.unit).alias(TIME))
        if self.separator is not None:
            # Polars fills up rows that are too short, and notices those too long only where it reads every column.
            others = [name for name in schema.names() if name not in self._columns().values()]
            exprs += [pl.col(name).is_null().alias(_EMPTY + name) for name in others]
        events = self._collect(exprs)
        if events.is_empty():
            raise DataError(f"{self.path}: has column names but no events", "is this the right file?")
        last = _EMPTY + schema.names()[-1]
        if self.separator is not None and last in events.columns and events[last].any():
            delimited.check_records(self.path, self.separator)
        for name, column in ((SESSION, self.session), (ITEM, self.item)):
            if events[name].has_nulls():
                events = events.with_columns(self._collect([_text_id(column).alias(name)])[name])
        if self.time is None:
            rows = pl.int_range(pl.len(), dtype=pl.Int64)
            events = events.with_columns((rows * MICROSECONDS_PER_SECOND).alias(TIME))
        events = events.select(SESSION, ITEM, TIME)
        self._require_values(events)
        return events

    def _columns(self) -> dict[str, str]:
        """The columns to read, by the key that names each in the configuration."""
        columns = {"data.columns.session": self.session, "data.columns.item": self.item}
        return columns if self.time is None else {**columns, "data.columns.time": self.time}

    def _scan(self) -> pl.LazyFrame:
        if self.separator is None:
            return pl.scan_parquet(self.path, glob=False, hive_partitioning=False)
        return pl.scan_csv(self.path, separator=self.separator, infer_schema=False, glob=False)

    def _collect(self, exprs: list[pl.Expr]) -> pl.DataFrame:
        return self._attempt(lambda: self._scan().select(exprs).collect(engine="streaming"))

    def _attempt(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except (PolarsError, PanicException, OSError) as error:
            reason = str(error).partition("\n")[0]
        if self.separator is None:
            raise DataError(f"{self.path}: not a readable Parquet file ({reason})", "is it complete? Write it again")
        delimited.check_records(self.path, self.separator)
        line = delimited.lone_quote_line(self.path)
        place = f"line {line} holds a lone quote" if line else reason
        raise DataError(
            f"{self.path}: cannot be read as text separated by {self.separator!r}: {place}",
            'a field that holds a quote must be quoted as a whole, with its own quotes written twice ("")',
        )

    def _require_columns(self) -> None:
        if self.separator is not None:
            names = delimited.read_header(self.path, self.separator)
        else:
            names = self._attempt(lambda: self._scan().collect_schema()).names()
        for key, wanted in self._columns().items():
            if names.count(wanted) > 1:
                raise DataError(
                    f"{self.path}: column {wanted!r} occurs {names.count(wanted)} times", "rename all but one"
                )
            if wanted not in names:
                shown = ", ".join(map(repr, names[:_SHOWN_COLUMNS])) + (", …" if len(names) > _SHOWN_COLUMNS else "")
                raise DataError(
                    f"{self.path}: no column {wanted!r}; the file has {shown}", _hint_for_missing(key, wanted, names)
                )

    def _require_types(self, schema: pl.Schema) -> None:
        for key, column in self._columns().items():
            dtype = schema[column]
            message = f"{self.path}: column {column!r} is of type {dtype}"
            if column == self.time:
                if not times.accepts(dtype, self.unit):
                    other = "seconds or milliseconds" if self.unit == "iso8601" else "iso8601"
                    raise DataError(
                        f"{message}, which cannot hold times with time_unit: {self.unit}",
                        f"set data.time_unit: {other}, or name another column in {key}",
                    )
            elif not (dtype.is_integer() or dtype.base_type() in (pl.String, pl.Categorical, pl.Enum)):
                why = " (missing ids turn integers into floats)" if dtype.is_float() else ""
                raise DataError(
                    f"{message}, ids must be integers or text", f"convert it{why}, or name another column in {key}"
                )

    def _require_values(self, events: pl.DataFrame) -> None:
        """Report the first row that lacks an id or a time, or that an unclosed quote has swallowed lines into."""
        texts = [
            pl.col(name).str.contains("\n", literal=True) for name, dtype in events.schema.items() if dtype == pl.String
        ]
        bad = events.select(pl.any_horizontal(pl.all().is_null(), *texts).fill_null(True).arg_true())
        if bad.is_empty():
            return
        row = int(bad.item(0, 0))
        place = f"row {row + 1}"
        if self.separator is not None:
            delimited.check_records(self.path, self.separator)
            place = f"line {delimited.line_of_row(self.path, self.separator, row)}"
        columns = list(self._columns().values())
        given = self._attempt(lambda: self._scan().select(columns).slice(row, 1).collect()).row(0)
        for column, value, read in zip(columns, given, events.row(row), strict=False):
            if read is None or (isinstance(read, str) and "\n" in read):
                what, hint = times.explain(value, self.unit) if column == self.time else _explain_id(value)
                raise DataError(f"{self.path}: {place}, column {column!r}: {what}", hint)


def _integer_id(column: str, schema: pl.Schema) -> pl.Expr:
    """The id as Int64; null where it is missing or not an integer written plainly ("007" and "+7" are not)."""
    integer = pl.col(column).cast(pl.Int64, strict=False)
    if schema[column].is_integer():
        return integer
    text = pl.col(column).cast(pl.String)
    integer = text.cast(pl.Int64, strict=False)
    return pl.when(integer.cast(pl.String) == text).then(integer)


def _text_id(column: str) -> pl.Expr:
    text = pl.col(column).cast(pl.String)
    return pl.when(text != "").then(text)


def _explain_id(value: object) -> tuple[str, str]:
    if value is None or value == "":
        return "the id is empty", "give every event a session id and an item id, or remove the row"
    return f"the id {str(value)[:40]!r} holds a line break", "is a quote left open? Close it: ids hold no line breaks"


def _hint_for_missing(key: str, wanted: str, names: list[str]) -> str:
    if len(names) == 1:
        for separator, name in {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}.items():
            if separator in names[0]:
                return f"is the separator {name}? Set data.separator"
    if any(name.strip().lstrip("-").replace(".", "", 1).isdigit() for name in names):
        return "the first line must hold the column names; this one looks like data"
    by_lower = {name.strip().lower(): name for name in names}
    close = get_close_matches(wanted.lower(), by_lower, n=1)
    return f"set {key}" + (f"; did you mean {by_lower[close[0]]!r}?" if close else " to the column's name")
