"""Guesses at what the columns of a file of clicks mean, each with its evidence."""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple, cast

import polars as pl
from polars.exceptions import PanicException, PolarsError

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.data import delimited, times
from gru4rec_cli.data.quality.missing import is_word
from gru4rec_cli.data.quality.times import FIRST_PLAUSIBLE

ROWS = 1_000_000  # looked at, from the start of the file

_LINES = 200  # looked at to find the separator
_SEPARATORS = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_NEARLY_ALL = 0.98
_MOST_KINDS = 30  # different values of a column of event types
_SHARED = 0.05
_PER_SECOND = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000, "nanoseconds": 1_000_000_000}
_LATEST_SECOND = times.LATEST // times.MICROSECONDS_PER_SECOND
_ZONE = r":\d\d.*?(Z|UTC|[+-]\d\d:?\d\d|[+-]\d\d)$"
_NAMES = {
    "time": r"time|date|stamp|^ts$|_ts$|(^|_)at$|when|moment",
    "session": r"sess|visit(?!or)|^sid$|basket|(^|_)trip",
    "user": r"user|visitor|customer|client|uid|cookie|member|account|person|shopper|device|^ip$",
    "item": r"item|product|article|sku|asin|track|song|movie|book|content|page|url|aid|listing|news|prod|video|offer",
    "event": r"event|type|action|behaviou?r|kind|activity|verb",
}
_KINDS_USED = re.compile(r"view|click|visit|detail|open|read|listen|play|watch|impression_click", re.IGNORECASE)


class Guess(NamedTuple):
    """A column (None: there is none), why, and false where the evidence is weak."""

    column: str | None
    reason: str
    sure: bool = True


class Columns(NamedTuple):
    """Guesses at all columns that matter, and at how their values are to be read."""

    time: Guess
    unit: str
    session: Guess
    user: Guess
    item: Guess
    event: Guess
    kinds: dict[str, int]  # event types with their numbers of events, most frequent first
    by_user: str  # why sessions should be made from users' pauses; empty: sessions are those of the file


class Sample(NamedTuple):
    """The first rows of a file, all columns as text, and how it is read."""

    rows: pl.DataFrame
    separator: str | None  # None: Parquet
    moments: frozenset[str]  # columns of Parquet that hold dates or datetimes


def sample_of(path: Path) -> Sample:
    """Return the first ROWS rows of a text file or of Parquet.

    Raises:
        DataError: the file cannot be read as a table with column names.
    """
    try:
        if path.suffix.lower() == ".parquet":
            delimited.require_parquet(path)
            frame = pl.scan_parquet(path, glob=False, hive_partitioning=False).head(ROWS).collect()
            moments = frozenset(name for name, dtype in frame.schema.items() if dtype.is_temporal())
            flat = [name for name, dtype in frame.schema.items() if not dtype.is_nested() and dtype != pl.Binary]
            return Sample(frame.select(pl.col(flat).cast(pl.String)), None, moments)
        delimited.require_plain_text(path)
        separator = separator_in(path)
        scan = pl.scan_csv(
            path, separator=separator, infer_schema=False, glob=False, truncate_ragged_lines=True,
            with_column_names=lambda read: delimited.with_quotes(read, path, delimited.Dialect(separator)),
        )  # fmt: skip
        rows = scan.head(ROWS).collect()
    except (PolarsError, PanicException, OSError, EOFError, UnicodeDecodeError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{path}: cannot be read as a table ({reason})", "give a .csv, .tsv or .parquet file") from None
    _require_header(path, rows.columns)
    return Sample(rows, separator, frozenset())


def separator_in(path: Path) -> str:
    """Return the character that divides the first lines of a text file into the same number of fields, most of them."""
    lines = [line.decode("utf-8") for _, (_, line) in zip(range(_LINES), delimited.numbered_lines(path), strict=False)]
    best, most = ",", 1
    for separator in _SEPARATORS:
        widths = Counter(len(fields) for fields in csv.reader(lines, delimiter=separator))
        width, count = widths.most_common(1)[0] if widths else (0, 0)
        if width > most and count >= _NEARLY_ALL * len(lines):
            best, most = separator, width
    return best


def name_of(separator: str) -> str:
    """Return the name of a separator in words."""
    return _SEPARATORS.get(separator, repr(separator))


def columns_of(sample: Sample) -> Columns:
    """Guess which column holds what.

    Raises:
        DataError: no column can be one of items.
    """
    rows = sample.rows
    profile = {name: _profile(rows[name]) for name in rows.columns}
    time, unit = _time(sample, profile)
    taken = {time.column}
    event = _event(rows, profile, taken)
    taken.add(event.column)
    user = _named("user", rows, profile, taken)
    session = _named("session", rows, profile, taken | {user.column})
    if session.column is None and user.column is None:
        session = _other_session(rows, profile, taken)
    item = _item(rows, profile, taken | {user.column, session.column})
    if item.column is None:
        known = ", ".join(map(repr, rows.columns))
        raise DataError(f"no column looks like one of items among {known}", "write the configuration by hand")
    kinds = dict(rows[event.column].drop_nulls().value_counts(sort=True).iter_rows()) if event.column else {}
    return Columns(time, unit, session, user, item, event, kinds, _why_by_user(rows, session, user))


def kinds_used(kinds: dict[str, int]) -> tuple[str, ...]:
    """Return those of the event types that look like views; none where it is not clear."""
    used = tuple(kind for kind in kinds if _KINDS_USED.search(kind))
    return used if len(used) < len(kinds) else ()


class _Profile(NamedTuple):
    filled: float  # share of rows with a value
    distinct: int
    per_value: float  # mean number of rows of a value

    @property
    def repeats(self) -> bool:
        return self.per_value > 1.1 and self.distinct > 1


def _profile(values: pl.Series) -> _Profile:
    present = values.drop_nulls().drop_nans() if values.dtype.is_float() else values.drop_nulls()
    distinct = present.n_unique()
    return _Profile(len(present) / max(1, len(values)), distinct, len(present) / max(1, distinct))


def _require_header(path: Path, names: list[str]) -> None:
    """Raise `DataError` where the first line holds values."""
    if names and names[0].startswith("sep="):
        raise DataError(f"{path}: line 1 is one that spreadsheet programs add, not the column names", "remove it")
    values = [name for name in names if _is_value(name)]
    if values:
        raise DataError(
            f"{path}: the first line holds values, such as {values[0]!r}, not the names of the columns",
            "add a first line with the names, for instance SessionId,ItemId,Time",
        )


def _is_value(name: str) -> bool:
    return times.parse_iso(name) is not None or bool(re.fullmatch(r"[+-]?\d+(\.\d+)?(_duplicated_\d+)?", name.strip()))


def _matches(kind: str, name: str) -> bool:
    words = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return re.search(_NAMES[kind], words) is not None


def _time(sample: Sample, profile: dict[str, _Profile]) -> tuple[Guess, str]:
    """The column of times and their unit: most values must be moments from 1995 until next year."""
    found: list[tuple[tuple[bool, bool, int], str, str, str]] = []
    for name in sample.rows.columns:
        values = sample.rows[name].drop_nulls()
        values = values.gather_every(max(1, len(values) // 20_000))
        unit, reason = ("iso8601", "dates and times by type") if name in sample.moments else _unit_of(values)
        if unit:
            rank = (_matches("time", name), unit == "iso8601", profile[name].distinct)
            found.append((rank, name, unit, reason))
    if not found:
        return Guess(
            None, "no column holds times between 1995 and now; the rows are taken to be in order", False
        ), "seconds"
    rank, name, unit, reason = max(found)
    others = [other[1] for other in found if other[1] != name]
    reason += f"; {', '.join(map(repr, others))} could be times, too" if others else ""
    return Guess(name, reason, sure=rank[0] or unit == "iso8601"), unit


def _other_time(sample: Sample, profile: dict[str, _Profile]) -> Guess:
    """A column of numbers that is named like a time, or none."""
    for name in sample.rows.columns:
        numbers = sample.rows[name].cast(pl.Float64, strict=False)
        if _matches("time", name) and numbers.null_count() == 0 and numbers.is_between(0, _LATEST_SECOND).all():
            low, high = cast(float, numbers.min()), cast(float, numbers.max())
            return Guess(name, f"numbers from {low:,.0f} to {high:,.0f}, read as seconds from some origin", sure=False)
    return Guess(None, "no column holds times between 1995 and now; the rows are taken to be in order", sure=False)


def _unit_of(values: pl.Series) -> tuple[str, str]:
    """The unit of a column of times and the evidence; empty where it is not one."""
    values = values.alias("time")
    frame = pl.DataFrame({"time": values})
    latest = (datetime.now(UTC) - times.EPOCH) // times.MICROSECOND + 366 * times.MICROSECONDS_PER_DAY
    iso = frame.select(times.to_microseconds(pl.col("time"), pl.String(), "iso8601")).to_series()
    if len(values) and iso.is_between(FIRST_PLAUSIBLE, latest).sum() >= _NEARLY_ALL * len(values):
        zones = values.str.extract(_ZONE).fill_null("none").value_counts(sort=True)["time"].to_list()
        zone = ", ".join(zones[:4]) if zones != ["none"] else "none, so they are read as UTC"
        return "iso8601", f"values such as {values[0]!r} are ISO 8601 times; zones: {zone}"
    numbers = values.cast(pl.Float64, strict=False)
    for unit, per_second in _PER_SECOND.items():
        micros = numbers * (1_000_000 / per_second)
        if len(values) and micros.is_between(FIRST_PLAUSIBLE, latest).sum() >= _NEARLY_ALL * len(values):
            middle = times.iso(int(cast(float, micros.median())))
            return unit, f"values such as {values[0]!r} are times between 1995 and now only in {unit} (median {middle})"
    return "", ""


def _event(rows: pl.DataFrame, profile: dict[str, _Profile], taken: set[str | None]) -> Guess:
    for name in rows.columns:
        found = profile[name]
        if (
            name in taken
            or not _matches("event", name)
            or not 1 < found.distinct <= _MOST_KINDS
            or found.per_value < 10
        ):
            continue
        if rows[name].drop_nulls().cast(pl.Float64, strict=False).is_null().any():
            return Guess(name, f"the name says so, and it has {found.distinct} different values")
    return Guess(None, "no column with a few event types")


def _named(kind: str, rows: pl.DataFrame, profile: dict[str, _Profile], taken: set[str | None]) -> Guess:
    """A column of ids by its name; of several, the one with the most values that repeat."""
    found = [
        (profile[name].distinct, name)
        for name in rows.columns
        if name not in taken and _matches(kind, name) and profile[name].repeats
    ]
    if not found:
        return Guess(None, f"no column is named like {kind}s")
    distinct, name = max(found)
    others = [other for _, other in found if other != name]
    reason = f"the name says so; {distinct:,} ids with {profile[name].per_value:.1f} rows each"
    return Guess(name, reason + (f"; or is it {', '.join(map(repr, others))}?" if others else ""), sure=not others)


def _item(rows: pl.DataFrame, profile: dict[str, _Profile], taken: set[str | None]) -> Guess:
    named = _named("item", rows, profile, taken)
    if named.column is not None:
        return named
    found = [(p.distinct, name) for name, p in profile.items() if name not in taken and p.repeats]
    if not found:
        return Guess(None, "")
    distinct, name = max(found)
    return Guess(name, f"of the columns left, it has the most ids that repeat: {distinct:,}", sure=False)


def _other_session(rows: pl.DataFrame, profile: dict[str, _Profile], taken: set[str | None]) -> Guess:
    """The column whose ids are closest together in the file."""
    found = [
        (_spread(rows[name]), name)
        for name, p in profile.items()
        if name not in taken and p.repeats and not _matches("item", name)
    ]
    if not found:
        raise DataError(
            f"no column looks like one of sessions or users among {', '.join(map(repr, profile))}",
            "write the configuration by hand: README.md shows one",
        )
    spread, name = min(found)
    reason = f"no column is named like sessions or users; the rows of an id are closest together here ({spread:.1%} of "
    return Guess(name, reason + "the file from first to last)", sure=False)


def _spread(ids: pl.Series) -> float:
    """The part of the file from the first row of an id to the last, mean over the ids with several rows."""
    places = pl.DataFrame({"id": ids}).with_row_index("row").drop_nulls().group_by("id")
    spans = places.agg(pl.len(), (pl.col("row").max() - pl.col("row").min()).alias("span")).filter(pl.col("len") > 1)
    return float(cast(float, spans["span"].mean() or 0)) / max(1, len(ids))


def _why_by_user(rows: pl.DataFrame, session: Guess, user: Guess) -> str:
    """Return why sessions should be made from the pauses of users; empty where those of the file can be used."""
    if user.column is None:
        return ""
    if session.column is None:
        return "no column is named like sessions"
    ids = rows[session.column]
    lacking = (ids.is_null() | is_word(ids.fill_null(""))).sum() / max(1, len(ids))
    if lacking > _SHARED:
        return f"{lacking:.0%} of the rows have no id in {session.column!r}"
    owners = rows.select(session.column, user.column).drop_nulls().unique().group_by(session.column).len()
    shared = int((owners["len"] > 1).sum())
    if shared > _SHARED * owners.height:
        return f"{shared:,} of {owners.height:,} ids in {session.column!r} occur with several users"
    return ""


def texts_for_nothing(rows: pl.DataFrame, columns: list[str]) -> Iterator[str]:
    """Yield the texts in columns of ids that look like missing values, the empty one included."""
    found: set[str] = set()
    for column in columns:
        ids = rows[column].fill_null("").unique()
        words = ids.filter(is_word(ids))
        found |= {*words.to_list(), *({""} if (ids == "").any() else set())}
    yield from sorted(found)
