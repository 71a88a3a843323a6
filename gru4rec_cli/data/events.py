"""Click events: where a user's come from, and the tables in which the stages keep them."""

from pathlib import Path

import polars as pl
from polars.exceptions import PanicException, PolarsError
from pydantic import Field, field_validator, model_validator

from gru4rec_cli.columns import ITEM, SESSION, TIME
from gru4rec_cli.data import delimited
from gru4rec_cli.data.eventfile import EventFile
from gru4rec_cli.data.times import TimeUnit
from gru4rec_cli.errors import DataError, StageError
from gru4rec_cli.progress import SILENT, Progress
from gru4rec_cli.settings import Settings

SYNTHETIC = "synth"  # the data.source that stands for the output of the `synth` stage


class ColumnSettings(Settings):
    """How the columns of the file are called."""

    session: str = Field("SessionId", description="column of session ids: integers or text")
    item: str = Field("ItemId", description="column of item ids: integers or text")
    time: str | None = Field(
        "Time",
        description="column of event times; null: the file is in chronological order without times, "
        "and the row number, from 0, is the time in seconds",
    )

    @model_validator(mode="after")
    def _distinct(self) -> "ColumnSettings":
        if len({self.session, self.item, self.time}) < 3:
            raise ValueError("session, item and time must be three different columns")
        return self


class DataSettings(Settings):
    """Where the clicks come from: one log that `split` divides, or files that are already divided."""

    source: str | None = Field(None, description='"synth", or a file of events: .tsv, .csv (also .gz) or .parquet')
    train: str | None = Field(None, description="file of training events that are already split off; needs `test`")
    test: str | None = Field(None, description="file of test events that are already split off; needs `train`")
    columns: ColumnSettings = Field(ColumnSettings(), description="names of the columns of the files")
    time_unit: TimeUnit = Field(
        "seconds",
        description="unit of the times: seconds or milliseconds since 1970-01-01 UTC, fractions allowed, "
        "or iso8601, read as UTC where no zone is given",
    )
    separator: str | None = Field(
        None, description="separator of text files, one character; null: tab for .tsv, comma for .csv"
    )

    @field_validator("separator")
    @classmethod
    def _one_character(cls, separator: str | None) -> str | None:
        if separator is not None and (len(separator) != 1 or not separator.isascii() or separator in '"\r\n'):
            raise ValueError('the separator must be one ASCII character, not a quote or a line break ("\\t" is a tab)')
        return separator

    @model_validator(mode="after")
    def _one_origin(self) -> "DataSettings":
        given = [name for name in ("source", "train", "test") if getattr(self, name) is not None]
        if given not in (["source"], ["train", "test"]):
            found = " and ".join(given) or "none of them"
            raise ValueError(f'give either source ("{SYNTHETIC}" or a file), or both train and test; found {found}')
        return self


def read_events(path: str | Path, settings: DataSettings, progress: Progress = SILENT) -> pl.DataFrame:
    """Read a user's events, in file order.

    Returns:
        Columns SESSION and ITEM (each Int64 if all its ids are integers written plainly, String
        otherwise, so that "007" and "7" stay two ids) and TIME (Int64, microseconds since 1970 UTC).

    Raises:
        DataError: the file is missing, unreadable or empty, a column is missing or of the wrong type,
            or a value is not an id or not a time; names the row (text files: the line), column and value.
    """
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path}: is a folder, not a file of events", "give the path of one file")
    if not path.exists():
        raise DataError(f"{path}: no such file", "check data.source, or data.train and data.test")
    columns = settings.columns
    separator = delimited.separator_of(path, settings.separator)
    with progress.task(f"read {path.name}"):
        return EventFile(path, columns.session, columns.item, columns.time, settings.time_unit, separator).read()


def read_event_table(path: Path) -> pl.DataFrame:
    """Read SESSION, ITEM, TIME from an event table that a stage wrote.

    Raises:
        StageError: the table is missing, damaged or has other columns.
    """
    try:
        events = pl.read_parquet(path)
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


def write_event_table(events: pl.DataFrame, path: Path) -> None:
    """Write SESSION, ITEM, TIME as Parquet; equal rows give equal bytes."""
    write_table(events.select(SESSION, ITEM, TIME), path)


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write any table as Parquet; equal rows and columns give equal bytes."""
    table.rechunk().write_parquet(path, compression="zstd", compression_level=3, row_group_size=1 << 20)
