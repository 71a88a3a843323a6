"""The layout of a data set's files. Every file in `formats/` describes one and gives it its name."""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from pkgutil import iter_modules
from typing import Literal, cast

from gru4rec_cli.base.errors import DataError
from gru4rec_cli.data.times import TimeUnit

GENERIC = "generic"  # the format whose columns the configuration names
GUIDE = "docs/data.md"

_FORMATS = Path(__file__).resolve().parent / "formats"


@dataclass(frozen=True)
class Layout:
    """Files, columns, unit of time, event types and sessions of a data set."""

    session: str | None  # column of session ids; None: there are only users
    item: str
    time: str | None  # None: the row number is the time, in seconds
    unit: TimeUnit
    separator: str | None = ","  # of text files; None: by the name of the file
    quote: str | None = '"'  # of text files; None: a quote is a character like any other
    files: tuple[tuple[str, ...], ...] = ()  # patterns in the folder; of each group one pattern must have a file
    header: tuple[str, ...] = ()  # column names of files that begin with data
    user: str | None = None
    kind: str | None = None  # column of event types
    part: str | None = None  # column that says which rows are train, valid and test
    keep: tuple[str, ...] = ()  # event types that are used by default; empty: all
    day: str | None = None  # column of dates: `time` counts from the first of these in the session
    by: Literal["session", "user"] = "session"
    gap_minutes: float | None = None  # inactivity that ends a session by default
    nested: bool = False  # JSON lines, one session a line, its events in a list
    flat: bool = False  # JSON lines, one event a line; those without an item are not used
    blank_item: bool = False  # an event without an item is one on one more item, whose id is empty
    pickled: bool = False  # pickles of sessions, which are numbered by their order


def formats() -> list[str]:
    """Return the names of all formats, in alphabetical order."""
    return sorted([GENERIC, *(module.name for module in iter_modules([str(_FORMATS)]))])


def layout_of(name: str) -> Layout:
    """Return the layout of a format other than GENERIC."""
    return cast(Layout, importlib.import_module(f"gru4rec_cli.data.formats.{name}").LAYOUT)


def files_of(name: str, source: Path, chosen: Sequence[str] | None = None) -> list[Path]:
    """Return the files of a format in a folder, in order of their names; for a file, the file itself.

    `chosen` names the files to take instead, without .gz, in the order in which they are read.

    Raises:
        DataError: an expected file is missing, or one is there twice (with and without .gz).
    """
    if not source.is_dir():
        return [source]
    found: dict[str, Path] = {}
    groups = layout_of(name).files if chosen is None else [(file, f"{file}.gz") for file in chosen]
    for patterns in groups:
        matches = sorted({path for pattern in patterns for path in source.glob(pattern) if path.is_file()})
        if not matches:
            raise DataError(
                f"{source}: there is no {' or '.join(patterns)} in this folder, which format: {name} expects",
                f"{GUIDE} lists what to download and the names of the files; a single file can also be given",
            )
        for path in matches:
            plain = path.relative_to(source).as_posix().removesuffix(".gz")
            if plain in found:
                raise DataError(f"{source}: holds both {plain} and {plain}.gz", "remove one of them")
            found[plain] = path
    return [found[plain] for plain in (sorted(found) if chosen is None else found)]
