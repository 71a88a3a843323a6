"""A description of whatever clicks `split` accepts: read, described, shown, written."""

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import polars as pl
from polars.exceptions import PolarsError
from pydantic import ValidationError

from gru4rec_cli.base.errors import DataError, StudyError, UsageError
from gru4rec_cli.base.files import write_json
from gru4rec_cli.base.names import EVENTS_FILE, ITEM, SESSION, TIME
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.describing import describe
from gru4rec_cli.data.eventfile import NoTimeError
from gru4rec_cli.data.events import SYNTHETIC, DataSettings, parquet_files, read_event_table
from gru4rec_cli.data.layout import GENERIC, layout_of
from gru4rec_cli.data.quality.finding import Finding, Words, reworded, reworded_text, warn_of
from gru4rec_cli.data.quality.log import Origin, findings_of_rows, findings_of_sessions
from gru4rec_cli.data.reading import Reading, findings_of, read_logs
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
    user: str | None = None  # without `session`: sessions are made from the pauses of each user
    gap_minutes: float | None = None
    event: str | None = None
    keep: tuple[str, ...] = ()  # event types
    missing: tuple[str, ...] = ()
    on_error: Literal["stop", "skip"] | None = None

    def given(self) -> dict[str, Any]:
        """Return them as a `data:` section without its source.

        Raises:
            UsageError: they do not say how sessions are made.
        """
        columns = self._set("session", "item", "time", "user", "event")
        if columns.get("time") == "none":
            columns["time"] = None
        by_user = self.user is not None and self.session is None
        if by_user and self.gap_minutes is None:
            raise UsageError(
                "--user: sessions made from the clicks of a user need the pause that ends them",
                "give --gap-minutes 30 as well, or name the column of sessions with --session",
            )
        if self.keep and self.event is None and self.format is None:
            raise UsageError("--keep: the column of event types is not known", "name it with --event")
        sessions = self._set("gap_minutes") | ({"by": "user"} if by_user else {})
        fields = self._set("format", "time_unit", "separator", "missing", "on_error")
        fields |= {"events": self.keep} if self.keep else {}
        return fields | {name: part for name, part in (("columns", columns), ("sessions", sessions)) if part}

    def _set(self, *names: str) -> dict[str, Any]:
        """Those of the options that are given."""
        return {name: getattr(self, name) for name in names if getattr(self, name) not in (None, ())}


def _missing_options(found: re.Match[str]) -> str:
    """The list of a hint that sets `data.missing`, as options that a shell can read."""
    texts = [json.loads(text, strict=False) for text in re.findall(_TEXT, found[1])]
    verb = "Give" if found[0][0].isupper() else "give"
    return f"{verb} {' '.join(f'--missing {_in_shell(text)}' for text in texts)}"


def _in_shell(text: str) -> str:
    return shlex.quote(text) if re.search(r'["\\$`!]', text) else f'"{text}"'


_TEXT = r'"(?:[^"\\]|\\.)*"'  # in quotes, as hints show the values of `data.missing`
_TEXTS = f"{_TEXT}(?:, {_TEXT})*"

# Settings in hints, as options of `describe`. Those that it has no option for are said to be of a configuration.
OPTIONS: Words = {
    rf"(?:[Ss]et|[Aa]dd {_TEXTS} to data\.missing, so that it reads) data\.missing: \[({_TEXTS})\],?": _missing_options,
    r"data\.missing": "--missing",
    r"Set split\.max_session_length: (\d+), which drops": r"In a study, split.max_session_length: \1 drops",
    r"data\.quote: null if": "data.quote: null in a configuration, and give it with --config, if",
    r"data\.columns\.time: null": "--time none",
    r"data\.columns\.(\w+)": r"--\1",
    r"data\.sessions: \{by: user, gap_minutes: (\d+)\}": r"--user and --gap-minutes \1 without --session",
    r"data\.sessions\.gap_minutes:?": "--gap-minutes",
    r"data\.sessions\.by": "--user",
    r"data\.time_unit:?": "--time-unit",
    r"data\.separator:?": "--separator",
    r"data\.events": "--keep",
    r"data\.on_error: (\w+)": r"--on-error \1",
    r"data\.format": "--format",
    r"data\.source, or data\.train and data\.test|data\.source": "the path",
    r"\bset --": "give --",
    r"\bSet --": "Give --",
}


def describe_input(
    data: Path | None, config: Path | None, options: Options, progress: Progress = SILENT
) -> dict[str, Any]:
    """Read clicks as `split` would and return a description of them, ready for JSON.

    Files that are given already split are described as one log. The time unit, where nothing names it, is tried out.

    Raises:
        UsageError: neither data nor configuration is given, or options contradict each other.
        DataError: the clicks cannot be read.
    """
    words: Words = {} if config is not None else OPTIONS
    try:
        log = read_input(data, config, options, progress)
    except StudyError as error:
        error.hint = reworded_text(error.hint, words)
        raise
    findings = list(reworded(log.findings, words))
    warn_of(findings)
    with progress.task("describe"):
        described = describe(log.events, in_file_order=log.in_file_order)
    if log.unit is None and log.reading:
        described["times"]["guess"] = "row numbers"
    said = [{"id": finding.id, "message": finding.message, "hint": finding.hint} for finding in findings]
    return {"source": str(data or config), "time_unit": log.unit, "reading": log.reading, **described, "warnings": said}


class ReadLog(NamedTuple):
    """Clicks as they were read, and how."""

    events: pl.DataFrame
    findings: list[Finding]
    reading: list[dict[str, Any]]
    unit: TimeUnit | None  # None: rows are counted
    in_file_order: bool


def read_input(data: Path | None, config: Path | None, options: Options, progress: Progress = SILENT) -> ReadLog:
    """Read clicks as `split` would, in the order of the file; files that are given already split, one after the other.

    Raises:
        UsageError: neither data nor configuration is given, or options contradict each other.
        DataError: the clicks cannot be read.
    """
    if data is not None and config is None and _is_event_table(data):
        events, origin = read_event_table(data), Origin(data.name)
        found = [*findings_of_rows(events, origin), *findings_of_sessions(events, origin)]
        return ReadLog(events, found, [], None, in_file_order=False)
    settings = _settings(data, config, options)
    readings, unit = _read(settings, config is None and options.time_unit is None, progress)
    findings = findings_of(readings, settings)
    frames = [reading.take() for reading in readings]
    mixed = [name for name in (SESSION, ITEM) if len({frame.schema[name] for frame in frames}) > 1]
    events = pl.concat([frame.with_columns(pl.col(mixed).cast(pl.String)) for frame in frames])
    facts = [reading.facts for reading in readings]
    in_order = all(fact["sessions"]["gap_minutes"] is None for fact in facts)
    in_order = in_order and settings.sessions.min_dwell_seconds is None
    return ReadLog(events, findings, facts, unit, in_order)


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
        settings = load_config(config, needs_models=False).data
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


def _read(settings: DataSettings, try_units: bool, progress: Progress) -> tuple[list[Reading], TimeUnit | None]:
    """Return what was read, and the unit of the times; None where rows are counted."""
    sources = [source for source in (settings.source, settings.train, settings.test) if source is not None]
    errors: list[NoTimeError] = []
    for unit in _units(settings, try_units):
        tried = settings.model_copy(update={"time_unit": unit})
        try:
            return read_logs(sources, tried, progress), _unit_read(tried)
        except NoTimeError as error:
            errors.append(error)
        except DataError as error:  # the times can be read; something else is wrong
            raise error from None
    raise max(errors, key=lambda error: error.row)  # by the unit that reads most of the times


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
    """Return whether this is a table that a stage of this program wrote: a file, or a folder of parts by Spark."""
    files = parquet_files(path) if path.suffix == ".parquet" and path.exists() else []
    if not files:
        return False
    try:
        return pl.read_parquet_schema(files[0]).keys() == {SESSION, ITEM, TIME}
    except (PolarsError, OSError):
        return False
