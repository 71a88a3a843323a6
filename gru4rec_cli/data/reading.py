"""Raw files of clicks, read into one log of sessions. Events that are left out are counted."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import narwhals as nw
import polars as pl

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data import delimited
from gru4rec_cli.data.delimited import Dialect
from gru4rec_cli.data.engine import PAIR, ROW, Engine, PolarsEngine, Table, in_order, lazy, native, with_ranks
from gru4rec_cli.data.eventfile import DAY, WANTED, EventFile, FileCounts
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.jsonlines import EventLines, SessionLines
from gru4rec_cli.data.layout import GENERIC, Layout, files_of, layout_of
from gru4rec_cli.data.memory import Room
from gru4rec_cli.data.pickled import PickledSessions
from gru4rec_cli.data.quality.finding import Finding
from gru4rec_cli.data.quality.kinds import UNKNOWN_TYPE, unknown_types
from gru4rec_cli.data.quality.log import Origin, findings_between, findings_of_rows, findings_of_sessions
from gru4rec_cli.data.quality.sessions import shared_sessions
from gru4rec_cli.data.removals import BAD, BRIEF, NO_ID, OTHER, Counts, Removal
from gru4rec_cli.data.sessionising import SessionSettings, cut_at_gaps, without_brief
from gru4rec_cli.data.times import MICROSECONDS_PER_SECOND
from gru4rec_cli.data.users import USER, users_by_session, users_of_made_sessions

STEP = "reading"
_SOURCE = "data.source"
_BRIEF = "brief"
_FIRST = "first row"
_MANY = 0.1  # of the rows: so many bad ones are more than accidents

Reader = EventFile | SessionLines | EventLines | PickledSessions


@dataclass
class Reading:
    """A log (SESSION, ITEM, TIME; PART, if a column of it is read) and facts about how it was read, ready for JSON.

    `facts["rows"]` less the events of `facts["removals"]` are the events of the log; sessions made by pauses are
    counted in `facts["sessions"]`. `findings` are what is probably wrong with the log. `users` are SESSION and USER, as
    text, where the input names users.
    """

    events: pl.DataFrame
    facts: dict[str, Any]
    findings: list[Finding] = field(default_factory=list)
    users: pl.DataFrame | None = None

    def take(self) -> pl.DataFrame:
        """Return the events and drop the reference to them: large logs should not be in memory twice."""
        events = self.events
        self.events = events.clear()
        return events


def read_events(path: str | Path, settings: DataSettings, progress: Progress = SILENT) -> pl.DataFrame:
    """Return the events of `read_log` alone."""
    return read_log(path, settings, progress).events


def read_log(source: str | Path, settings: DataSettings, progress: Progress = SILENT) -> Reading:
    """Read a file, or the files of a format in a folder, and make sessions as the settings say.

    Returns:
        Columns SESSION and ITEM (each Int64 if all its ids are integers written plainly, String
        otherwise, so that "007" and "7" stay two ids) and TIME (Int64, microseconds since 1970 UTC).

    Raises:
        DataError: a file is missing, unreadable or empty, a column is missing or of the wrong type,
            or a value is not an id or not a time; names the row (text files: the line), column and value.
        UsageError: the events do not fit into memory.
    """
    layout = layout_for(settings)
    events: list[pl.DataFrame] = []
    counts: list[FileCounts] = []
    owners: list[pl.DataFrame | None] = []
    room, readers = Room(), list[Reader]()
    paths = files_to_read(source, settings)
    for path in paths:
        with progress.task(f"look at {path.name}"):
            readers.append(_reader(path, layout, settings, room))
    for reader in readers:
        with progress.task(f"read {reader.path.name}"):
            found = reader.read() if isinstance(reader, EventFile) else reader.read(room)
        events.append(found.events)
        counts.append(found.counts)
        owners.append(found.owners)
        del found
    log = _joined(_paired(events) if settings.shared_row_numbers else events)
    events.clear()
    origin = origin_of(source, layout, settings.missing)
    with progress.task("check ids and times"):
        used = log.filter(WANTED) if WANTED in log.columns else log
        findings = [*findings_of_rows(used, origin), *_shared_sessions(owners, paths, layout)]
        findings += _unknown_types(counts, settings, origin)
        del used
    log = with_time_rules(log, settings)
    facts, users = sessions_as_they_are(layout), known_users(owners)
    if layout.gap_minutes is not None or settings.sessions.min_dwell_seconds is not None:
        with progress.task("make sessions"):
            made = make_sessions(PolarsEngine(), lazy(in_order(log)), layout, settings.sessions)
            log, facts, users = native(made.events.drop(ROW)), made.facts, made.users(layout, users)
            del made
    findings += [*findings_of_sessions(log, origin), *_many_bad(counts, origin)]
    return Reading(log, facts_of(settings, counts, facts), findings, users)


def read_logs(sources: Sequence[str | Path], settings: DataSettings, progress: Progress = SILENT) -> list[Reading]:
    """Read logs that follow each other, such as training and test, as `read_log` does.

    Where the number of a row is its time, or that of a session its id, those of a log begin after the ones before.
    """
    layout, readings = layout_for(settings), list[Reading]()
    shifts = dict.fromkeys([*([TIME] if layout.time is None else []), *([SESSION] if layout.pickled else [])], 0)
    steps = {TIME: MICROSECONDS_PER_SECOND, SESSION: 1}
    for source in sources:
        reading = read_log(source, settings, progress)
        reading.events = reading.events.with_columns(pl.col(name) + shift for name, shift in shifts.items())
        shifts = {name: int(str(reading.events[name].max())) + steps[name] for name in shifts}
        readings.append(reading)
    return readings


def findings_of(readings: Sequence[Reading], settings: DataSettings) -> list[Finding]:
    """Return what is probably wrong with a log, or with two that are given as training and test."""
    found = [finding for reading in readings for finding in reading.findings]
    if len(readings) > 1:
        unknown = Counter(finding.value for finding in found if finding.id == UNKNOWN_TYPE)
        found = [f for f in found if f.id != UNKNOWN_TYPE or unknown[f.value] == len(readings)]  # one file may lack it
        train, test = (reading.events for reading in readings)
        found += findings_between(train, test, timed=layout_for(settings).time is not None)
    return found


def origin_of(source: str | Path, layout: Layout, missing: tuple[str, ...] = ()) -> Origin:
    """Return what the checks of a log need to know of how it was read."""
    unit = None if layout.time is None else layout.unit
    return Origin(Path(source).name, layout.by, unit, layout.gap_minutes is not None, missing)


def _unknown_types(counts: list[FileCounts], settings: DataSettings, origin: Origin) -> list[Finding]:
    """Look for event types in the configuration that no file has."""
    if settings.events is None or not all(found.kinds for found in counts):  # a file without `kinds` has all of them
        return []
    kinds = Counter[str]()
    for found in counts:
        kinds.update(found.kinds)
    return unknown_types(settings.events, kinds, origin.where)


def _many_bad(counts: list[FileCounts], origin: Origin) -> Iterator[Finding]:
    """With `on_error: skip`, a wrong unit or a second kind of row looks like bad rows."""
    rows, bad = sum(found.rows for found in counts), sum(found.bad.events for found in counts)
    if bad > _MANY * rows:
        reasons = Counter[str]()
        for why in (why for found in counts for why in found.why_bad):
            reasons[why.reason] += why.rows
        reason, most = reasons.most_common(1)[0]
        message = f"{origin.where}: {bad:,} of {rows:,} rows ({bad / rows:.0%}) are skipped as bad"
        yield Finding(
            "many-bad-rows",
            f"{message}, {most:,} of them for one reason: {reason}",
            "set data.on_error: stop, which explains the first of them",
        )


def _shared_sessions(owners: Sequence[pl.DataFrame | None], paths: list[Path], layout: Layout) -> Iterator[Finding]:
    """Look for session ids of several users, where all files name both."""
    pairs = [found for found in owners if found is not None]
    if len(pairs) == len(owners):
        yield from shared_sessions(pl.concat(pairs).unique(), paths[0].name, str(layout.session), str(layout.user))


def known_users(owners: Sequence[pl.DataFrame | None]) -> pl.DataFrame | None:
    """Return the users of the sessions of all files, as `users_by_session` does, or None where no file names them."""
    pairs = [found for found in owners if found is not None]
    return users_by_session(pairs) if pairs else None


def _paired(logs: list[pl.DataFrame]) -> list[pl.DataFrame]:
    """Add PAIR: the row number, from 0, of the rows whose number is in both of two files."""
    if len(logs) < 2:
        return logs
    shared, row = min(log.height for log in logs), pl.int_range(pl.len(), dtype=pl.UInt32)
    return [log.with_columns(pl.when(row < shared).then(row).alias(PAIR)) for log in logs]


def with_time_rules(log: pl.DataFrame, settings: DataSettings) -> pl.DataFrame:
    """Apply the rules about times and their order to all rows of the files, then leave only those that are used."""
    if settings.whole_seconds:
        log = log.with_columns(pl.col(TIME) // MICROSECONDS_PER_SECOND * MICROSECONDS_PER_SECOND)
    if settings.session_time == "last_row":
        log = _dated_by_last_row(log)
    log = with_ranks(log, settings.equal_times)
    if WANTED not in log.columns:
        return log
    if settings.sessions.gap_over == "kept":
        return log.filter(WANTED).drop(WANTED)
    return log.drop_nulls([SESSION, TIME])  # events of other types may lack them


def _dated_by_last_row(log: pl.DataFrame) -> pl.DataFrame:
    """Give every event the time of the last row of its session, or that row's day if the format has days.

    Sessions and their events stay in the order of the file, but a format with days orders events by time first.
    """
    if DAY not in log.columns:
        return log.with_columns(pl.col(TIME).last().over(SESSION))
    numbered = log.with_row_index(ROW)
    dated = numbered.with_columns(pl.col(DAY).last().over(SESSION), pl.col(ROW).min().over(SESSION).alias(_FIRST))
    ordered = dated.sort(_FIRST, TIME, ROW)
    return ordered.select(SESSION, ITEM, pl.col(DAY).alias(TIME))


def files_to_read(source: str | Path, settings: DataSettings) -> list[Path]:
    """Return the files of a source. Raises `DataError` where there is none."""
    source = Path(source)
    try:
        if source.is_dir() and settings.format == GENERIC:
            hint = "give the path of one file, or a data.format"
            raise DataError(f"{source}: is a folder, not a file of events", hint)
        if not source.exists():
            raise DataError(f"{source}: no such file", "check data.source, or data.train and data.test")
        paths = files_of(settings.format, source, settings.files)
    except OSError as error:
        raise DataError(f"{source}: cannot be looked at ({error.strerror})", "check path and permissions") from None
    special = [path for path in paths if not path.is_file()]
    if special:
        raise DataError(f"{special[0]}: is a pipe or a device, not a file", "save what it gives as a file first")
    return paths


@dataclass(frozen=True)
class MadeSessions:
    """Events with the sessions that were made of them, and facts for `facts_of`."""

    events: Table
    facts: dict[str, Any]
    origins: pl.DataFrame | None = None  # SESSION, and in USER the id that it was cut from, where users are known

    def users(self, layout: Layout, users: pl.DataFrame | None) -> pl.DataFrame | None:
        """Return the users of the sessions, from those of the sessions of the data, if these were cut."""
        if self.origins is None or (layout.by == "session" and users is None):
            return users
        return users_of_made_sessions(self.origins, users)


def make_sessions(engine: Engine, events: Table, layout: Layout, settings: SessionSettings) -> MadeSessions:
    """Make sessions of events (with ROW) as the layout and the settings say.

    If there is a column WANTED, the pauses are measured over all events, and those that it marks are then left.
    """
    facts, origins = sessions_as_they_are(layout), None
    if layout.gap_minutes is not None:
        before = _counts(_wanted(events)).sessions
        old = None if layout.user is None else USER
        events = engine.compute(_wanted(cut_at_gaps(engine, events, layout.gap_minutes, old)))
        if old is not None:
            origins = native(events.select(SESSION, old).unique())
            events = engine.compute(events.drop(old))
        facts |= {"before": before, "made": _counts(events).sessions}
    if settings.min_dwell_seconds is not None:
        longer = engine.compute(without_brief(engine, events, settings.min_dwell_seconds))
        brief = (b - a for b, a in zip(_counts(events), _counts(longer), strict=True))
        events, facts = longer, facts | {_BRIEF: Removal(STEP, BRIEF, *brief)}
    return MadeSessions(events, facts, origins)


def _wanted(events: Table) -> Table:
    return events.filter(nw.col(WANTED)).drop(WANTED) if WANTED in events.collect_schema() else events


def sessions_as_they_are(layout: Layout) -> dict[str, Any]:
    """Return the facts about sessions that are used as they are."""
    return {"by": layout.by, "gap_minutes": layout.gap_minutes}


def facts_of(settings: DataSettings, counts: list[FileCounts], sessions: dict[str, Any]) -> dict[str, Any]:
    """Return the facts of a reading, from those of its files and of its sessions."""
    brief = sessions.pop(_BRIEF, None)
    made = sessions["gap_minutes"] is not None
    removals = [
        *_summed(OTHER, [found.other for found in counts], made),
        *_summed(NO_ID, [found.missing for found in counts], made),
        *_summed(BAD, [found.bad for found in counts], made),
    ]
    return {
        "format": settings.format,
        "rows_by_file": [found.rows for found in counts],
        "rows": sum(found.rows for found in counts),
        "bad_rows": [asdict(reason) for found in counts for reason in found.why_bad],
        "sessions": sessions,
        "removals": [asdict(removal) for removal in [*removals, *([brief] if brief else [])]],
    }


def _counts(events: Table) -> Counts:
    columns = [nw.len().alias("events"), nw.col(SESSION).n_unique(), nw.col(ITEM).n_unique()]
    return Counts(*(int(count) for count in native(events.select(*columns)).row(0)))


def input_files(settings: DataSettings, recorded: Mapping[str, str]) -> dict[str, str | None]:
    """Return the raw files by label. For a folder that no longer exists, those whose hashes were `recorded`."""
    if settings.format != GENERIC and settings.source is not None:
        folder, prefix = Path(settings.source), f"{_SOURCE}/"
        if folder.is_dir():
            found = files_of(settings.format, folder, settings.files)
            return {prefix + path.relative_to(folder).as_posix(): str(path) for path in found}
        labels = [label for label in recorded if label.startswith(prefix)]
        if labels and not folder.exists():
            return {label: str(folder / label.removeprefix(prefix)) for label in labels}
    return {f"data.{key}": getattr(settings, key) for key in ("source", "train", "test")}


def layout_for(settings: DataSettings) -> Layout:
    """Return the layout of the format, changed as the settings say. Raises `DataError` where these do not fit."""
    columns, sessions = settings.columns, settings.sessions
    if settings.format == GENERIC:
        layout = Layout(
            columns.session, columns.item, columns.time, settings.time_unit, settings.separator,
            user=columns.user, kind=columns.event, part=columns.part,
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
    if sessions.gap_over == "all" and (gap is None or not (layout.kind or layout.flat)):
        message = "data.sessions.gap_over: all needs a gap between events, and events of several types"
        raise DataError(message, "leave this key out, or set data.sessions.gap_minutes and data.columns.event")
    changed = {"by": by, "gap_minutes": gap, "keep": tuple(keep), "quote": settings.quote}
    return Layout(**{**vars(layout), **changed})


def event_file(path: Path, layout: Layout, settings: DataSettings) -> EventFile:
    """Return a delimited text file, or one of Parquet, with its layout."""
    named = settings.format != GENERIC
    group = layout.session if layout.by == "session" else layout.user
    separator = layout.separator if named else delimited.separator_of(path, layout.separator)
    dialect = None if separator is None else Dialect(separator, layout.quote)
    return EventFile(
        path, layout, str(group), dialect, layout.keep,
        missing=settings.missing, skip=settings.on_error == "skip", named=named, others=_needs_others(settings),
        days=settings.session_time == "last_row" and layout.day is not None,
    )  # fmt: skip


def _needs_others(settings: DataSettings) -> bool:
    """Whether events of types that are not kept matter: for the ranks of items, or for pauses."""
    return settings.equal_times == "first_seen" or settings.sessions.gap_over == "all"


def _reader(path: Path, layout: Layout, settings: DataSettings, room: Room) -> Reader:
    """The reader of a file; where its events can be counted before they are read, they take their room."""
    if layout.pickled:
        return PickledSessions(path)
    skip, others = settings.on_error == "skip", _needs_others(settings)
    if layout.nested:
        return SessionLines(path, layout, layout.keep, skip, others)
    if layout.flat:
        return EventLines(path, layout, skip, others)
    file = replace(event_file(path, layout, settings), most=room.left)
    room.take(path, file.size())
    return file


def _joined(tables: list[pl.DataFrame]) -> pl.DataFrame:
    """One log; ids as text where those of one file are not integers."""
    mixed = [name for name in (SESSION, ITEM) if len({table.schema[name] for table in tables}) > 1]
    return pl.concat([table.with_columns(pl.col(mixed).cast(pl.String)) for table in tables] if mixed else tables)


def _summed(reason: str, counts: list[Counts], made: bool) -> Iterator[Removal]:
    """What was left out of all files, if anything was.

    Sessions that are `made` later are not counted, nor are sessions and items of several files, which may share them.
    """
    events, sessions, items = (sum(values) for values in zip(*counts, strict=True))
    if events:
        one = len(counts) == 1
        yield Removal(STEP, reason, events, sessions if one and not made else None, items if one else None)
