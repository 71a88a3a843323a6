"""Click events: the settings of section `data`, and the tables that stages write and read."""

from difflib import get_close_matches
from pathlib import Path
from typing import Literal

import polars as pl
from polars.exceptions import PanicException, PolarsError
from pydantic import Field, field_validator, model_validator

from gru4rec_cli.base.errors import StageError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.base.settings import Settings
from gru4rec_cli.data.engine import EqualTimes
from gru4rec_cli.data.layout import GENERIC, formats, layout_of
from gru4rec_cli.data.sessionising import SessionSettings
from gru4rec_cli.data.times import TimeUnit

SYNTHETIC = "synth"  # the data.source that stands for the output of the `synth` stage


class ColumnSettings(Settings):
    """Names of the columns of the file."""

    session: str = Field("SessionId", description="column of session ids: integers or text")
    item: str = Field("ItemId", description="column of item ids: integers or text")
    time: str | None = Field(
        "Time",
        description="column of event times; null: the file is in chronological order without times, "
        "and the row number, from 0, is the time in seconds",
    )
    user: str | None = Field(
        None,
        description="column of user ids, used in place of session ids with sessions.by: user; split/users.parquet "
        "keeps the user of each session",
    )
    event: str | None = Field(None, description="column of event types; `data.events` selects among them")
    part: str | None = Field(
        None,
        description="with split.by: column, column that says of each row whether it is train, valid (or validation, "
        "dev) or test; null: with split.by: column, the column `part`",
    )

    @model_validator(mode="after")
    def _distinct(self) -> "ColumnSettings":
        if len({self.session, self.item, self.time}) < 3:
            raise ValueError("session, item and time must be three different columns")
        others = [name for name in (self.user, self.event, self.part) if name is not None]
        taken = {*others} & {self.item, self.time} or self.session in (self.event, self.part)
        if len(set(others)) < len(others) or taken:
            raise ValueError("user, event and part must be columns that no other key names")
        return self


class DataSettings(Settings):
    """Source of the clicks: one log that `split` divides, or files that are already divided."""

    format: str = Field(
        GENERIC, description="layout of the files: generic (the keys below), or the name of a public data set"
    )
    source: str | None = Field(
        None,
        description='"synth", or a file of events: .tsv, .csv (also .gz) or .parquet; with another format than '
        "generic, a folder with its files, or one of them",
    )
    train: str | None = Field(None, description="file of training events that are already split off; needs `test`")
    test: str | None = Field(None, description="file of test events that are already split off; needs `train`")
    columns: ColumnSettings = Field(ColumnSettings(), description="names of the columns of the files")
    time_unit: TimeUnit = Field(
        "seconds",
        description="unit of the times: seconds, milliseconds, microseconds or nanoseconds since 1970-01-01 UTC, "
        "fractions allowed, or iso8601, read as UTC if no zone is given; times are kept to the microsecond",
    )
    separator: str | None = Field(
        None, description="separator of text files, one character; null: tab for .tsv, comma for .csv"
    )
    quote: Literal['"'] | None = Field(
        '"',
        description="character around fields of text files that hold separators, line breaks or quotes; null: fields "
        "are not quoted, and a quote is a character like any other",
    )
    files: tuple[str, ...] | None = Field(
        None,
        min_length=1,
        description="names of the files to read in the folder source, without .gz, in this order; null: all files that "
        "the format expects, in order of their names",
    )
    whole_seconds: bool = Field(
        default=False,
        description="round times down to whole seconds, so that events of the same second have equal times",
    )
    equal_times: EqualTimes = Field(
        "file",
        description="order of events with the same session and time: file: that of the rows; item: by item id, as a "
        "number if all ids are integers; first_seen: by the first row with the item among all rows of all files, "
        "those of other event types too",
    )
    session_time: Literal["events", "last_row"] = Field(
        "events",
        description="events: each event has its own time; last_row: all events of a session get the time of the last "
        "row of the session in the file (with format: diginetica, the day of that row), and stay in the order of the "
        "file (diginetica: of timeframe)",
    )
    shared_row_numbers: bool = Field(
        default=False,
        description="with format: yoochoose, whenever cleaning drops a row of one of the two files, the row of the "
        "same number in the other file goes with it: an accident of the published script",
    )
    events: tuple[str, ...] | None = Field(
        None, min_length=1, description="event types to keep; null: default of the format, which for generic is all"
    )
    missing: tuple[str, ...] = Field(
        (),
        description='texts that stand for a missing id of a session, user or item, such as ["NULL", "-1", ""]; rows '
        "with one are dropped and counted in statistics.json; default: none, and a row with an empty id is a bad row",
    )
    sessions: SessionSettings = Field(SessionSettings(), description="how sessions are made")
    on_error: Literal["stop", "skip"] = Field(
        "stop",
        description="at a bad row: stop, naming file and line, or skip and count it in statistics.json",
    )

    engine: Literal["polars", "pyspark"] = Field(
        "polars",
        description="what reads, cleans and divides the clicks: polars, in memory, or pyspark, set up by `spark`",
    )

    @field_validator("format")
    @classmethod
    def _known_format(cls, name: str) -> str:
        if name not in formats():
            close = get_close_matches(name, formats(), n=1)
            hint = f", did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{name!r} is not a known format{hint}; known: {', '.join(formats())}")
        return name

    @field_validator("separator")
    @classmethod
    def _one_character(cls, separator: str | None) -> str | None:
        if separator is not None and (len(separator) != 1 or not separator.isascii() or separator in '"\r\n'):
            raise ValueError('the separator must be one ASCII character, not a quote or a line break ("\\t" is a tab)')
        return separator

    @property
    def has_times(self) -> bool:
        """True where events have times; otherwise the row number counts, in a test file on from the training file."""
        return (self.columns.time if self.format == GENERIC else layout_of(self.format).time) is not None

    @model_validator(mode="after")
    def _one_origin(self) -> "DataSettings":
        given = [name for name in ("source", "train", "test") if getattr(self, name) is not None]
        if given not in (["source"], ["train", "test"]):
            found = " and ".join(given) or "none of them"
            raise ValueError(f'give either source ("{SYNTHETIC}" or a file), or both train and test; found {found}')
        return self

    @model_validator(mode="after")
    def _format_rules(self) -> "DataSettings":
        if self.format != GENERIC:
            fields = type(self).model_fields
            for name in ("columns", "time_unit", "separator"):
                if getattr(self, name) != fields[name].default:
                    raise ValueError(f"{name}: is only for format: generic; format {self.format} sets it itself")
            if self.missing and (layout_of(self.format).nested or layout_of(self.format).flat):
                raise ValueError(f"missing: the ids of format {self.format} have types; leave this key out")
            if self.events is not None and layout_of(self.format).kind is None:
                raise ValueError(f"events: format {self.format} has no event types; leave this key out")
        elif self.events is not None and self.columns.event is None:
            raise ValueError("events: needs columns.event, the column of event types")
        elif self.sessions.by == "user" and (self.columns.user is None or self.sessions.gap_minutes is None):
            raise ValueError("sessions: by: user needs columns.user and sessions.gap_minutes")
        if self.source == SYNTHETIC and self.sessions != SessionSettings():
            raise ValueError("sessions: synthetic clicks already have sessions; leave this section out")
        return self

    @model_validator(mode="after")
    def _order_rules(self) -> "DataSettings":
        if self.files is not None and self.format == GENERIC:
            raise ValueError("files: is only for the formats of public data sets; name the file in source")
        if self.shared_row_numbers and (self.format == GENERIC or len(layout_of(self.format).files) != 2):
            raise ValueError("shared_row_numbers: is only for a format of two files, such as yoochoose")
        if self.session_time == "last_row" and self.equal_times != "file":
            raise ValueError("equal_times: session_time: last_row keeps the order of the file; leave this key out")
        if self.session_time == "last_row" and self.sessions != SessionSettings():
            raise ValueError("session_time: last_row is for the sessions of the data; leave sessions out")
        fields = type(self).model_fields
        for name in ("whole_seconds", "equal_times", "session_time"):
            if self.source == SYNTHETIC and getattr(self, name) != fields[name].default:
                raise ValueError(f"{name}: synthetic clicks are in order already; leave this key out")
        return self

    @model_validator(mode="after")
    def _engine_can(self) -> "DataSettings":
        what = _only_on_polars(self) if self.engine == "pyspark" else ""
        if what:
            raise ValueError(f"engine: {what} does not work with pyspark; leave engine out")
        return self


def _only_on_polars(data: DataSettings) -> str:
    """What the settings ask for that Spark does not do, or an empty text."""
    if data.on_error == "skip":
        return "on_error: skip"
    if data.missing:
        return "missing"
    if data.columns.part is not None:
        return "split.by: column"
    if data.format != GENERIC and layout_of(data.format).separator is None:
        return f"format: {data.format}, which is neither delimited text nor Parquet,"
    return "columns.time: null" if data.format == GENERIC and data.columns.time is None else ""


def read_event_table(path: Path) -> pl.DataFrame:
    """Read SESSION, ITEM, TIME from an event table that a stage wrote.

    Raises:
        StageError: the table is missing, damaged or has other columns.
    """
    try:
        events = pl.read_parquet(parquet_files(path), glob=False)
    except (PolarsError, PanicException, OSError) as error:
        reason = "no such file" if isinstance(error, FileNotFoundError) else str(error).partition("\n")[0]
        raise StageError(f"{path}: cannot be read ({reason})", "run its stage again with --force") from None
    ids = (pl.Int64, pl.String)
    types = {SESSION: ids, ITEM: ids, TIME: (pl.Int64,)}
    if list(events.schema) != list(types) or any(events.schema[name] not in types[name] for name in types):
        raise StageError(
            f"{path}: not an event table, its columns are {dict(events.schema)}", "run its stage again with --force"
        )
    return events


def parquet_files(path: Path) -> list[Path]:
    """Return the files of an event table in the order of their rows: itself or, if Spark wrote it, its parts."""
    return sorted(path.glob("part-*.parquet")) if path.is_dir() else [path]


def write_event_table(events: pl.DataFrame, path: Path) -> None:
    """Write SESSION, ITEM, TIME as Parquet; equal rows give equal bytes."""
    write_table(events.select(SESSION, ITEM, TIME), path)


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write any table as Parquet; equal rows and columns give equal bytes."""
    table.rechunk().write_parquet(path, compression="zstd", compression_level=3, row_group_size=1 << 20)
