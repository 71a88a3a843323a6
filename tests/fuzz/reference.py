"""What a file of clicks holds, worked out slowly and plainly, to compare readers with.

Each function returns the events of a file as (session, item, microseconds), ids as text, or the lines that are bad.
"""

import json
import re
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

LATEST = 7_258_118_400_000_000  # 2200-01-01, microseconds
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
# Polars also takes numbers of one digit, or after spaces, where seconds are given.
_ISO = re.compile(
    r"(\d{4})-( *\d{1,2})-( *\d{1,2})(?:[T ](?:( *\d{1,2}):( *\d{1,2}):( *\d{1,2})(?:\.(\d+))?|(\d\d):(\d\d))"
    r"(Z|[+-]\d\d(?::?\d\d)?)?)?(?: UTC)?",
    re.ASCII,
)
Event = tuple[str, str, int]
WIDEST = 2**63


class Text(NamedTuple):
    """A text file: its separator, the columns of session, item and time, and how times are written."""

    separator: str
    columns: tuple[str, str, str]
    iso: bool = False
    header: tuple[str, ...] = ()  # of a file without one


class BadFileError(Exception):
    """Raised where a file, or a line of it, holds no events."""


def seconds(text: str) -> int:
    """The microseconds of a number of seconds."""
    if not _NUMBER.fullmatch(text):
        raise BadFileError(text)
    return _within(round(Fraction(text) * 1_000_000))


def iso(text: str) -> int:
    """The microseconds of an ISO 8601 time."""
    found = _ISO.fullmatch(text)
    if not found:
        raise BadFileError(text)
    year, month, day, hour, minute, second, digits, hour2, minute2, zone = found.groups()
    if hour is None and len(text.removesuffix(" UTC")) < 10 + 6 * bool(hour2):
        raise BadFileError(text)
    leap = int(second or 0) == 60
    try:
        clock = (int(hour or hour2 or 0), int(minute or minute2 or 0), 59 if leap else int(second or 0))
        moment = datetime(int(year), int(month), int(day), *clock, tzinfo=UTC)
        offset = datetime.strptime((zone or "Z") + "00" * (len(zone or "") == 3), "%z").utcoffset()
    except ValueError:
        raise BadFileError(text) from None
    seconds = int((moment - datetime(1970, 1, 1, tzinfo=UTC) - (offset or timedelta())).total_seconds()) + leap
    return _within(seconds * 1_000_000 + int((digits or "0").ljust(6, "0")[:6]))


def _within(micros: int) -> int:
    if not 0 <= micros <= LATEST:
        raise BadFileError(str(micros))
    return micros


def text(content: bytes, layout: Text, *, skip: bool) -> list[Event]:
    """The events of a text file. Raises `BadFileError` where a line is bad, or with `skip` where none is good."""
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        records = _records(content.decode("utf-8"), layout.separator)
        width = len(layout.header or records[0])
        if any(len(record) != width for record in records):
            raise BadFileError("width")
    except (UnicodeDecodeError, IndexError, BadFileError):
        if not skip:
            raise BadFileError("broken") from None
        records = _whole_lines(content, layout)
    names = list(layout.header or records[0])
    if any(names.count(name) != 1 for name in layout.columns):
        raise BadFileError("columns")
    places = [names.index(name) for name in layout.columns]
    events = []
    for record in records if layout.header else records[1:]:
        session, item, time = (record[place] for place in places)
        try:
            if not session or not item or "\n" in session + item:
                raise BadFileError("id")
            events.append((session, item, iso(time) if layout.iso else seconds(time)))
        except BadFileError:
            if not skip:
                raise
    if not events:
        raise BadFileError("no events")
    return events


def _records(content: str, separator: str) -> list[list[str]]:
    """The records of a text; quotes are around whole fields. Raises `BadFileError` where it is no such text."""
    field = re.compile(f'"((?:[^"]|"")*)"|([^"{separator}\r\n]*)')
    records: list[list[str]] = []
    record: list[str] = []
    place = 0
    while place < len(content) or record:
        found = field.match(content, place)
        assert found
        record.append(found[2] if found[1] is None else found[1].replace('""', '"'))
        end = re.compile(f"{separator}|\r?\n|\\Z").match(content, found.end())
        if not end:
            raise BadFileError(content[place : place + 50])
        place = end.end()
        if end[0] != separator:
            if record == [""] and found[1] is None:
                raise BadFileError("empty line")
            records.append(record)
            record = []
    return records


def _whole_lines(content: bytes, layout: Text) -> list[list[str]]:
    """The lines that are records by themselves; the first of them must be the header."""
    found: list[list[str]] = []
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n")):
        try:
            (record,) = _records(line.rstrip(b"\r").decode("utf-8"), layout.separator)
        except (UnicodeDecodeError, ValueError, BadFileError):
            record = []
        width = len(layout.header or (found[0] if found else record))
        if record and len(record) == width:
            found.append(record)
        elif number == 0 and not layout.header:
            raise BadFileError("header")
    return found


def sessions(content: bytes, *, skip: bool) -> list[Event]:
    """The clicks of JSON lines in the layout of OTTO."""
    return _lines(content, ("session", "events", "aid", "ts", "type"), _clicks, skip=skip)


def articles(content: bytes, *, skip: bool) -> list[Event]:
    """The events with an item of JSON lines in the layout of Adressa."""
    return _lines(content, ("userId", "id", "time"), _article, skip=skip)


def _lines(content: bytes, names: tuple[str, ...], read: Any, *, skip: bool) -> list[Event]:
    events: list[Event] = []
    for line in content.split(b"\n"):
        if line.strip() and not read(_parsed(line, names), events) and not skip:
            raise BadFileError(line.decode(errors="replace"))
    if not events:
        raise BadFileError("no events")
    return events


def _parsed(line: bytes, names: tuple[str, ...]) -> Any:
    """A line of JSON; None where it is none, or where one of the names occurs twice in an object."""
    repeated = False

    def note(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        keys = [key for key, _ in pairs]
        repeated = repeated or any(keys.count(name) > 1 for name in names)
        return dict(pairs)

    try:
        found = json.loads(line.decode("utf-8").removeprefix("\ufeff"), strict=False, object_pairs_hook=note)
    except (ValueError, RecursionError):
        return None
    return None if repeated else found


def _whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _clicks(line: Any, events: list[Event]) -> bool:
    """Add the clicks of a session; whether all of its events are good."""
    if not isinstance(line, dict) or not _whole(line.get("session"), 1 - WIDEST, WIDEST - 1):
        return False
    if not isinstance(line.get("events"), list):
        return False
    good = True
    for event in line["events"]:
        fields = event if isinstance(event, dict) else {}
        item, time, kind = (fields.get(name) for name in ("aid", "ts", "type"))
        if not _whole(item, 1 - WIDEST, WIDEST - 1) or not _whole(time, 0, LATEST // 1000) or not _is_text(kind):
            good = False
        elif kind == "clicks":
            events.append((str(line["session"]), str(item), int(str(time)) * 1000))
    return good


def _article(line: Any, events: list[Event]) -> bool:
    """Add an event if it names an item; whether it is good."""
    if not isinstance(line, dict):
        return False
    user, item, time = (line.get(name) for name in ("userId", "id", "time"))
    if item is None:
        return True
    user, item = (str(value) if _whole(value, -(10**4000), 10**4000) else value for value in (user, item))
    if not all(_is_text(value) and value and "\n" not in value for value in (user, item)):
        return False
    if not _whole(time, 0, LATEST // 10**6):
        return False
    events.append((str(user), str(item), int(str(time)) * 1_000_000))
    return True


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and not re.search("[\ud800-\udfff]", value)
