"""A description of whatever clicks `split` accepts: read, described, shown, written."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import polars as pl
from polars.exceptions import PolarsError
from pydantic import ValidationError

from gru4rec_cli.base.errors import DataError, UsageError
from gru4rec_cli.base.files import write_json
from gru4rec_cli.base.names import EVENTS_FILE, ITEM, SESSION, TIME
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.describing import describe
from gru4rec_cli.data.events import SYNTHETIC, DataSettings, read_event_table
from gru4rec_cli.data.layout import GENERIC, layout_of
from gru4rec_cli.data.reading import read_log
from gru4rec_cli.data.times import TimeUnit
from gru4rec_cli.reporting.figures.description import write_description_figures
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reporting.tables.description import description_tables
from gru4rec_cli.study.config import load_config

DESCRIPTION_FILE = "describe.json"


@dataclass(frozen=True)
class Options:
    """The layout of a file, where no configuration says it; None: as `data:` has it by default."""

    format: str | None = None
    session: str | None = None
    item: str | None = None
    time: str | None = None  # "none": row numbers
    time_unit: TimeUnit | None = None
    separator: str | None = None

    def given(self) -> dict[str, Any]:
        """Return them as a `data:` section without its source."""
        columns: dict[str, Any] = {name: getattr(self, name) for name in ("session", "item", "time")}
        columns = {name: value for name, value in columns.items() if value is not None}
        if columns.get("time") == "none":
            columns["time"] = None
        fields = {name: getattr(self, name) for name in ("format", "time_unit", "separator")}
        fields = {name: value for name, value in fields.items() if value is not None}
        return {**fields, **({"columns": columns} if columns else {})}


def describe_input(
    data: Path | None, config: Path | None, options: Options, progress: Progress = SILENT
) -> dict[str, Any]:
    """Read clicks as `split` would and return a description of them, ready for JSON.

    Files that are given already split are described as one log. The time unit, where nothing names it, is tried out.

    Raises:
        UsageError: neither data nor configuration is given, or options contradict each other.
        DataError: the clicks cannot be read.
    """
    reading: list[dict[str, Any]] = []
    unit: TimeUnit | None = None
    if data is not None and config is None and _is_event_table(data):
        events, in_order = read_event_table(data), False
    else:
        settings = _settings(data, config, options)
        events, reading, unit = _read(settings, config is None and options.time_unit is None, progress)
        in_order = all(facts["sessions"]["gap_minutes"] is None for facts in reading)
        in_order = in_order and settings.sessions.min_dwell_seconds is None
    with progress.task("describe"):
        described = describe(events, in_file_order=in_order)
    return {"source": str(data or config), "time_unit": unit, "reading": reading, **described}


def tables(description: dict[str, Any]) -> list[Table]:
    """Return the tables that the terminal shows."""
    return description_tables(description)


def write(description: dict[str, Any], folder: Path) -> list[Path]:
    """Write the description and its plots into a folder, which is made if need be, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / DESCRIPTION_FILE, description)
    return [folder / DESCRIPTION_FILE, *write_description_figures(folder, description)]


def _settings(data: Path | None, config: Path | None, options: Options) -> DataSettings:
    if config is not None:
        if options != Options():
            raise UsageError("--config says how the data is laid out", "leave the other options out, or --config")
        settings = load_config(config).data
        if settings.source == SYNTHETIC and data is None:
            raise UsageError("the clicks of this configuration are planted", f"describe RUN/synth/{EVENTS_FILE}")
        return settings if data is None else settings.model_copy(update=_one_source(data))
    if data is None:
        raise UsageError("nothing to describe", "name a file or folder, or give --config FILE")
    try:
        return DataSettings.model_validate({"source": str(data), **options.given()})
    except ValidationError as error:
        problems = "; ".join(detail["msg"].removeprefix("Value error, ") for detail in error.errors())
        raise UsageError(problems, "see gru4rec-study describe --help") from None


def _one_source(data: Path) -> dict[str, Any]:
    return {"source": str(data), "train": None, "test": None}


def _read(
    settings: DataSettings, try_units: bool, progress: Progress
) -> tuple[pl.DataFrame, list[dict[str, Any]], TimeUnit | None]:
    """Return the events, how they were read, and the unit of their times; None where rows are counted."""
    sources = [source for source in (settings.source, settings.train, settings.test) if source is not None]
    first: DataError | None = None
    for unit in _units(settings, try_units):
        tried = settings.model_copy(update={"time_unit": unit})
        try:
            readings = [read_log(source, tried, progress) for source in sources]
        except DataError as error:
            first = first or error
            continue
        frames = [reading.events for reading in readings]
        mixed = [name for name in (SESSION, ITEM) if len({frame.schema[name] for frame in frames}) > 1]
        events = pl.concat([frame.with_columns(pl.col(mixed).cast(pl.String)) for frame in frames])
        return events, [reading.facts for reading in readings], _unit_read(tried)
    raise cast(DataError, first)


def _units(settings: DataSettings, try_units: bool) -> Iterator[TimeUnit]:
    """Give the unit that is set; then, where none was chosen, the others."""
    yield settings.time_unit
    if try_units and settings.format == GENERIC:
        yield from (unit for unit in get_args(TimeUnit) if unit != settings.time_unit)


def _unit_read(settings: DataSettings) -> TimeUnit | None:
    if settings.format != GENERIC:
        return layout_of(settings.format).unit
    return None if settings.columns.time is None else settings.time_unit


def _is_event_table(path: Path) -> bool:
    """Return whether the file is one that a stage of this program wrote."""
    if path.suffix != ".parquet" or not path.is_file():
        return False
    try:
        return pl.read_parquet_schema(path).keys() == {SESSION, ITEM, TIME}
    except (PolarsError, OSError):
        return False
