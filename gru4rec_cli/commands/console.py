"""The terminal: results on stdout, everything else on stderr."""

import json
import logging
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

from gru4rec_cli.base.errors import StudyError
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.commands.progress import BarProgress, LineProgress, compiling_shown, new_bars

if TYPE_CHECKING:
    from gru4rec_cli.reporting.tables import Table

_CONTROLS = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]")
_document_shown = False  # what is on stdout is one document
_PIPE_WIDTH = 200  # without a terminal nothing is cut to fit one


@cache
def _console(*, stderr: bool = False) -> Console:
    """Return one console a stream: lines printed while bars are shown must go through the console that shows them."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if terminal else _PIPE_WIDTH, highlight=False, soft_wrap=not terminal)


def show_table(table: "Table") -> None:
    """Show a table on stdout, the best values in bold with a star, so that they are seen without colour too.

    Where the terminal is too narrow, first the gaps between columns go, then the optional columns.
    """
    console = _console()
    everything, needed = range(len(table.columns)), [c for c in range(len(table.columns)) if c not in table.optional]
    for columns, gap in ((everything, 2), (everything, 0), (needed, 0)):
        rich = _rich_table(table, columns, gap)
        if Measurement.get(console, console.options.update(max_width=10_000), rich).maximum <= console.width:
            break
    console.print(rich)
    for note in table.notes:
        if columns is needed and note in table.optional_notes:
            continue
        console.print(Text(printable(note), style="dim"))


def show_tables(tables: "Sequence[Table]") -> None:
    """Show tables on stdout, an empty line between them."""
    for place, table in enumerate(tables):
        if place:
            _console().print()
        show_table(table)


def _rich_table(table: "Table", columns: Sequence[int], gap: int) -> RichTable:
    rich = RichTable(title=escape(printable(table.title)), title_justify="left", title_style="bold")
    rich.box, rich.show_edge, rich.pad_edge, rich.padding = SIMPLE_HEAD, False, False, (0, gap, 0, 0)
    for column in columns:
        justify: Literal["left", "right"] = "right" if column in table.numeric else "left"
        rich.add_column(escape(table.columns[column]), justify=justify, overflow="fold")
    for row, cells in enumerate(table.rows):
        rich.add_row(*(_cell(cells[column], (row, column) in table.best) for column in columns))
    return rich


def _cell(text: str, best: bool) -> Text:
    shown = printable(text)
    return Text(f"*{shown}", style="bold green") if best else Text(shown)


def printable(text: str) -> str:
    """Return a text in which control characters are escapes: a name in a file must not steer the terminal."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def show_json(document: object) -> None:
    """Show one JSON document on stdout."""
    global _document_shown
    _document_shown = True
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=plain) + "\n")


def show_json_error(error: Mapping[str, object]) -> None:
    """Show an error as the one JSON document on stdout, if `--json` asks for one and none was shown."""
    if "--json" in sys.argv[1:] and not _document_shown:
        show_json({"error": error})


def show_facts(facts: Mapping[str, object], *, json: bool) -> None:
    """Show names and values on stdout, a line each, or as one JSON document."""
    if json:
        show_json(facts)
    else:
        sys.stdout.writelines(f"{name + ':':<13}{printable(str(value))}\n" for name, value in facts.items())


def show_status(text: str) -> None:
    """Show a line about what is going on, on stderr."""
    _console(stderr=True).print(Text(printable(text)))


def show_error(error: StudyError) -> None:
    """Show an error and what to do about it, on stderr; with `--json` also on stdout, see `show_json_error`."""
    show_json_error(error.as_dict())
    console = _console(stderr=True)
    console.print(Text.assemble(("error: ", "bold red"), printable(error.message)))
    if error.hint:
        console.print(Text.assemble(("  try: ", "bold"), printable(error.hint)))


def show_warnings(warnings: Iterable[Mapping[str, str]]) -> None:
    """Show warnings on stderr: message, id, under which docs/warnings.md explains it, and what to do about it."""
    console = _console(stderr=True)
    for warning in warnings:
        console.print(
            Text.assemble(("warning: ", "bold yellow"), printable(warning["message"]), (f" [{warning['id']}]", "dim"))
        )
        if warning["hint"]:
            console.print(Text.assemble(("  try: ", "bold"), printable(warning["hint"])))


@contextmanager
def progress(*, quiet: bool) -> Iterator[Progress]:
    """Give a progress that shows bars on a terminal, plain lines without one, nothing when quiet.

    Messages of the library are shown likewise.
    """
    if quiet:
        yield SILENT
        return
    with _messages():
        if not sys.stderr.isatty():
            lines = LineProgress(show_status)
            with compiling_shown(lines):
                yield lines
            return
        with new_bars(_console(stderr=True)) as bars:
            shown = BarProgress(bars)
            with compiling_shown(shown):
                yield shown


class _StatusHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        show_status(record.getMessage())


@contextmanager
def _messages() -> Iterator[None]:
    """Show what the library logs."""
    logger, handler = logging.getLogger("gru4rec_cli"), _StatusHandler()
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
