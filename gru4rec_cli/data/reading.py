"""Clicks as users and publishers have them, read into one log of sessions; what is left out is counted."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl

from gru4rec_cli.columns import ITEM, SESSION
from gru4rec_cli.data import delimited
from gru4rec_cli.data.eventfile import EventFile, FileEvents, removed
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.jsonlines import EventLines, SessionLines
from gru4rec_cli.data.layout import GENERIC, Layout, files_of, layout_of
from gru4rec_cli.data.removals import BAD, BRIEF, OTHER, Counts, Removal
from gru4rec_cli.data.sessionising import SessionSettings, cut_at_gaps, without_brief
from gru4rec_cli.errors import DataError
from gru4rec_cli.progress import SILENT, Progress

STEP = "reading"
_SOURCE = "data.source"


@dataclass(frozen=True)
class Reading:
    """A log (SESSION, ITEM, TIME) and, ready for JSON, how it came to be.

    `facts["rows"]` less the events of `facts["removals"]` are the events of the log; sessions made by pauses are
    counted in `facts["sessions"]`.
    """

    events: pl.DataFrame
    facts: dict[str, Any]


def read_events(path: str | Path, settings: DataSettings, progress: Progress = SILENT) -> pl.DataFrame:
    """The events alone of `read_log`."""
    return read_log(path, settings, progress).events


def read_log(source: str | Path, settings: DataSettings, progress: Progress = SILENT) -> Reading:
    """Read a file, or the files of a format in a folder, and make sessions as the settings say.

    Returns:
        Columns SESSION and ITEM (each Int64 if all its ids are integers written plainly, String
        otherwise, so that "007" and "7" stay two ids) and TIME (Int64, microseconds since 1970 UTC).

    Raises:
        DataError: a file is missing, unreadable or empty, a column is missing or of the wrong type,
            or a value is not an id or not a time; names the row (text files: the line), column and value.
    """
    source, layout = Path(source), _layout(settings)
    if source.is_dir() and settings.format == GENERIC:
        raise DataError(f"{source}: is a folder, not a file of events", "give the path of one file, or a data.format")
    if not source.exists():
        raise DataError(f"{source}: no such file", "check data.source, or data.train and data.test")
    read: list[tuple[Path, FileEvents]] = []
    for path in files_of(settings.format, source):
        with progress.task(f"read {path.name}"):
            read.append((path, _reader(path, layout, settings).read()))
    events = _joined([found.events for _, found in read])
    removals = _file_removals([found for _, found in read])
    facts: dict[str, Any] = {
        "format": settings.format,
        "rows_by_file": [found.rows for _, found in read],
        "rows": sum(found.rows for _, found in read),
        "bad_rows": [asdict(reason) for _, found in read for reason in found.why_bad],
    }
    with progress.task("make sessions"):
        events, facts["sessions"] = _sessions(events, layout)
        dwell = settings.sessions.min_dwell_seconds
        if dwell is not None:
            longer = without_brief(events, dwell)
            removals.append(Removal(STEP, BRIEF, *removed(events, longer)))
            events = longer
    return Reading(events, {**facts, "removals": [asdict(removal) for removal in removals]})


def with_readings(statistics: dict[str, Any], readings: Mapping[str, Reading]) -> dict[str, Any]:
    """The statistics of a split with how its input was read: `log`, or `train` and `test`."""
    return {**statistics, "reading": {part: reading.facts for part, reading in readings.items()}}


def read_as_published(settings: DataSettings) -> bool:
    """Whether event types, sessions and bad rows are treated as the format says."""
    plain = settings.model_copy(update={"events": None, "sessions": SessionSettings(), "on_error": "stop"})
    return settings == plain


def input_files(settings: DataSettings, recorded: Mapping[str, str]) -> dict[str, str | None]:
    """The raw files by label. Of a folder that is gone, the files whose hashes were `recorded`."""
    if settings.format != GENERIC and settings.source is not None:
        folder, prefix = Path(settings.source), f"{_SOURCE}/"
        if folder.is_dir():
            found = files_of(settings.format, folder)
            return {prefix + path.relative_to(folder).as_posix(): str(path) for path in found}
        labels = [label for label in recorded if label.startswith(prefix)]
        if labels and not folder.exists():
            return {label: str(folder / label.removeprefix(prefix)) for label in labels}
    return {f"data.{key}": getattr(settings, key) for key in ("source", "train", "test")}


def _layout(settings: DataSettings) -> Layout:
    """What the format says, with what the settings say otherwise."""
    columns, sessions = settings.columns, settings.sessions
    if settings.format == GENERIC:
        layout = Layout(
            columns.session, columns.item, columns.time, settings.time_unit, settings.separator,
            user=columns.user, kind=columns.event,
        )  # fmt: skip
    else:
        layout = layout_of(settings.format)
    by = sessions.by or layout.by
    gap = sessions.gap_minutes or (layout.gap_minutes if by == layout.by else None)
    if (layout.session if by == "session" else layout.user) is None:
        raise DataError(f"format {settings.format} has no {by} ids", "leave data.sessions.by out")
    if by == "user" and gap is None:
        raise DataError("sessions by user need a gap", "set data.sessions.gap_minutes")
    if gap is not None and settings.train is not None:
        message = "sessions cannot be made by pauses in files that are already split: they would get the same ids"
        raise DataError(message, "give the whole log as data.source, or leave data.sessions out")
    keep = layout.keep if settings.events is None else settings.events
    return Layout(**{**vars(layout), "by": by, "gap_minutes": gap, "keep": tuple(keep)})


def _reader(path: Path, layout: Layout, settings: DataSettings) -> EventFile | SessionLines | EventLines:
    skip, named = settings.on_error == "skip", settings.format != GENERIC
    if layout.nested:
        return SessionLines(path, layout, layout.keep, skip)
    if layout.flat:
        return EventLines(path, layout, skip)
    group = layout.session if layout.by == "session" else layout.user
    separator = layout.separator if named else delimited.separator_of(path, layout.separator)
    return EventFile(path, layout, str(group), separator, layout.keep, skip, named)


def _joined(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """One log; ids as text where those of one file are not integers."""
    mixed = [name for name in (SESSION, ITEM) if len({table.schema[name] for table in tables}) > 1]
    return pl.concat([table.with_columns(pl.col(mixed).cast(pl.String)) for table in tables] if mixed else tables)


def _file_removals(read: list[FileEvents]) -> list[Removal]:
    return [*_summed(OTHER, [found.other for found in read]), *_summed(BAD, [found.bad for found in read])]


def _summed(reason: str, counts: list[Counts]) -> Iterator[Removal]:
    total = Counts(*(sum(values) for values in zip(*counts, strict=True)))
    if total.events:
        yield Removal(STEP, reason, *total)


def _sessions(events: pl.DataFrame, layout: Layout) -> tuple[pl.DataFrame, dict[str, Any]]:
    facts: dict[str, Any] = {"by": layout.by, "gap_minutes": layout.gap_minutes}
    if layout.gap_minutes is None:
        return events, facts
    cut = cut_at_gaps(events, layout.gap_minutes)
    return cut, {**facts, "before": events[SESSION].n_unique(), "made": cut[SESSION].n_unique()}
