"""Delimited text files: their header, and the first line that is not a record."""

import csv
import gzip
import itertools
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from gru4rec_cli.base.errors import DataError

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SEPARATORS = {".tsv": "\t", ".csv": ","}


class RecordError(DataError):
    """Raised where a line is not a record; the lines around it may be."""


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
    if separator is None:
        raise DataError(
            f"{path}: cannot tell the format from the name",
            "name it .tsv or .csv (either may end in .gz) or .parquet, or set data.separator for a text file",
        )
    return separator


def read_header(path: Path, separator: str) -> list[str]:
    """Return the column names on the first line.

    Raises:
        DataError: the file is empty, not compressed as its name says, or its first line cannot be read.
    """
    _check_compression(path)
    for _, fields in _records(path, separator):
        return fields
    raise DataError(f"{path}: the file is empty", "it needs a header line with the column names, then one event a line")


def check_records(path: Path, separator: str, width: int = 0) -> None:
    """Read the whole file slowly and name the first line that is not well formed, if one is not.

    `width` is the number of fields of a file without header.

    Raises:
        RecordError: a line is empty, has too few or too many fields, is not UTF-8, or opens a quote that is
            never closed.
        DataError: the compressed file is damaged.
    """
    source = "format" if width else "header"
    for line, fields in _records(path, separator):
        width = width or len(fields)
        if not fields:
            raise RecordError(f"{path}: line {line} is empty", "remove it: every line after the header is one event")
        if len(fields) != width:
            plural = "" if len(fields) == 1 else "s"
            raise RecordError(
                f"{path}: line {line} has {len(fields)} field{plural}, the {source} has {width}",
                f"give every line the fields of the {source}, and quote a field that holds the separator",
            )


def line_of_row(path: Path, separator: str, row: int, *, header: bool = True) -> int:
    """Return the line number, from 1, of a data row, from 0 (quoted fields may hold line breaks)."""
    return next(itertools.islice(_records(path, separator), row + header, None))[0]


def salvage(path: Path, separator: str, width: int, target: Path) -> list[BadRows]:
    """Copy every line that is a record by itself to `target`; count the others by what is wrong with them.

    `width` is the number of fields of a file without header, 0 where the first line is one. A record with line
    breaks in quotes counts as several bad lines: among broken lines it is unknown which of them belong together.
    """
    found: dict[str, tuple[int, int]] = {}  # reason → lines, first line
    with _open(path) as stream, target.open("w", encoding="utf-8", newline="") as copy:
        writer = csv.writer(copy, delimiter=separator, lineterminator="\n")
        for number, line in enumerate(_intact_lines(path, stream), start=1):
            fields, reason = _fields(line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line, separator, width)
            if reason:
                lines, first = found.get(reason, (0, number))
                found[reason] = (lines + 1, first)
                continue
            width = width or len(fields)
            writer.writerow(fields)
    return [BadRows(reason, lines, f"{path.name}, line {first}") for reason, (lines, first) in found.items()]


def _fields(line: bytes, separator: str, width: int) -> tuple[list[str], str]:
    """The fields of a line, and what is wrong with it, if anything is."""
    try:
        text = line.decode("utf-8")
        records = list(csv.reader([text], delimiter=separator, strict=True))
    except UnicodeDecodeError:
        return [], "not UTF-8"
    except csv.Error:
        return [], "broken quotes"
    if not records or not records[0]:
        return [], "empty line"
    if text.count('"') % 2:
        return [], "broken quotes"
    return records[0], "wrong number of fields" if width and len(records[0]) != width else ""


def numbered_lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield every line with its number, from 1.

    Raises:
        DataError: the compressed file is damaged.
    """
    with _open(path) as stream:
        yield from enumerate(_intact_lines(path, stream), start=1)


def lone_quote_line(path: Path) -> int | None:
    """Return the number of the first line with an odd number of quotes, or None."""
    return next((number for number, line in enumerate(_lines(path), start=1) if line.count('"') % 2), None)


def _records(path: Path, separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each record with the number of its first line; a blank line is a record without fields."""
    reader = csv.reader(_lines(path), delimiter=separator, strict=True)
    line = 1
    try:
        for fields in reader:
            yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        reason = str(error).replace("\t", "\\t")
        raise RecordError(
            f"{path}: line {line}: the record does not end as it should ({reason})",
            'close every quote at the end of its field, write a quote inside a quoted field twice (""), '
            "and end lines with \\n or \\r\\n",
        ) from None


def _lines(path: Path) -> Iterator[str]:
    with _open(path) as stream:
        for number, line in enumerate(_intact_lines(path, stream), start=1):
            yield _decode(path, number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line)


def _intact_lines(path: Path, stream: BinaryIO) -> Iterator[bytes]:
    try:
        yield from stream
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip data is damaged or cut off ({error})", "copy or download it again") from None


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _decode(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecordError(
            f"{path}: line {number}: byte 0x{line[error.start]:02x} at position {error.start + 1} is not UTF-8",
            "convert the file to UTF-8, for instance with iconv",
        ) from None


def _check_compression(path: Path) -> None:
    with path.open("rb") as stream:
        start = stream.read(2)
    if path.suffix.lower() == ".gz" and start and start != _GZIP:
        raise DataError(f"{path}: not gzip data although the name ends in .gz", "rename it, or compress it with gzip")
    if path.suffix.lower() != ".gz" and start == _GZIP:
        raise DataError(f"{path}: gzip data although the name does not end in .gz", f"rename it to {path.name}.gz")
