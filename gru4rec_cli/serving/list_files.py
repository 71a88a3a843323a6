"""Files of recommendations, written part by part: TSV, CSV or Parquet, whole or not at all."""

import gzip
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import polars as pl
from polars.exceptions import PolarsError

from gru4rec_cli.base.errors import UsageError
from gru4rec_cli.base.files import require_place

_SEPARATORS = {".tsv": "\t", ".csv": ","}
_PARQUET = ".parquet"
_ROWS_AT_ONCE = 1 << 19  # that are kept until they are written
_LEVEL = 6  # of gzip


def require_output(path: Path, option: str, inputs: dict[str, Path | None]) -> None:
    """Check, before any work, that a table can be written where an option says, and is none of the inputs by option.

    Raises:
        UsageError: its name has no known ending, its folder is not there, or it is an input.
    """
    if _ending(path) not in (*_SEPARATORS, _PARQUET) or (_is_packed(path) and _ending(path) == _PARQUET):
        raise UsageError(
            f"{option}: the name of {path} does not say its format",
            "let it end in .tsv, .csv, .tsv.gz, .csv.gz or .parquet",
        )
    require_place(path, option, folder=False)
    for name, other in inputs.items():
        if other is not None and path.exists() and other.exists() and path.samefile(other):
            raise UsageError(f"{option}: {path} is the file of {name}, which would be lost", "give another name")


class TableFile:
    """A table that is being written; see `written`."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file = path, file
        self._packed = gzip.GzipFile("", "wb", _LEVEL, file, mtime=0) if _is_packed(path) else None
        self._parquet: Any = None
        self._waiting: list[pl.DataFrame] = []
        self._has_header = False

    def add(self, rows: pl.DataFrame) -> None:
        """Add rows; those of all calls have the same columns and types."""
        self._waiting.append(rows)
        if sum(part.height for part in self._waiting) >= _ROWS_AT_ONCE:
            self._write()

    def close(self) -> None:
        """Write what is left, and make sure that it is on the disk."""
        if self._waiting:
            self._write()
        with _told(self._path):
            if self._parquet is not None:
                self._parquet.close()
            if self._packed is not None:
                self._packed.close()
            self._file.flush()
            os.fsync(self._file.fileno())

    def abandon(self) -> None:
        """Let go of what is not closed, without an error; what is written is of no use then."""
        with suppress(OSError, ValueError):
            if self._packed is not None:
                self._packed.close()
        if self._parquet is not None and self._parquet.is_open:
            with suppress(OSError, ValueError):
                self._parquet.close()
            self._parquet.is_open = False  # or it would be closed again when it is deleted

    def _write(self) -> None:
        rows = pl.concat(self._waiting, rechunk=True)
        self._waiting.clear()
        with _told(self._path):
            if _ending(self._path) == _PARQUET:
                self._write_parquet(rows)
            else:
                text = rows.write_csv(separator=_SEPARATORS[_ending(self._path)], include_header=not self._has_header)
                (self._packed or self._file).write(text.encode())
                self._has_header = True

    def _write_parquet(self, rows: pl.DataFrame) -> None:
        import pyarrow.parquet

        table = rows.to_arrow(compat_level=pl.CompatLevel.oldest())
        if self._parquet is None:
            self._parquet = pyarrow.parquet.ParquetWriter(self._file, table.schema, compression="zstd")
        self._parquet.write_table(table)


@contextmanager
def written(path: Path) -> Iterator[TableFile]:
    """Give a table to add rows to, which has its name from the end on; after an error nothing is left of it.

    Raises:
        UsageError: it cannot be written, such as on a full disk.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    with _told(path):
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    file = open(descriptor, "wb")  # noqa: PTH123, SIM115 - Path has no way to refuse a link
    table = TableFile(path, file)
    try:
        yield table
        table.close()
        with _told(path):
            temporary.replace(path)
    finally:
        table.abandon()
        with suppress(OSError):
            file.close()
        temporary.unlink(missing_ok=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what goes wrong in writing into a `UsageError`."""
    try:
        yield
    except (OSError, PolarsError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error).partition("\n")[0]
        message = f"{path} cannot be written: {reason}"
        raise UsageError(message, "free some space, or write elsewhere; nothing of it was kept") from error


def _ending(path: Path) -> str:
    """Return the ending that says the format."""
    return (Path(path.stem).suffix if _is_packed(path) else path.suffix).lower()


def _is_packed(path: Path) -> bool:
    return path.suffix.lower() == ".gz"
