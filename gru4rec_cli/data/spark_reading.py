"""Clicks read with Spark, by the same rules as `reading`; bad rows are refused and only Polars explains them.

Every row has its place in the file: where Spark's split of the file begins, and the number of its rows before. Events
of equal time therefore keep the order of the file, however many tasks read it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import narwhals as nw
import polars as pl

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data import delimited, times
from gru4rec_cli.data.delimited import Dialect
from gru4rec_cli.data.engine import PAIR, RANK, ROW, Table, native
from gru4rec_cli.data.eventfile import DAY, WANTED, EventFile, FileCounts, no_events
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.layout import Layout
from gru4rec_cli.data.reading import event_file, facts_of, files_to_read, known_users, layout_for, make_sessions
from gru4rec_cli.data.removals import Counts
from gru4rec_cli.data.spark import SparkEngine, computed, location
from gru4rec_cli.data.users import USER

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

POLARS = "data.engine: polars names the line and what is wrong with it, or skips bad rows"

_BAD, _FILE, _LINE, _FIRST = "bad", "file", "line", "first row"
_FILE_BITS, _SPLIT_BITS = 43, 33  # of ROW: bytes before the place of a row; rows of a task, as Spark numbers them
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_ISO = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d(:?\d\d)?)$"


@dataclass(frozen=True)
class _FileEvents:
    events: "DataFrame"  # SESSION, ITEM, TIME, ROW, DAY, WANTED, typed; those of other types, too
    rows: int
    other: Counts
    owners: pl.DataFrame | None  # as of `FileEvents`


@dataclass(frozen=True)
class SparkReading:
    """Events with ROW (and PAIR, if the settings ask); facts and users as of `Reading`."""

    events: Table
    facts: dict[str, Any]
    users: pl.DataFrame | None


def read_log(session: "SparkSession", source: str | Path, settings: DataSettings) -> SparkReading:
    """Read what `reading.read_log` reads.

    Raises:
        DataError: a file is missing, unreadable or empty, or a row is bad.
    """
    layout, engine = layout_for(settings), SparkEngine()
    read = []
    for number, path in enumerate(files_to_read(source, settings)):
        read.append(_read(session, event_file(path, layout, settings), layout, number))
    logs = [found.events for found in read]
    events = _with_time_rules(_joined(_paired(logs) if settings.shared_row_numbers else logs), settings)
    made = make_sessions(engine, engine.compute(nw.from_native(events)), layout, settings.sessions)
    facts = facts_of(settings, [FileCounts(found.rows, found.other) for found in read], made.facts)
    return SparkReading(made.events, facts, made.users(layout, known_users([found.owners for found in read])))


def _joined(logs: list["DataFrame"]) -> "DataFrame":
    """One log; ids as text where those of one file are not integers."""
    text = [name for name in (SESSION, ITEM) if len({dict(log.dtypes)[name] for log in logs}) > 1]
    joined, *others = [log.withColumns({name: log[name].cast("string") for name in text}) for log in logs]
    for log in others:
        joined = joined.unionByName(log)
    return joined


def _paired(logs: list["DataFrame"]) -> list["DataFrame"]:
    """The logs with PAIR, as `reading` adds it."""
    from pyspark.sql import Window
    from pyspark.sql import functions as sf

    if len(logs) < 2:
        return logs
    shared, number = min(log.count() for log in logs), sf.row_number().over(Window.orderBy(ROW)) - 1
    return [log.withColumn(PAIR, sf.when(number < shared, number)) for log in logs]


def _with_time_rules(log: "DataFrame", settings: DataSettings) -> "DataFrame":
    """The log after the rules about times and their order, as `reading` applies them; a new ROW holds the order."""
    from pyspark.sql import Window
    from pyspark.sql import functions as sf

    in_session = Window.partitionBy(SESSION)
    rank = {"file": sf.lit(0), "item": sf.col(ITEM), "first_seen": sf.min(ROW).over(Window.partitionBy(ITEM))}
    dated, has_days = settings.session_time == "last_row", DAY in log.columns
    log = log.withColumn(RANK, rank[settings.equal_times])
    if settings.whole_seconds:
        log = log.withColumn(TIME, sf.col(TIME) - sf.col(TIME) % times.MICROSECONDS_PER_SECOND)
    if dated:
        log = log.withColumn(DAY, sf.max_by(DAY if has_days else TIME, ROW).over(in_session))
    used = (
        sf.col(WANTED)
        if settings.sessions.gap_over == "kept"
        else sf.col(SESSION).isNotNull() & sf.col(TIME).isNotNull()
    )
    log = log.filter(used)
    if settings.equal_times != "file" or (dated and has_days):
        ordered = log.withColumn(_FIRST, sf.min(ROW).over(in_session)).orderBy(_FIRST, TIME, RANK, ROW)
        log = computed(ordered.withColumn(ROW, sf.monotonically_increasing_id()))
    if dated:
        log = log.withColumn(TIME, sf.col(DAY))
    extra = [name for name in (PAIR,) if name in log.columns]
    extra += [WANTED] if settings.sessions.gap_over == "all" else []
    return log.select(SESSION, ITEM, TIME, ROW, *extra)


def _read(session: "SparkSession", file: EventFile, layout: Layout, number: int) -> _FileEvents:
    from pyspark.sql import Window
    from pyspark.sql import functions as sf

    schema = file.check()
    raw = _text(session, file) if file.dialect is not None else _parquet(session, file)
    owners = _owners(raw, file) if layout.user in schema else None
    ids = {SESSION: sf.col(_quoted(file.session)), ITEM: sf.col(_quoted(layout.item))}
    keeps = sf.lit(True)
    if layout.kind is not None and file.keep:
        keeps = sf.coalesce(sf.col(_quoted(layout.kind)).cast("string").isin(list(file.keep)), sf.lit(False))
    time = _micros(sf.col(_quoted(str(layout.time))), schema[str(layout.time)], layout)
    columns = {
        **{name: _text_id(column) for name, column in ids.items()},
        TIME: time,
        DAY: _instant(sf.col(_quoted(layout.day))) if layout.day is not None else sf.lit(None).cast("bigint"),
        WANTED: keeps,
        _BAD: sf.col(_BAD),
        _LINE: sf.col(_LINE),
        ROW: sf.col(ROW) + sf.lit(number << _FILE_BITS),
    }
    events = raw.select([column.alias(name) for name, column in columns.items()])
    if layout.day is not None:
        first = sf.min(DAY).over(Window.partitionBy(SESSION))
        events = events.withColumn(TIME, sf.when(sf.col(DAY).isNotNull(), first + sf.col(TIME)))
    events = computed(events)
    counts = events.agg(
        sf.count("*").alias("rows"),
        sf.count_if(WANTED).alias("wanted"),
        sf.count_if(_BAD).alias("broken"),
        *(sf.count_if(sf.col(WANTED) & sf.col(name).isNotNull() & _plain(name).isNull()).alias(name) for name in ids),
        sf.count_if(sf.col(WANTED) & _lacks(layout)).alias("lacking"),
        sf.count_if(sf.col(WANTED) & sf.col(ITEM).isNull()).alias("blank"),
    ).first()
    if counts is None or not counts["rows"]:
        raise DataError(f"{file.path}: holds no events", "is this the right file?")
    if counts["broken"] or counts["lacking"]:
        wrong = events.filter(sf.col(_BAD) | (sf.col(WANTED) & _lacks(layout))).orderBy(ROW).select(_LINE).first()
        shown = "" if wrong is None else f", the first of them {wrong[0][:60]!r}"
        count = max(counts["broken"], counts["lacking"])
        raise DataError(f"{file.path}: {count} rows lack an id or a time or are no records{shown}", POLARS)
    if not counts["wanted"]:
        raise no_events(file.path, file.keep, file.kinds(), f"column {layout.kind!r} holds them; ")
    typed = {name: sf.col(name) if counts[name] else _plain(name) for name in ids}
    if counts["blank"]:
        typed[ITEM] = sf.coalesce(sf.col(ITEM), sf.lit(""))
    events = events.withColumns(typed)
    kept = events.select(SESSION, ITEM, TIME, ROW, WANTED, *([DAY] if layout.day is not None else []))
    return _FileEvents(kept, counts["rows"], _other(events, counts["rows"] - counts["wanted"]), owners)


def _owners(raw: "DataFrame", file: EventFile) -> pl.DataFrame | None:
    """Return the distinct pairs of SESSION and USER as `EventFile` does."""
    layout = file.layout
    if layout.session is None or layout.by == "user":
        return None
    from pyspark.sql import functions as sf

    columns = {SESSION: file.session, USER: str(layout.user)}
    pairs = raw.select(*(_text_id(sf.col(_quoted(column))).alias(name) for name, column in columns.items()))
    return native(nw.from_native(pairs.dropna().distinct()))


def _other(events: "DataFrame", removed: int) -> Counts:
    """Events of other types, and the sessions and items without any wanted event."""
    from pyspark.sql import functions as sf

    if not removed:
        return Counts(0, 0, 0)
    lost = [
        events.filter(sf.col(name).isNotNull())
        .groupBy(name)
        .agg(sf.bool_or(WANTED).alias(WANTED))
        .filter(f"not {WANTED}")
        for name in (SESSION, ITEM)
    ]
    return Counts(removed, lost[0].count(), lost[1].count())


def _text(session: "SparkSession", file: EventFile) -> "DataFrame":
    """Every line as a record: columns of the header, _BAD, _LINE, ROW."""
    from pyspark.sql import functions as sf

    dialect, header = file.dialect or Dialect(","), file.layout.header
    names = header or delimited.read_header(file.path, dialect)
    lines = session.read.text(location(file.path), lineSep="\n").select(
        sf.regexp_replace("value", "\r$", "").alias(_LINE),
        (sf.col("_metadata.file_block_start") + _row_of_split()).alias(ROW),
    )
    if not header:
        lines = lines.filter(sf.col(ROW) != 0)
    record = ", ".join(f"c{number} STRING" for number in range(len(names)))
    options = {
        "sep": dialect.separator,
        "quote": dialect.quote or "",
        "escape": dialect.quote or "",
        "nullValue": "",
        "emptyValue": "",
        "columnNameOfCorruptRecord": "corrupt",
    }
    parsed = lines.select("*", sf.from_csv(_LINE, f"{record}, corrupt STRING", options).alias("record"))
    bad = (
        (sf.col(_LINE) == "")
        | sf.col(_LINE).contains("\r")
        | sf.col("record.corrupt").isNotNull()
        | sf.col(_LINE).contains("\ufffd")
    )
    fields = [sf.col(f"record.c{number}").alias(name) for number, name in enumerate(names)]
    well_formed = sf.lit(True)
    if dialect.quote:
        pattern = _record_pattern(dialect.separator)
        well_formed = ~sf.col(_LINE).contains(dialect.quote) | sf.col(_LINE).rlike(pattern)
    return parsed.select(*fields, (bad | ~well_formed).alias(_BAD), _LINE, ROW)


def _record_pattern(separator: str) -> str:
    """A line of fields without quotes, or in quotes as a whole with their own quotes doubled."""
    escaped = f"\\x{ord(separator):02x}"
    field = f'(?:[^"{escaped}]*+|"[^"]*+(?:""[^"]*+)*+")'
    return f"^{field}(?:{escaped}{field})*$"


def _row_of_split() -> "Column":
    """How many rows of the same split came before: Spark numbers the rows of a task, and a split has a task of its own
    or is the last of its file. Every row takes at least a byte: splits do not overlap."""
    from pyspark.sql import functions as sf

    return sf.monotonically_increasing_id().bitwiseAND(sf.lit((1 << _SPLIT_BITS) - 1))


def _parquet(session: "SparkSession", file: EventFile) -> "DataFrame":
    from pyspark.sql import functions as sf

    user = [name for name in (file.layout.user,) if name is not None and name in file.check()]
    columns = [sf.col(_quoted(name)) for name in dict.fromkeys([*file.columns().values(), *user])]
    shown = sf.concat_ws(", ", *(column.cast("string") for column in columns)).alias(_LINE)
    frame = session.read.parquet(location(file.path))
    return frame.select(*columns, sf.lit(False).alias(_BAD), shown, sf.col("_metadata.row_index").alias(ROW))


def _quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def _text_id(column: "Column") -> "Column":
    from pyspark.sql import functions as sf

    text = column.cast("string")
    return sf.when(text != "", text)


def _plain(name: str) -> "Column":
    """The id as an integer; null where it is missing or not one written plainly."""
    from pyspark.sql import functions as sf

    integer = sf.col(name).try_cast("bigint")
    return sf.when(integer.cast("string") == sf.col(name), integer)


def _lacks(layout: Layout) -> "Column":
    from pyspark.sql import functions as sf

    lacks = sf.col(SESSION).isNull() | sf.col(TIME).isNull()
    return lacks if layout.blank_item else lacks | sf.col(ITEM).isNull()


def _micros(time: "Column", dtype: Any, layout: Layout) -> "Column":
    """As `times.to_microseconds`."""
    from pyspark.sql import functions as sf

    if layout.unit == "iso8601":
        micros = _instant(time) if dtype == pl.String else sf.unix_micros(time.cast("timestamp"))
    else:
        micros = _as_number(time, times.MICROS_PER[layout.unit])
        if layout.unit == "nanoseconds" and not dtype.is_float():
            whole = sf.floor(time.cast("string").try_cast("bigint") / sf.lit(times.NANOSECONDS_PER_MICROSECOND))
            micros = sf.coalesce(whole, micros)
    return sf.when(micros.between(0, times.LATEST), micros)


def _as_number(time: "Column", factor: float) -> "Column":
    from pyspark.sql import functions as sf

    text = time.cast("string")
    number = sf.when(text.rlike(_NUMBER), text.try_cast("double"))
    return sf.round(number * sf.lit(factor)).try_cast("bigint")


def _instant(text: "Column") -> "Column":
    from pyspark.sql import functions as sf

    text = sf.regexp_replace(text.cast("string"), " UTC$", "")
    text = sf.regexp_replace(text, "^([^ ]*) ", "$1T")
    text = sf.when(sf.length(text) == len("2014-04-07"), sf.concat(text, sf.lit("T00:00:00"))).otherwise(text)
    text = sf.regexp_replace(text, times.WITHOUT_SECONDS, "$1:00$2")
    text = sf.when(text.rlike(r"T.*(Z|[+-]\d\d(:?\d\d)?)$"), text).otherwise(sf.concat(text, sf.lit("Z")))
    return sf.unix_micros(sf.when(text.rlike(_ISO), text).try_cast("timestamp"))
