"""Delimited text files: their header, their size, and the first line that is not a record."""

import csv
import gzip
import itertools
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import numpy as np

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.data.filekind import GZIP, JSON, PARQUET, START, kind_of

COMPRESS_AGAIN = "make the file again: gunzip --stdout FILE | gzip > NEW, and read the new one"
LONGEST_LINE = 100_000_000  # bytes; a longer line, or a longer quoted field, is no record of a click

LONGEST_QUOTED = 10_000_000  # bytes; a quoted field over several lines that is longer was left open by mistake

_BATCH = 8 << 20  # bytes
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SEPARATORS = {".tsv": "\t", ".csv": ",", ".inter": "\t"}


class RecordError(DataError):
    """Raised where a line is not a record; the lines around it may be."""


class Dialect(NamedTuple):
    """The characters that separate and quote the fields of a line; without `quote`, a quote is a plain character."""

    separator: str
    quote: str | None = '"'


class Batch(NamedTuple):
    """Whole lines of a file, the first of them with its number, from 1."""

    first_line: int
    text: bytes


class Survey(NamedTuple):
    """The number of records of a text file, the header among them, and what is odd about it."""

    records: int
    lone_returns: bool  # a \\r that does not stand before \\n
    stray_quote: int | None  # line of the first quote that is not around a whole field, nor one of two in such a field
    open_quote: int | None  # line of a quote that opens a field that is not closed, or not within LONGEST_QUOTED
    open_too_long: bool  # the latter
    broken_record: int | None  # line at which the record begins that holds the first of these quotes


@dataclass(frozen=True)
class BadRows:
    """Rows that cannot be used, for one reason; `first` is the place of the first one, empty where it is not known."""

    reason: str
    rows: int
    first: str


def separator_of(path: Path, configured: str | None) -> str | None:
    """Return the separator of a text file, configured or by its suffix (.gz not counted); None for Parquet.

    Raises:
        DataError: the suffix is unknown and no separator is configured.
    """
    suffix = Path(path.stem).suffix if path.suffix.lower() == ".gz" else path.suffix
    if path.suffix.lower() == ".parquet":
        return None
    separator = configured or _SEPARATORS.get(suffix.lower())
    if separator is None and path.is_file() and not (start := _start(path)).startswith(GZIP):
        _require_no_kind(start, f"{path}: is", "text in UTF-8")
    if separator is None:
        raise DataError(
            f"{path}: cannot tell the format from the name",
            "name it .tsv or .csv (either may end in .gz) or .parquet, or set data.separator for a text file",
        )
    return separator


def read_header(path: Path, dialect: Dialect) -> list[str]:
    """Return the column names on the first line.

    Raises:
        DataError: the file is empty, of another kind than its name says, or its first line cannot be read.
    """
    require_plain_text(path)
    for _, fields in _records(path, dialect):
        if not fields:
            raise DataError(f"{path}: line 1 is empty", "remove it; is this the right file?")
        return fields
    raise DataError(f"{path}: the file is empty", "it needs a header line with the column names, then one event a line")


def with_quotes(read: list[str], path: Path, dialect: Dialect | None) -> list[str]:
    """Return column names that Polars read as the header has them: Polars leaves the quotes in them doubled."""
    if dialect is None or dialect.quote is None or not any('"' in name for name in read):
        return read
    names = read_header(path, dialect)
    return [name if '"' in name else given for given, name in zip(read, names, strict=True)]


def require_plain_text(path: Path, *, json: bool = False) -> None:
    """Look at the first bytes of a file, which may be JSON where that is expected.

    Raises:
        DataError: it cannot be opened, or is not text, or gzip data where its name ends in .gz.
    """
    start, compressed = _start(path), path.suffix.lower() == ".gz"
    if start.startswith(GZIP) and not compressed:
        raise DataError(f"{path}: gzip data although the name does not end in .gz", f"rename it to {path.name}.gz")
    if not start.startswith(GZIP):
        _require_no_kind(start, f"{path}: is", "gzip data" if compressed else "text in UTF-8", json=json)
        if start and compressed:
            message = f"{path}: not gzip data although the name ends in .gz"
            raise DataError(message, "rename it, or compress it with gzip")
        return
    with _explained(path), _open(path) as stream:
        unpacked = stream.read(START)
    _require_no_kind(unpacked, f"{path}: the gzip data, unpacked, is", "text in UTF-8", json=json)


def _require_no_kind(start: bytes, what: str, wanted: str, *, json: bool = False) -> None:
    """Raise `DataError` where bytes begin a file of another kind than text."""
    kind = kind_of(start)
    if kind is not None and not (json and kind == JSON):
        raise DataError(f"{what} {kind.name}, not {wanted}", kind.hint)


def _start(path: Path) -> bytes:
    with _explained(path), path.open("rb") as stream:
        return stream.read(START)


def require_parquet(path: Path) -> None:
    """Look at the first bytes of a file whose name ends in .parquet. Raises `DataError` if it is something else."""
    start = _start(path)
    if not start.startswith(PARQUET):
        _require_no_kind(start, f"{path}: is", "a Parquet file")
        raise DataError(
            f"{path}: not a readable Parquet file (it does not begin like one)",
            "is it complete? If it is text, rename it to end in .csv or .tsv",
        )


def survey(path: Path, dialect: Dialect, most: int) -> Survey:
    """Look at all bytes of a text file; only at those of its first records if it has more than `most`.

    Raises:
        DataError: a line is longer than LONGEST_LINE, the compressed file is damaged, or the file cannot be read.
    """
    quote = dialect.quote.encode() if dialect.quote else None
    records, ended, lone_returns = 0, True, False
    stray: _Stray | None = None
    open_field: _OpenField | None = None
    too_long = False
    for batch in batches(path):
        ended = batch.text.endswith(b"\n")
        lone_returns = lone_returns or batch.text.count(b"\r") > batch.text.count(b"\r\n")
        if quote is None or too_long or not (open_field or quote in batch.text):
            records += batch.text.count(b"\n")
        else:
            found = _quoting(batch, dialect, open_field)
            records, open_field, stray = records + found.records, found.open_field, stray or found.stray
            too_long = open_field is not None and open_field.length > LONGEST_QUOTED
        if records > most:
            break
    left_open = None if stray or (open_field and records > most and not too_long) else open_field
    broken = stray.record_line if stray else left_open.record_line if left_open else None
    lines = (stray.line if stray else None, left_open.line if left_open else None)
    return Survey(records + (not ended), lone_returns, *lines, too_long and left_open is not None, broken)


class _Stray(NamedTuple):
    """A quote in a wrong place."""

    line: int
    record_line: int  # at which its record begins


class _OpenField(NamedTuple):
    """A quoted field that goes on where a batch ends."""

    line: int  # of its quote
    record_line: int  # at which its record begins
    length: int  # bytes until here


class _Quoting(NamedTuple):
    records: int  # line ends outside of quotes
    open_field: _OpenField | None  # at the end of the batch
    stray: _Stray | None


def _quoting(batch: Batch, dialect: Dialect, open_field: _OpenField | None) -> _Quoting:
    """Follow the quotes through a batch that begins in an open field or not."""
    quote, line_end = ord(dialect.quote or ""), ord("\n")
    text = batch.text.removeprefix(_BYTE_ORDER_MARK) if batch.first_line == 1 else batch.text
    characters = np.frombuffer(text, dtype=np.uint8)
    is_quote = characters == quote
    inside = np.bitwise_xor.accumulate(is_quote) ^ (open_field is not None)  # after each character
    before = np.concatenate([[line_end], characters[:-1]])
    after = np.concatenate([characters[1:], [line_end]])
    separators = np.array([ord(dialect.separator), line_end, quote])
    stray = is_quote & np.where(inside, ~np.isin(before, separators), ~np.isin(after, [*separators, ord("\r")]))
    ends = (characters == line_end) & ~inside

    def line_of(place: int) -> int:
        return batch.first_line + text.count(b"\n", 0, place)

    def record_line_of(place: int) -> int:
        earlier = np.flatnonzero(ends[:place])
        if len(earlier):
            return line_of(int(earlier[-1]) + 1)
        return open_field.record_line if open_field else batch.first_line

    first = int(stray.argmax()) if stray.any() else None
    found = None if first is None else _Stray(line_of(first), record_line_of(first))
    left_open = None
    if inside[-1] and is_quote.any():
        opening = len(text) - 1 - int(is_quote[::-1].argmax())
        left_open = _OpenField(line_of(opening), record_line_of(opening), len(text) - opening)
    elif inside[-1] and open_field:
        left_open = open_field._replace(length=open_field.length + len(text))
    return _Quoting(int(np.count_nonzero(ends)), left_open, found)


class Part(NamedTuple):
    """A part of the records of a file: those that begin on some lines, at most so many."""

    first_line: int = 1
    last_line: int | None = None
    most: int | None = None


def check_records(path: Path, dialect: Dialect, width: int = 0, part: Part | None = None) -> None:
    """Read the file slowly, or a part of it, and name the first line that is not well formed, if one is not.

    `width` is the number of fields of a file without header.

    Raises:
        RecordError: a line is empty, has too few or too many fields, is not UTF-8, or opens a quote that is
            never closed.
        DataError: the compressed file is damaged.
    """
    source = "format" if width else "header"
    if part is not None and not width:
        width = len(read_header(path, dialect))
    part = part or Part()
    for line, fields in itertools.islice(_records(path, dialect, part.first_line), part.most):
        if part.last_line is not None and line > part.last_line:
            break
        width = width or len(fields)
        if not fields:
            raise RecordError(f"{path}: line {line} is empty", "remove it: every line after the header is one event")
        if len(fields) != width:
            plural = "" if len(fields) == 1 else "s"
            raise RecordError(
                f"{path}: line {line} has {len(fields)} field{plural}, the {source} has {width}",
                f"give every line the fields of the {source}, and quote a field that holds the separator",
            )


def line_of_row(path: Path, dialect: Dialect, row: int, *, header: bool = True) -> int:
    """Return the line number, from 1, of a data row, from 0 (quoted fields may hold line breaks)."""
    return next(itertools.islice(_records(path, dialect), row + header, None))[0]


def salvage(path: Path, dialect: Dialect, width: int, target: Path) -> list[BadRows]:
    """Copy every line that is a record by itself to `target`; count the others by what is wrong with them.

    `width` is the number of fields of a file without header, 0 where the first line is one. A record with line
    breaks in quotes counts as several bad lines: among broken lines it is unknown which of them belong together.
    """
    found: dict[str, tuple[int, int]] = {}  # reason → lines, first line
    with target.open("w", encoding="utf-8", newline="") as copy:
        for number, line in numbered_lines(path):
            text, fields, reason = _fields(line.rstrip(b"\r\n"), dialect, width)
            if reason and not width:
                raise RecordError(f"{path}: line {number}, which must hold the column names: {reason}", "correct it")
            if reason:
                lines, first = found.get(reason, (0, number))
                found[reason] = (lines + 1, first)
                continue
            width = width or fields
            copy.write(text + "\n")
    return [BadRows(reason, lines, f"{path.name}, line {first}") for reason, (lines, first) in found.items()]


def _fields(line: bytes, dialect: Dialect, width: int) -> tuple[str, int, str]:
    """A line as text, the number of its fields, and what is wrong with it, if anything is."""
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return "", 0, "not UTF-8"
    if not text:
        return "", 0, "empty line"
    if dialect.quote and dialect.quote in text:
        if not re.fullmatch(_record_pattern(dialect), text):
            return "", 0, "broken quotes"
        fields = len(next(_reader([text], dialect)))
    else:
        fields = text.count(dialect.separator) + 1
    if "\r" in text:
        return "", 0, "line end in the middle"
    return text, fields, "wrong number of fields" if width and fields != width else ""


@lru_cache
def _record_pattern(dialect: Dialect) -> str:
    """A line of fields without quotes, or in quotes as a whole with their own quotes doubled."""
    separator, quote = re.escape(dialect.separator), dialect.quote
    field = f"(?:[^{quote}{separator}]*|{quote}[^{quote}]*(?:{quote}{quote}[^{quote}]*)*{quote})"
    return f"{field}(?:{separator}{field})*"


def numbered_lines(path: Path, first: int = 1) -> Iterator[tuple[int, bytes]]:
    """Yield every line with its number, from `first` on, without a byte order mark.

    Raises:
        DataError: a line is longer than LONGEST_LINE, or the compressed file is damaged.
    """
    for batch in batches(path):
        if batch.first_line + batch.text.count(b"\n") < first:
            continue
        text = batch.text.removeprefix(_BYTE_ORDER_MARK) if batch.first_line == 1 else batch.text
        lines = enumerate(_split(text), start=batch.first_line)
        yield from lines if batch.first_line >= first else ((n, line) for n, line in lines if n >= first)


def _split(text: bytes) -> Iterator[bytes]:
    """The lines of a batch, each with its end."""
    begin = 0
    while begin < len(text):
        end = text.find(b"\n", begin) + 1 or len(text)
        yield text[begin:end]
        begin = end


def batches(path: Path) -> Iterator[Batch]:
    """Yield the lines of a text file in batches of about 8 MB.

    Raises:
        DataError: a line is longer than LONGEST_LINE, the compressed file is damaged, or the file cannot be read.
    """
    line = 1
    with _explained(path), _open(path) as stream:
        while text := stream.read(_BATCH):
            if not text.endswith(b"\n"):
                text += stream.readline(LONGEST_LINE)
            lines, complete = text.count(b"\n"), text.endswith(b"\n")
            if len(text) - text.rfind(b"\n", 0, -1) > LONGEST_LINE:
                raise DataError(
                    f"{path}: line {line + lines - complete} has more than {LONGEST_LINE:,} bytes, "
                    "the most that a line may have",
                    "is this the right file? Shorten the line, or end lines with \\n or \\r\\n",
                )
            yield Batch(line, text)
            line += lines


def _records(path: Path, dialect: Dialect, first: int = 1) -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of its first line; a blank line is a record without fields.

    `first` is the line at which the first of these records begins.
    """
    reader = _reader(_lines(path, first), dialect)
    line = first
    try:
        for fields in reader:
            yield line, fields
            line = first + reader.line_num
    except csv.Error as error:
        reason = str(error).replace("\t", "\\t")
        if "new-line character" in reason:
            reason = "it holds a \\r that is not followed by \\n"
        raise RecordError(
            f"{path}: line {line}: the record does not end as it should ({reason})",
            'close every quote at the end of its field, write a quote inside a quoted field twice (""), '
            "and end lines with \\n or \\r\\n",
        ) from None


def _reader(lines: Iterator[str] | list[str], dialect: Dialect) -> Any:
    """A reader of records; the limit of the csv module on the length of a field is raised, for the whole process."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_LINE))
    if dialect.quote is None:
        return csv.reader(lines, delimiter=dialect.separator, quoting=csv.QUOTE_NONE, strict=True)
    return csv.reader(lines, delimiter=dialect.separator, quotechar=dialect.quote, strict=True)


def _lines(path: Path, first: int) -> Iterator[str]:
    for number, line in numbered_lines(path, first):
        if line.endswith((b"\r\r\n", b"\r\r")):
            raise RecordError(f"{path}: line {number} ends with more than one \\r", "end lines with \\n or \\r\\n")
        yield _decode(path, number, line)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Damage to compressed data, and what the system refuses, as a `DataError`."""
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        if "Not a gzipped file" in str(error):
            raise DataError(f"{path}: other bytes follow the gzip data ({error})", COMPRESS_AGAIN) from None
        raise DataError(f"{path}: the gzip data is damaged or cut off ({error})", "copy or download it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})", "check its permissions") from None


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _decode(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordError(
            f"{path}: line {number}: byte 0x{line[error.start]:02x} at position {error.start + 1} is not UTF-8",
            "convert the file to UTF-8; it is often Windows-1252: iconv -f WINDOWS-1252 -t UTF-8 FILE > NEW",
        ) from None
