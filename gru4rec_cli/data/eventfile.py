"""One file of events: read fast by Polars, and looked at row by row to explain what is wrong."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import polars as pl
from polars.exceptions import PanicException, PolarsError

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data import delimited, times
from gru4rec_cli.data.delimited import BadRows, Dialect, Part, Survey
from gru4rec_cli.data.layout import GUIDE, Layout
from gru4rec_cli.data.quality.kinds import listed_types, nearest_types
from gru4rec_cli.data.quality.missing import with_missing
from gru4rec_cli.data.removals import NONE, Counts
from gru4rec_cli.data.users import PART, USER

WANTED = "wanted"
_MISSING, _KIND = "missing", "kind"
DAY = "day"
PARTS = {"train": "train", "valid": "valid", "validation": "valid", "dev": "valid", "test": "test"}  # by value
_ROW = "row"
_EMPTY = "empty: "
_SHOWN_COLUMNS = 20

Result = TypeVar("Result")


class NoTimeError(DataError):
    """Raised where a value is not a time in the unit that is set; `row` is its row, -1 for all."""

    def __init__(self, message: str, hint: str, row: int = -1) -> None:
        super().__init__(message, hint)
        self.row = row


@dataclass(frozen=True)
class FileCounts:
    """Counts of a file; `rows` includes the rows that are not among its events."""

    rows: int
    other: Counts = NONE  # events of types that are not wanted
    bad: Counts = NONE
    why_bad: list[BadRows] = field(default_factory=list)
    missing: Counts = NONE  # events with an id that stands for a missing value
    kinds: dict[str, int] = field(default_factory=dict)  # event types and their events, if one to keep is not there


@dataclass(frozen=True)
class FileEvents:
    """The events of a file (SESSION, ITEM, TIME in file order) and its counts.

    Where they are asked for, there are also the events of other types, with WANTED to tell them apart, DAY, and PART
    ("train", "valid" or "test"). `owners` are the distinct pairs of SESSION and USER, as text, where the file has both.
    """

    events: pl.DataFrame
    counts: FileCounts
    owners: pl.DataFrame | None = None


@dataclass(frozen=True)
class EventFile:
    """A file and its layout; `dialect` is None for Parquet, `session` the column of sessions, or of users."""

    path: Path
    layout: Layout
    session: str
    dialect: Dialect | None
    keep: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()  # texts that stand for a missing id
    skip: bool = False  # bad rows are counted, not refused
    named: bool = False  # the format is not GENERIC: its columns cannot be configured
    most: int = 1 << 62  # events that fit into memory; a text file is not looked at beyond
    others: bool = False  # events of other types are returned, too
    days: bool = False  # DAY is returned, too

    def read(self) -> FileEvents:
        """Return the events in file order; raises `DataError` (see `read_log`)."""
        try:
            return self._read()
        except delimited.RecordError:
            if not self.skip or self.dialect is None:
                raise
            dialect = self.dialect
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "records.csv"
            lost = delimited.salvage(self.path, dialect, len(self.layout.header), copy)
            try:
                rest = replace(self, path=copy)._read()
            except DataError as error:  # the copy is gone when this is read
                message = error.message.replace(str(copy), f"{self.path}, without its broken lines", 1)
                raise DataError(message, error.hint) from None
        lines = sum(reason.rows for reason in lost)
        found = rest.counts
        known = [replace(reason, first="") for reason in found.why_bad]  # their lines are those of the copy
        bad = Counts(found.bad.events + lines, *found.bad[1:])
        return replace(rest, counts=replace(found, rows=found.rows + lines, bad=bad, why_bad=[*lost, *known]))

    def kinds(self) -> dict[str, int]:
        """Return the event types of the file with their numbers of events."""
        kind = pl.col(str(self.layout.kind)).cast(pl.String).fill_null("").alias(_KIND)
        counts = self._attempt(lambda: self._scan().select(kind).group_by(_KIND).len().collect(engine="streaming"))
        return dict(counts.iter_rows())

    def size(self) -> int:
        """Return the number of events of all types; if there are more than `most`, some number above it.

        Raises:
            DataError: the file is damaged, is not a table of the kind that its name says, or has a line too long.
        """
        if self.dialect is None:
            delimited.require_parquet(self.path)
            return int(self._attempt(lambda: self._scan().select(pl.len()).collect()).item())
        delimited.require_plain_text(self.path)
        return max(self._survey.records - (not self.layout.header), 0)

    @cached_property
    def _survey(self) -> Survey:
        return delimited.survey(self.path, self.dialect or Dialect(","), self.most)

    def check(self) -> pl.Schema:
        """Return the types of all columns; raises `DataError` where one to be read is missing or of the wrong type."""
        self._require_columns()
        schema = self._attempt(lambda: self._scan().collect_schema())
        self._require_types(schema)
        return schema

    def _read(self) -> FileEvents:
        schema = self.check()
        if self.dialect is not None:
            self._require_quotes(self.dialect)
        common = self._common_times(schema)
        events = self._collect(self._expressions(schema, common))
        if common and events[TIME].has_nulls():  # some are written in another way, or are no times
            events = events.with_columns(self._collect([self._time(schema)]))
        if events.is_empty():
            raise DataError(f"{self.path}: has column names but no events", "is this the right file?")
        last = _EMPTY + schema.names()[-1]
        if self.dialect is not None and last in events.columns and events[last].any():
            self._check_records(self.dialect)
        if WANTED not in events.columns:
            events = events.with_columns(pl.lit(value=True).alias(WANTED))
        for name, column in ((SESSION, self.session), (ITEM, self.layout.item)):
            events = self._with_text_ids(events, name, column)
        if self.layout.time is None:
            rows = pl.int_range(pl.len(), dtype=pl.Int64)
            events = events.with_columns((rows * times.MICROSECONDS_PER_SECOND).alias(TIME))
        if self.layout.day is not None:
            first = pl.col(DAY).min().over(SESSION)
            events = events.with_columns(pl.when(pl.col(DAY).is_not_null()).then(first + pl.col(TIME)).alias(TIME))
        if _MISSING not in events.columns:
            events = events.with_columns(pl.lit(value=False).alias(_MISSING))
        extra = [*([DAY] if self.days else []), *([PART] if self.layout.part else [])]
        kinds = (
            self.kinds() if _KIND in events.columns and events[_KIND].drop_nulls().n_unique() < len(self.keep) else {}
        )
        found = self._valid_events(events.select(SESSION, ITEM, TIME, WANTED, _MISSING, *extra))
        return replace(found, counts=replace(found.counts, kinds=kinds), owners=self._owners(schema))

    def _owners(self, schema: pl.Schema) -> pl.DataFrame | None:
        """Return the distinct pairs of SESSION and USER, as text; None where sessions are users, or none is named."""
        user = self.layout.user
        if user not in schema or self.layout.session is None or self.layout.by == "user":
            return None
        columns = {SESSION: self.session, USER: str(user)}
        pairs = self._scan().select(_text_id(self._id(column)).alias(name) for name, column in columns.items())
        return self._attempt(lambda: pairs.drop_nulls().unique().collect(engine="streaming"))

    def _common_times(self, schema: pl.Schema) -> str | None:
        """The format of the first time, if it is a common one."""
        column = self.layout.time
        if column is None or self.layout.unit != "iso8601" or schema[column] != pl.String:
            return None
        first = self._attempt(lambda: self._scan().select(column).head(1).collect())
        return times.common_iso(first.item()) if first.height else None

    def _time(self, schema: pl.Schema, common: str | None = None) -> pl.Expr:
        column = str(self.layout.time)
        if common:
            return times.common_to_microseconds(pl.col(column), common).alias(TIME)
        return times.to_microseconds(pl.col(column), schema[column], self.layout.unit).alias(TIME)

    def _expressions(self, schema: pl.Schema, common: str | None) -> list[pl.Expr]:
        layout = self.layout
        exprs = [
            _integer_id(self._id(self.session), schema[self.session]).alias(SESSION),
            _integer_id(self._id(layout.item), schema[layout.item]).alias(ITEM),
        ]
        if self.missing:
            ids = (pl.col(column).cast(pl.String).fill_null("") for column in (self.session, layout.item))
            exprs.append(pl.any_horizontal(text.is_in(list(self.missing)) for text in ids).alias(_MISSING))
        if layout.time is not None:
            exprs.append(self._time(schema, common))
        if layout.day is not None:
            exprs.append(times.to_microseconds(pl.col(layout.day), schema[layout.day], "iso8601").alias(DAY))
        if layout.kind is not None and self.keep:
            kinds = pl.col(layout.kind).cast(pl.String)
            exprs.append(kinds.is_in(list(self.keep)).fill_null(value=False).alias(WANTED))
            if len(self.keep) > 1:
                places = range(len(self.keep))
                exprs.append(kinds.replace_strict(self.keep, places, default=None, return_dtype=pl.Int32).alias(_KIND))
        if layout.part is not None:
            exprs.append(_part(pl.col(layout.part)))
        if self.dialect is not None:
            # Polars fills up rows that are too short, and notices those too long only where it reads every column.
            others = [name for name in schema.names() if name not in self.columns().values()]
            exprs += [pl.col(name).is_null().alias(_EMPTY + name) for name in others]
        return exprs

    def _id(self, column: str) -> pl.Expr:
        """A column of ids; null where one stands for a missing value."""
        ids = pl.col(column)
        return pl.when(~ids.cast(pl.String).is_in(list(self.missing))).then(ids) if self.missing else ids

    def _with_text_ids(self, events: pl.DataFrame, name: str, column: str) -> pl.DataFrame:
        """Ids as text if the id of a wanted event is not a plain integer."""
        lacking = events[WANTED] & events[name].is_null()
        if not lacking.any():
            return events
        text = self._collect([_text_id(self._id(column)).alias(name)])[name]
        if name == ITEM and self.layout.blank_item:
            return events.with_columns(text.fill_null(""))
        return events.with_columns(text) if (lacking & text.is_not_null()).any() else events

    def _valid_events(self, events: pl.DataFrame) -> FileEvents:
        """The wanted events that have ids and a time. The others are counted; bad rows may be refused."""
        wanted = events.filter(WANTED) if self.keep else events
        if wanted.is_empty():
            raise no_events(self.path, self.keep, self.kinds(), f"column {self.layout.kind!r} holds them; ")
        present = wanted.filter(~pl.col(_MISSING)) if self.missing else wanted
        if present.is_empty():
            raise DataError(f"{self.path}: every one of its {wanted.height} events lacks an id", "look at data.missing")
        counts = FileCounts(events.height, removed(events, wanted), missing=removed(wanted, present))
        needed = [name for name in (SESSION, ITEM, TIME, PART) if name in present.columns]
        is_bad = pl.any_horizontal(pl.col(needed).is_null(), *_line_breaks(present)).fill_null(value=True)
        if not present.select(is_bad.any()).item():
            return FileEvents(self._returned(events.filter(~pl.col(_MISSING)), present), counts)
        bad_rows = events.select((pl.col(WANTED) & ~pl.col(_MISSING) & is_bad).arg_true()).to_series()
        if not self.skip:
            self._refuse(events, int(bad_rows[0]))
        good = present.filter(~is_bad)
        if good.is_empty():
            message = f"{self.path}: every one of its {present.height} rows is bad"
            raise NoTimeError(message, "set data.on_error: stop, which explains the first of them")
        counts = replace(counts, bad=removed(present, good), why_bad=self._reasons(events, bad_rows))
        left_out = pl.col(_MISSING) | (pl.col(WANTED) & is_bad)
        return FileEvents(self._returned(events.filter(~left_out), good), counts)

    def _returned(self, events: pl.DataFrame, wanted: pl.DataFrame) -> pl.DataFrame:
        return events.drop(_MISSING) if self.others else wanted.drop(WANTED, _MISSING)

    def _reasons(self, events: pl.DataFrame, bad_rows: pl.Series) -> list[BadRows]:
        rows = events[bad_rows.to_list()].with_columns(bad_rows.alias(_ROW))
        reason = pl.when(pl.col(SESSION).is_null()).then(pl.lit("no session id"))
        chain = reason.when(pl.col(ITEM).is_null()).then(pl.lit("no item id"))
        chain = chain.when(pl.col(TIME).is_null()).then(pl.lit("not a time"))
        if PART in rows.columns:
            chain = chain.when(pl.col(PART).is_null()).then(pl.lit("unknown part"))
        named = chain.otherwise(pl.lit("line break in an id"))
        groups = rows.group_by(named.alias("reason")).agg(pl.len().alias("rows"), pl.col(_ROW).min()).sort(_ROW)
        return [BadRows(r, n, f"{self.path.name}, {self._place(first)}") for r, n, first in groups.iter_rows()]

    def _place(self, row: int) -> str:
        if self.dialect is None:
            return f"row {row + 1}"
        return f"line {delimited.line_of_row(self.path, self.dialect, row, header=not self.layout.header)}"

    def _require_quotes(self, dialect: Dialect) -> None:
        """Refuse quotes and line ends that Polars reads in its own way; of quotes, only their record is read slowly."""
        found = self._survey
        if found.broken_record is not None:
            last = found.stray_quote or found.open_quote
            if found.open_too_long:
                raise delimited.RecordError(
                    f"{self.path}: line {found.open_quote}: a quote opens a field that is not closed within "
                    f"{delimited.LONGEST_QUOTED:,} bytes",
                    'close it at the end of its field; a quote inside a quoted field is written twice ("")'
                    "; set data.quote: null if this file does not quote fields",
                )
            self._check_records(dialect, Part(found.broken_record, last))
            raise self._misquoted(dialect, f"line {last} holds a lone quote")
        if found.lone_returns:
            self._check_records(dialect)

    def _check_records(self, dialect: Dialect, part: Part | None = None) -> None:
        delimited.check_records(self.path, dialect, len(self.layout.header), part)

    def columns(self) -> dict[str, str]:
        """Return the columns to read, by the key that names each in the configuration."""
        columns = {"data.columns.session": self.session, "data.columns.item": self.layout.item}
        if self.layout.by == "user":
            columns = {"data.columns.user": self.session, "data.columns.item": self.layout.item}
        columns |= {} if self.layout.time is None else {"data.columns.time": self.layout.time}
        columns |= {} if self.layout.kind is None or not self.keep else {"data.columns.event": self.layout.kind}
        columns |= {} if self.layout.part is None else {"data.columns.part": self.layout.part}
        return columns | ({} if self.layout.day is None else {"data.columns.day": self.layout.day})

    def _scan(self) -> pl.LazyFrame:
        if self.dialect is None:
            return pl.scan_parquet(self.path, glob=False, hive_partitioning=False)
        separator, quote = self.dialect
        if self.layout.header:
            schema = dict.fromkeys(self.layout.header, pl.String)
            return pl.scan_csv(
                self.path, separator=separator, quote_char=quote, has_header=False, schema=schema, glob=False
            )
        return pl.scan_csv(
            self.path, separator=separator, quote_char=quote, infer_schema=False, glob=False,
            with_column_names=lambda read: delimited.with_quotes(read, self.path, self.dialect),
        )  # fmt: skip

    def _collect(self, exprs: list[pl.Expr]) -> pl.DataFrame:
        return self._attempt(lambda: self._scan().select(exprs).collect(engine="streaming"))

    def _attempt(self, action: Callable[[], Result]) -> Result:
        try:
            return action()
        except (PolarsError, PanicException, OSError) as error:
            reason = str(error).partition("\n")[0]
        if self.dialect is None:
            if "more than one occurrence" in reason:
                raise DataError(f"{self.path}: two columns have one name ({reason})", "rename or leave out one of them")
            raise DataError(
                f"{self.path}: not a readable Parquet file ({reason})",
                "is it complete? Write it again, with columns of integers, text and times",
            )
        self._check_records(self.dialect)
        if "gzip" in reason:  # Python's reader does not mind what follows the data
            raise DataError(f"{self.path}: other bytes follow the gzip data ({reason})", delimited.COMPRESS_AGAIN)
        raise self._misquoted(self.dialect, reason)

    def _misquoted(self, dialect: Dialect, reason: str) -> delimited.RecordError:
        return delimited.RecordError(
            f"{self.path}: cannot be read as text separated by {dialect.separator!r}: {reason}",
            'a field that holds a quote must be quoted as a whole, with its own quotes written twice (""); '
            "set data.quote: null if this file does not quote fields",
        )

    def _require_columns(self) -> None:
        if self.dialect is not None:
            names = delimited.read_header(self.path, self.dialect)
            if self.layout.header:  # what was read is the first event; its fields are counted with all others'
                return
        else:
            names = self._attempt(lambda: self._scan().collect_schema()).names()
        wanted = self.columns()
        if self.layout.user is not None and self.layout.by == "session" and not self.named:
            wanted["data.columns.user"] = self.layout.user  # whose sessions these are is checked
        for column in wanted.values():
            if names.count(column) > 1:
                message = f"{self.path}: column {column!r} occurs {names.count(column)} times"
                raise DataError(message, "rename all but one")
        missing = {key: column for key, column in wanted.items() if column not in names}
        if missing:
            shown = ", ".join(map(repr, names[:_SHOWN_COLUMNS])) + (", …" if len(names) > _SHOWN_COLUMNS else "")
            what = f"no column{'s' if len(missing) > 1 else ''} {', '.join(map(repr, missing.values()))}"
            hint = f"is it the file that {GUIDE} names?" if self.named else _hint_for_missing(missing, names)
            raise DataError(f"{self.path}: {what}; the file has {shown}", hint)

    def _require_types(self, schema: pl.Schema) -> None:
        for key, column in self.columns().items():
            dtype = schema[column]
            message = f"{self.path}: column {column!r} is of type {dtype}"
            if key in ("data.columns.event", "data.columns.part", "data.columns.day"):
                continue
            if column == self.layout.time:
                unit = self.layout.unit
                if not times.accepts(dtype, unit):
                    raise NoTimeError(
                        f"{message}, which cannot hold times with time_unit: {unit}",
                        f"{times.advice_for(dtype)}, or name another column in {key}",
                    )
            elif not (dtype.is_integer() or dtype.base_type() in (pl.String, pl.Categorical, pl.Enum)):
                why = " (missing ids turn integers into floats)" if dtype.is_float() else ""
                raise DataError(
                    f"{message}, ids must be integers or text", f"convert it{why}, or name another column in {key}"
                )

    def _refuse(self, events: pl.DataFrame, row: int) -> None:
        """Report a row that lacks an id or a time, or a record before it that is broken."""
        if self.dialect is not None:
            self._check_records(self.dialect, Part(most=row + 1 + (not self.layout.header)))
        layout, place = self.layout, self._place(row)
        columns = {SESSION: self.session, ITEM: layout.item, TIME: layout.time, PART: layout.part}
        given = self._values(row)
        for name, column in columns.items():
            read = events[name][row] if column else None
            if column is None or not (read is None or (isinstance(read, str) and "\n" in read)):
                continue
            value, unit = given[column], layout.unit
            if name == TIME and layout.day is not None and times.parse_iso(str(given[layout.day])) is None:
                column, value, unit = layout.day, given[layout.day], "iso8601"
            where = f"{self.path}: {place}, column {column!r}"
            if name == TIME:
                what, hint = times.explain(value, unit)
                raise NoTimeError(f"{where}: {what}", hint, row)
            what, hint = _explain(name, value, self.missing)
            raise DataError(f"{where}: {what}", hint)

    def _values(self, row: int) -> dict[str, Any]:
        """What a row holds in the columns that are read."""
        names = list(dict.fromkeys(self.columns().values()))
        frame = self._attempt(lambda: self._scan().select(names).slice(row, 1).collect())
        moments = [name for name in names if frame.schema[name].is_temporal()]  # maybe too large for Python's
        given = frame.with_columns(pl.col(moments).to_physical().cast(pl.Int64)).row(0, named=True)
        return given | {name: times.plain(given[name], frame.schema[name]) for name in moments}


def no_events(path: Path, keep: tuple[str, ...], kinds: dict[str, int], where: str = "") -> DataError:
    """Return the error of a file that has none of the event types to keep; `where` says where the types are."""
    return DataError(
        f"{path}: none of its {sum(kinds.values()):,} events is of type {' or '.join(keep)}; {listed_types(kinds)}",
        f"{nearest_types(keep, kinds)}{where}name those to keep in data.events",
    )


def removed(before: pl.DataFrame, after: pl.DataFrame) -> Counts:
    """Count the events, sessions and items that a filter removed; missing ids are not counted."""
    if before.height == after.height:
        return NONE
    sessions, items = (
        before[name].drop_nulls().n_unique() - after[name].drop_nulls().n_unique() for name in (SESSION, ITEM)
    )
    return Counts(before.height - after.height, sessions, items)


def _line_breaks(events: pl.DataFrame) -> list[pl.Expr]:
    texts = [name for name in (SESSION, ITEM) if events.schema[name] == pl.String]
    return [pl.col(name).str.contains("\n", literal=True) for name in texts]


def _integer_id(ids: pl.Expr, dtype: pl.DataType) -> pl.Expr:
    """The id as Int64; null where it is missing or not an integer written plainly ("007" and "+7" are not)."""
    if dtype.is_integer():
        return ids.cast(pl.Int64, strict=False)
    text = ids.cast(pl.String)
    integer = text.cast(pl.Int64, strict=False)
    return pl.when(integer.cast(pl.String) == text).then(integer)


def _text_id(ids: pl.Expr) -> pl.Expr:
    text = ids.cast(pl.String)
    return pl.when(text != "").then(text)


def _part(column: pl.Expr) -> pl.Expr:
    """The part that a row is in; null where its value is none of PARTS."""
    kind = pl.Enum([*dict.fromkeys(PARTS.values())])
    return column.cast(pl.String).replace_strict(PARTS, default=None, return_dtype=kind).alias(PART)


def _explain(name: str, value: object, missing: tuple[str, ...]) -> tuple[str, str]:
    if name == PART:
        shown = "empty" if value is None or value == "" else repr(str(value)[:40])
        return f"the part is {shown}", f"known parts, written exactly like this: {', '.join(PARTS)}"
    if value is None or value == "":
        advice = with_missing([""], missing)
        return "the id is empty", f"give every event its ids, or {advice} to drop and count such rows"
    return f"the id {str(value)[:40]!r} holds a line break", "is a quote left open? Close it: ids hold no line breaks"


def _hint_for_missing(missing: dict[str, str], names: list[str]) -> str:
    """What to do about columns that a file lacks, by the key that names each."""
    if names[0].startswith("sep="):
        separator = names[0].removeprefix("sep=") or ","
        reason = "line 1 is one that spreadsheet programs add, not the column names"
        return f"{reason}: remove it, and set data.separator: {separator!r}"
    if len(names) == 1:
        for separator, name in {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}.items():
            if separator in names[0]:
                return f"is the separator {name}? Set data.separator"
        if names[0].startswith("#") or " " in names[0]:
            return "the first line must hold the column names; remove what stands before them"
    if any(_is_value(name) for name in names):
        return (
            "the first line must hold the column names; this one looks like data: add a line such as "
            "SessionId,ItemId,Time at the start"
        )
    by_lower = {name.strip().lower(): name for name in names}
    close = {key: get_close_matches(column.lower(), by_lower, n=1) for key, column in missing.items()}
    if len(missing) == 1:
        ((key, found),) = close.items()
        more = f"; did you mean {by_lower[found[0]]!r}?" if found else "; a file without a line of names needs one"
        return f"name the column in {key}{more}"
    keys = [key + (f" ({by_lower[found[0]]!r}?)" if found else "") for key, found in close.items()]
    more = "" if any(close.values()) else "; a file without a line of names needs one"
    return f"name the columns in {', '.join(keys[:-1])} and {keys[-1]}{more}"


def _is_value(name: str) -> bool:
    """Return true for what is a number or a time, not a name: of a file without a line of names."""
    return name.strip().lstrip("+-").replace(".", "", 1).isdigit() or times.parse_iso(name.strip()) is not None
