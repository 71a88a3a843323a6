"""Delimited text files: their header, and the line that makes one unreadable."""

import csv
import gzip
import itertools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from gru4rec_cli.errors import DataError

_GZIP = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SEPARATORS = {".tsv": "\t", ".csv": ","}


def separator_of(path: Path, configured: str | None) -> str | None:
    """The separator of a text file, configured or by its suffix (.gz not counted); None for Parquet.

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
    """The column names on the first line.

    Raises:
        DataError: the file is empty, not compressed as its name says, or its first line cannot be read.
    """
    _check_compression(path)
    for _, fields in _records(path, separator):
        return fields
    raise DataError(f"{path}: the file is empty", "it needs a header line with the column names, then one event a line")


def check_records(path: Path, separator: str) -> None:
    """Read the whole file slowly and name the first line that is not well formed, if one is not.

    Raises:
        DataError: a line is empty, has too few or too many fields, is not UTF-8, opens a quote that is
            never closed, or the compressed file is damaged.
    """
    width = 0
    for line, fields in _records(path, separator):
        width = width or len(fields)
        if not fields:
            raise DataError(f"{path}: line {line} is empty", "remove it: every line after the header is one event")
        if len(fields) != width:
            plural = "" if len(fields) == 1 else "s"
            raise DataError(
                f"{path}: line {line} has {len(fields)} field{plural}, the header has {width}",
                "give every line the fields of the header, and quote a field that holds the separator",
            )


def line_of_row(path: Path, separator: str, row: int) -> int:
    """Line number, counted from 1, of a data row, counted from 0 (quoted fields may hold line breaks)."""
    return next(itertools.islice(_records(path, separator), row + 1, None))[0]


def lone_quote_line(path: Path) -> int | None:
    """Number of the first line with an odd number of quotes, if one has it."""
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
        raise DataError(
            f"{path}: line {line}: the record does not end as it should ({reason})",
            'close every quote at the end of its field, write a quote inside a quoted field twice (""), '
            "and end lines with \\n or \\r\\n",
        ) from None


def _lines(path: Path) -> Iterator[str]:
    try:
        with _open(path) as stream:
            for number, line in enumerate(stream, start=1):
                yield _decode(path, number, line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: the gzip data is damaged or cut off ({error})", "copy or download it again") from None


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, gzip.open(path, "rb")) if path.suffix.lower() == ".gz" else path.open("rb")


def _decode(path: Path, number: int, line: bytes) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise DataError(
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
