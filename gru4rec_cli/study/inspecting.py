"""A first configuration for a file of clicks: every setting is a guess, and its comment has the evidence."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from pydantic import ValidationError

from gru4rec_cli.base.errors import DataError, StudyError, UsageError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.guessing import (
    Columns,
    Guess,
    Sample,
    columns_of,
    kinds_used,
    name_of,
    sample_of,
    texts_for_nothing,
)
from gru4rec_cli.data.quality.finding import Finding
from gru4rec_cli.data.quality.missing import MISSING_VALUE
from gru4rec_cli.data.quality.sessions import LASTING, LONG
from gru4rec_cli.data.reading import Reading, read_log
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.splitting import split_log
from gru4rec_cli.data.times import MICROSECONDS_PER_DAY, iso

GAP = 30  # minutes
_DAYS = (1, 2, 3, 7, 14, 28)  # of the test
_TEST_SHARE = (0.05, 0.35)  # of the sessions; the number of days with a share near _USUAL is taken
_USUAL = 0.15
_WIDTH = 118
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]*")
_WORDS = {"null", "true", "false", "yes", "no", "on", "off", "y", "n", "none", "nan"}


@dataclass(frozen=True)
class _Setting:
    """A key of a section, its value as YAML, and why it has this value."""

    key: str
    value: str
    why: str


def write_configuration(path: Path, progress: Progress = SILENT) -> str:
    """Return a commented YAML configuration for a file of clicks, which `run` can use as it is.

    Raises:
        DataError: the path is not that of a file, it cannot be read, or nothing in it looks like sessions and items.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise DataError(f"{path}: {what}", "give one file: .csv, .tsv (also .gz) or .parquet")
    with progress.task("guess the columns"):
        sample = sample_of(path)
        columns = columns_of(sample)
    data, notes = _data(path, sample, columns)
    reading, data = _read(path, data, progress)
    with progress.task("try a split"):
        split = _split(reading, timed=columns.time.column is not None)
    sections = {"data": _as_settings(data, notes), "split": split}
    return _document(path, sections, reading, sample)


def _data(path: Path, sample: Sample, columns: Columns) -> tuple[dict[str, Any], dict[str, str]]:
    """The section `data` as plain values, and the reasons by key."""
    named = {"item": columns.item, "time": columns.time, "user": columns.user, "event": columns.event}
    by_user = bool(columns.by_user)
    if not by_user:
        named = {"session": columns.session, **named}
    data: dict[str, Any] = {"source": str(path), "columns": {}}
    notes: dict[str, str] = {}
    for key, guess in named.items():
        if guess.column is not None or key == "time":
            data["columns"][key] = guess.column
            notes[f"columns.{key}"] = _evidence(guess)
    if columns.time.column is not None:
        data["time_unit"] = columns.unit
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    if sample.separator is not None and suffix.lower() != {",": ".csv", "\t": ".tsv"}.get(sample.separator):
        data["separator"], notes["separator"] = sample.separator, f"a {name_of(sample.separator)} divides the fields"
    if by_user:
        data["sessions"] = {"by": "user", "gap_minutes": GAP}
        notes["sessions"] = f"{columns.by_user}; {GAP} minutes without a click are the usual end of a session"
    used = kinds_used(columns.kinds)
    if columns.kinds:
        counts = ", ".join(f"{kind} {count:,}" for kind, count in list(columns.kinds.items())[:8])
        data |= {"events": list(used)} if used else {}
        notes["events" if used else "columns.event"] = f"the file has {counts}" + ("" if used else "; all are kept")
    ids = [str(guess.column) for guess in (columns.user if by_user else columns.session, columns.item)]
    missing = list(texts_for_nothing(sample.rows, ids))
    if missing:
        data["missing"] = missing
    return data, notes


def _evidence(guess: Guess) -> str:
    return guess.reason if guess.sure else f"NOT SURE: {guess.reason}"


def _read(path: Path, data: dict[str, Any], progress: Progress) -> tuple[Reading, dict[str, Any]]:
    """What is read with these settings, or with others that allow for bad rows."""
    first: StudyError | None = None
    for more in ({}, {"quote": None}, {"on_error": "skip"}):
        tried = {**data, **more}
        try:
            reading = read_log(path, DataSettings.model_validate_json(json.dumps(tried)), progress)
        except (StudyError, ValidationError) as error:
            if isinstance(error, UsageError):
                raise
            first = first or (error if isinstance(error, StudyError) else None)
            continue
        better = _better(tried, reading.findings)
        return (reading, tried) if better == tried else _read(path, better, progress)
    raise first or DataError(f"{path}: cannot be read", "write the configuration by hand")


def _better(data: dict[str, Any], findings: list[Finding]) -> dict[str, Any]:
    """The settings, changed as the findings propose where that is safe."""
    missing = [text for finding in findings if finding.id == MISSING_VALUE for text in finding.value]
    if missing:
        data = {**data, "missing": [*data.get("missing", []), *missing]}
    if any(finding.id == LASTING for finding in findings) and "sessions" not in data:
        data = {**data, "sessions": {"gap_minutes": GAP}}
    return data


def _as_settings(data: dict[str, Any], notes: dict[str, str]) -> list[_Setting]:
    notes = {
        "quote": "the file does not quote fields: a quote is a character like any other",
        "on_error": "some rows are bad; they are skipped and counted, `stop` explains the first",
        "missing": "texts that look like missing ids; their rows are dropped and counted",
        "sessions": f"sessions of the file last for days; {GAP} minutes without a click end one",
        **notes,
    }
    settings = [_Setting("source", _yaml(data["source"]), "")]
    settings.append(_Setting("columns", "", ""))
    settings += [
        _Setting(f"columns.{key}", _yaml(column), notes.get(f"columns.{key}", ""))
        for key, column in data["columns"].items()
    ]
    rest = (key for key in data if key not in ("source", "columns"))
    return settings + [_Setting(key, _yaml(data[key]), notes.get(key, "")) for key in rest]


def _split(reading: Reading, *, timed: bool) -> list[_Setting]:
    """A split that leaves something in both parts: by days if there are times and enough of them, else by share."""
    events = reading.events
    long = next((finding for finding in reading.findings if finding.id == LONG), None)
    longest = {} if long is None else {"max_session_length": long.value}
    spans = events.group_by(SESSION).agg(pl.col(TIME).min())[TIME]
    last = int(events[TIME].max() or 0)  # type: ignore[arg-type]
    shares = {days: _share(spans >= last - days * MICROSECONDS_PER_DAY) for days in _DAYS if timed}
    fitting = {days: share for days, share in shares.items() if _TEST_SHARE[0] <= share <= _TEST_SHARE[1]}
    by_days = [
        ({"by": "days", "test": days}, f"the last {days} of {_days(events):.1f} days have {share:.0%} of the sessions")
        for days, share in sorted(fitting.items(), key=lambda item: abs(item[1] - _USUAL))
    ]
    by_ratio = (
        {"by": "ratio", "test": 0.2},
        f"{_days(events):.1f} days: a share of the sessions, those that start last",
    )
    for support in (5, 2, 1):
        for cut, why in (*by_days[:1], by_ratio):
            try:
                made = split_log(events, SplitSettings.model_validate({**cut, **longest, "min_item_support": support}))
            except DataError:
                continue
            return [*_cut(cut, why), *_cleaning(events, support, made.statistics), *_limit(long)]
    raise DataError(
        "no split of this log leaves clicks for both training and test", "describe FILE shows what it holds"
    )


def _cut(cut: dict[str, Any], why: str) -> Iterator[_Setting]:
    yield _Setting("by", cut["by"], "")
    yield _Setting("test", str(cut["test"]), why)


def _cleaning(events: pl.DataFrame, support: int, statistics: dict[str, Any]) -> Iterator[_Setting]:
    counts = events.group_by(ITEM).len()["len"]
    share = _share(counts < support)
    yield _Setting("min_item_support", str(support), f"{share:.0%} of {len(counts):,} items have fewer clicks")
    removed = {removal["reason"]: removal["events"] for removal in statistics["removals"]}
    for key, reason in (("drop_duplicates", "exact duplicate"), ("drop_repeats", "immediate repeat")):
        count = removed.get(reason, 0)
        yield _Setting(key, "true", f"{count:,} of {events.height:,} clicks ({count / events.height:.1%}): {reason}s")
    left = statistics["parts"]["test"]
    yield _Setting("unseen", "drop", f"the test then has {left['sessions']:,} sessions with {left['events']:,} clicks")


def _limit(long: Finding | None) -> Iterator[_Setting]:
    if long is not None:
        yield _Setting("max_session_length", str(long.value), long.message)


def _share(mask: pl.Series) -> float:
    return int(mask.sum()) / len(mask)


def _days(events: pl.DataFrame) -> float:
    return (int(events[TIME].max() or 0) - int(events[TIME].min() or 0)) / MICROSECONDS_PER_DAY  # type: ignore[arg-type]


def _document(path: Path, sections: dict[str, list[_Setting]], reading: Reading, sample: Sample) -> str:
    events, facts = reading.events, reading.facts
    sizes = f"{events.height:,} events, {events[SESSION].n_unique():,} sessions, {events[ITEM].n_unique():,} items"
    left_out = ", ".join(f"{removal['reason']}: {removal['events']:,}" for removal in facts["removals"])
    first, last = (iso(int(time)) for time in (events[TIME].min(), events[TIME].max()))  # type: ignore[arg-type]
    head = [
        f"Written by gru4rec-study init, from {facts['rows']:,} rows of {path.name}; the columns are guesses from "
        f"the first {sample.rows.height:,} rows. Every comment has the evidence. Check what it is NOT SURE of.",
        f"{sizes}, from {first} to {last}" + (f"; left out: {left_out}" if left_out else ""),
    ]
    lines = [line for text in head for line in _comment(text, "")]
    lines.append(f"name: {_run_name(path)}")
    for section, settings in sections.items():
        lines += [f"{section}:", *(line for setting in settings for line in _lines(setting))]
        if section == "data":
            lines += [
                line
                for f in reading.findings
                if f.id != LONG
                for line in _comment(f"WARNING: {f.message}; {f.hint}", "  ")
            ]
    return "\n".join([*lines, *_models()]) + "\n"


def _lines(setting: _Setting) -> Iterator[str]:
    section, _, key = setting.key.rpartition(".")
    indent = "    " if section else "  "
    if setting.why:
        yield from _comment(setting.why, indent)
    yield f"{indent}{key}: {setting.value}".rstrip()


def _models() -> list[str]:
    return [
        *_comment("simple methods to compare with; vsknn is often the hardest to beat on real clicks", ""),
        "baseline:",
        "  models: {popularity: {}, markov: {}, vsknn: {}}",
        *_comment("a first training; configs/published has the settings of the author for public data", ""),
        "train:",
        "  models:",
        "    gru4rec: {layers: [100], epochs: 5}",
    ]


def _comment(text: str, indent: str) -> Iterator[str]:
    """The text as comment lines; line breaks and control characters in ids and names must not end a comment."""
    line = indent + "#"
    for word in "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text).split():
        if len(line) + 1 + len(word) > _WIDTH and line != indent + "#":
            yield line
            line = indent + "#"
        line += " " + word
    yield line


def _run_name(path: Path) -> str:
    stem = path.name.split(".")[0] or "clicks"
    name = re.sub(r"[^A-Za-z0-9_+-]+", "-", stem).strip("-_+")[:40]
    return _yaml(name if name and not name.isdigit() else f"clicks-{name}".strip("-"))


def _yaml(value: Any) -> str:
    """A value on one line; text in quotes where YAML would read it as something else."""
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and value.lower() not in _WORDS
        return value if plain else json.dumps(value, ensure_ascii=not value.isprintable())
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {_yaml(part)}' for key, part in value.items())}}}"
    return json.dumps(value)


def save(path: Path, text: str) -> None:
    """Write a configuration into a file that must not exist yet.

    Raises:
        UsageError: the file exists, or cannot be written.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written ({error.strerror})", "give another file in --to") from None
