"""Thousands of damaged and odd files of clicks: each is read as the reference reads it, or refused in words.

Held for every file: no error other than `StudyError`, no case longer than a few seconds, and no wrong success. What is
read has the events of the reference (`reference.py`), and rows less counted removals are events.

GRU4REC_STUDY_FUZZ=100000 tries more files, GRU4REC_STUDY_FUZZ_SEED=7 others.
"""

import gzip
import os
import re
import time
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import polars as pl

from gru4rec_cli.base.errors import StudyError
from gru4rec_cli.base.names import ITEM, SESSION, TIME
from gru4rec_cli.data.events import DataSettings
from gru4rec_cli.data.filekind import JSON, START, kind_of
from gru4rec_cli.data.reading import Reading, read_log
from gru4rec_cli.data.split_folder import verify_split, write_split
from gru4rec_cli.data.split_settings import SplitSettings
from gru4rec_cli.data.splitting import split_log
from tests.fuzz import reference
from tests.fuzz.reference import BadFileError, Event, Text

FILES = int(os.environ.get("GRU4REC_STUDY_FUZZ", "3000"))
SEED = int(os.environ.get("GRU4REC_STUDY_FUZZ_SEED", "1"))
LONGEST = 20.0  # seconds; a case takes milliseconds on a machine that has nothing else to do
SPLIT_EVERY = 10  # of the files that are read are divided, too
NAMES = ("SessionId", "ItemId", "Time")
CLICKS = [(n // 4, (n * 7) % 6, 1_700_000_000 + 50 * n) for n in range(24)]
ODD = [
    "", " ", "NaN", "inf", "-1", "1e3", "1e400", "1e", ".5", "5.", "+5", " 5", "5 ", "1_0", "0x1", "007", "7.0", "-0",
    "9" * 20, "9223372036854775807", "9223372036854775808", "-9223372036854775808", "99999999999", "null", "NULL",
    "2024-03-01T09:15", "2024-03-01", "2024-02-30", "2024-03-01T09:15:61Z", "é", "e\u0301", "\u0660", "😀", "\0", '"',
    '""', "'", '"a""b"', '"a', 'a"b', '"1"', "x" * 3000, "a,b", "a\tb", "\\n", "\r", "[1]", "{}", "true", '"\\ud800"',
    "1700000000.0000005", "７", "-5", "2e9", "01",
]  # fmt: skip


ADRESSA = {"format": "adressa", "sessions": {"by": "user", "gap_minutes": 1e6}}


class Case(NamedTuple):
    """A kind of file: its name and content, how it is read, and what it holds."""

    name: str
    content: bytes
    settings: dict[str, Any]
    expected: Callable[..., list[Event]]
    packed: bool = False


def delimited(layout: Text, times: Callable[[int], str], end: str = "\n") -> bytes:
    rows = [(str(session), str(item), times(at)) for session, item, at in CLICKS]
    lines = [] if layout.header else [(*layout.columns, "note")]
    lines += [(*row, "n") for row in rows]
    if layout.header:
        lines = [(session, at, item, note) for session, item, at, note in lines]
    return "".join(layout.separator.join(line) + end for line in lines).encode()


def zulu(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.5Z")


def cases() -> list[Case]:
    """Return a good file of every kind."""
    comma, tab = Text(",", NAMES), Text("\t", NAMES)
    dates = Text(",", NAMES, iso=True)
    bare = Text(",", ("session", "item", "time"), iso=True, header=("session", "time", "item", "category"))
    otto = b"".join(
        b'{"session":%d,"events":[%s]}\n'
        % (s, b",".join(b'{"aid":%d,"ts":%d000,"type":"clicks"}' % (i, t) for n, i, t in CLICKS if n == s))
        for s in range(6)
    )
    news = b"".join(b'{"userId":"u%d","id":"%d","time":%d}\n' % click for click in CLICKS)

    def texts(layout: Text) -> Callable[..., list[Event]]:
        return lambda content, skip: reference.text(content, layout, skip=skip)

    return [
        Case("e.csv", delimited(comma, str), {}, texts(comma)),
        Case("e.csv", delimited(comma, str, "\r\n"), {}, texts(comma)),
        Case("e.csv", delimited(dates, zulu), {"time_unit": "iso8601"}, texts(dates)),
        Case("yoochoose-clicks.dat", delimited(bare, zulu), {"format": "yoochoose"}, texts(bare)),
        Case("e.tsv.gz", delimited(tab, str), {}, texts(tab), packed=True),
        Case("e.jsonl", otto, {"format": "otto"}, reference.sessions),
        Case("e.jsonl.gz", otto, {"format": "otto"}, reference.sessions, packed=True),
        Case("20170101", news, ADRESSA, reference.articles),
    ]  # fmt: skip


def mutated(content: bytes, random: Random) -> bytes:
    """A few changes to a text: bytes, fields, lines, ends, encodings."""
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        content = random.choice(CHANGES)(content, random)
    return content


def change_byte(content: bytes, random: Random) -> bytes:
    place = random.randrange(len(content) or 1)
    return content[:place] + random.randbytes(1) + content[place + 1 :]


def insert(content: bytes, random: Random) -> bytes:
    place = random.randrange(len(content) + 1)
    return (
        content[:place] + random.choice([*(odd.encode() for odd in ODD), b"\n", b"\r", b"\xff", b'"']) + content[place:]
    )


def cut_out(content: bytes, random: Random) -> bytes:
    place = random.randrange(len(content) + 1)
    return content[:place] + content[place + random.randrange(1, 40) :]


def cut_off(content: bytes, random: Random) -> bytes:
    return content[: random.randrange(len(content) + 1)]


def change_field(content: bytes, random: Random) -> bytes:
    """Replace a run of digits or letters."""
    fields = list(re.finditer(rb'"[^"\n]*"|[\w.:-]+', content))
    if not fields:
        return content
    begin, end = random.choice(fields).span()
    return content[:begin] + random.choice(ODD).encode() + content[end:]


def change_lines(content: bytes, random: Random) -> bytes:
    """Leave out, repeat, swap, join or empty lines, or end one otherwise."""
    lines = content.splitlines(keepends=True) or [b""]
    place, other = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(7)
    if kind == 0:
        del lines[place]
    elif kind == 1:
        lines.insert(other, lines[place])
    elif kind == 2:
        lines[place], lines[other] = lines[other], lines[place]
    elif kind == 3:
        lines[place] = lines[place].rstrip(b"\r\n")
    elif kind == 4:
        lines.insert(place, random.choice([b"\n", b"\r\n", b"  \n"]))
    elif kind == 5:
        lines[place] = lines[place].rstrip(b"\r\n") + random.choice([b"\r\n", b"\r", b"\n\n", b",\n", b"\t\n", b" \n"])
    else:
        lines[place] = lines[place] * random.randrange(2, 4)
    return b"".join(lines)


def encode(content: bytes, random: Random) -> bytes:
    text = content.decode("utf-8", errors="replace")
    kind = random.choice(["utf-16", "utf-8-sig", "latin-1", "utf-32"])
    return (text + ("é" if kind == "latin-1" else "")).encode(kind, errors="replace")


CHANGES = [change_byte, change_byte, insert, insert, cut_out, cut_off, change_field, change_field, change_field]
CHANGES += [change_lines, change_lines, encode]


def unpacked(content: bytes) -> bytes:
    """What a gzip file holds. Raises `BadFileError` where it is damaged, or other bytes follow."""
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error):
        raise BadFileError("gzip") from None


def rows(reading: Reading) -> list[Event]:
    events = reading.events.select(pl.col(SESSION, ITEM).cast(pl.String), TIME)
    return [(session, item, at) for session, item, at in events.iter_rows()]


def balance(reading: Reading) -> None:
    """Every row is an event or counted."""
    left_out = sum(removal["events"] for removal in reading.facts["removals"])
    assert reading.facts["rows"] - left_out == reading.events.height


def read(path: Path, settings: dict[str, Any]) -> Reading | None:
    """Return what is read, or None where the file is refused in words."""
    begin, refusal, reading = time.monotonic(), None, None
    try:
        reading = read_log(path, DataSettings(source=str(path), **settings))
    except StudyError as error:
        refusal = error
    assert time.monotonic() - begin < LONGEST
    if reading is None:
        assert refusal is not None
        assert refusal.message.strip()
        assert refusal.exit_code in (2, 3)
        return None
    balance(reading)
    assert reading.events.schema[SESSION] in (pl.Int64, pl.String)
    assert reading.events.schema[ITEM] in (pl.Int64, pl.String)
    assert not reading.events.null_count().sum_horizontal().item()
    return reading


def divide(reading: Reading, folder: Path) -> None:
    """Divide what was read, if it can be divided."""
    settings = SplitSettings(min_item_support=1, test=0.3)
    folder.mkdir(exist_ok=True)
    try:
        split = split_log(reading.events, settings)
    except StudyError:
        return
    write_split(split, folder)
    assert verify_split(folder, settings)


def expected(case: Case, content: bytes, *, skip: bool) -> list[Event] | None:
    """Return the events of the reference, or None where it refuses the file, or this begins as no text does."""
    try:
        plain = unpacked(content) if case.packed else content
        kind = kind_of(plain[:START])
        if kind is not None and not (kind == JSON and "format" in case.settings):
            return None
        return sorted(case.expected(plain, skip=skip))
    except BadFileError:
        return None


def without_sessions(events: list[Event] | None) -> list[Event] | None:
    return None if events is None else sorted(("", item, at) for _, item, at in events)


def test_damaged_texts_are_read_as_the_reference_reads_them_or_refused(tmp_path: Path):
    random, kinds, tried, good = Random(SEED), cases(), 0, 0
    while tried < FILES:
        case = kinds[tried % len(kinds)]
        content = mutated(case.content, random)
        if case.packed:
            content = gzip.compress(content, mtime=0)
            content = change_byte(content, random) if random.random() < 0.2 else content
        skip = random.random() < 0.5
        path = tmp_path / case.name
        path.write_bytes(content)
        tried += 1
        reading = read(path, case.settings | {"on_error": "skip" if skip else "stop"})
        found = None if reading is None else sorted(rows(reading))
        wanted = expected(case, content, skip=skip)
        if case.settings.get("format") == "adressa":  # users get numbers
            found, wanted = without_sessions(found), without_sessions(wanted)
        assert found == wanted, f"seed {SEED}, file {tried}, {case.name}, skip={skip}: {content!r}"
        if reading is not None:
            good += 1
            if good % SPLIT_EVERY == 0:
                divide(reading, tmp_path / "split")
    assert tried == FILES
    assert good > FILES // 10


def test_damaged_parquet_files_are_read_or_refused(tmp_path: Path):
    """A changed byte of data may be read as another value: Parquet need not hold checksums."""
    random, tried, path = Random(SEED), 0, tmp_path / "e.parquet"
    frame = pl.DataFrame(CLICKS, schema=list(NAMES), orient="row").with_columns(note=pl.lit("n"))
    files = []
    for table in (frame, frame.with_columns(pl.col("ItemId").cast(pl.String).cast(pl.Categorical))):
        buffer = BytesIO()
        table.write_parquet(buffer)
        files.append(buffer.getvalue())
    for _ in range(FILES // 4):
        content = files[tried % len(files)]
        for _ in range(random.choice((1, 1, 2, 4))):
            content = random.choice((change_byte, change_byte, cut_out, cut_off, insert))(content, random)
        path.write_bytes(content)
        reading = read(path, {"on_error": random.choice(("stop", "skip"))})
        if reading is not None:
            assert reading.facts["rows"] == len(CLICKS)
        tried += 1
    assert tried == FILES // 4
