"""The terminal: results on stdout, everything else on stderr."""

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from gru4rec_cli.base.errors import StudyError
from gru4rec_cli.base.progress import SILENT, Progress
from gru4rec_cli.commands.progress import BarProgress, LineProgress, compiling_shown, new_bars
from gru4rec_cli.commands.tables import laid_out, printable

if TYPE_CHECKING:
    from gru4rec_cli.reporting.tables import Table

_document_shown = False  # what is on stdout is one document
_PIPE_WIDTH = 100_000  # without a terminal nothing is cut to fit one


@cache
def _console(*, stderr: bool = False) -> Console:
    """Return one console a stream: lines printed while bars are shown must go through the console that shows them."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, width=None if terminal else _PIPE_WIDTH, highlight=False, soft_wrap=not terminal)


def show_table(table: "Table") -> None:
    """Show a table on stdout, the best values in bold with a star, so that they are seen without colour too.

    On a terminal it is laid out in its width, and a line says which columns are left out.
    """
    console = _console()
    layout = laid_out(table, console)
    console.print(Text(printable(table.title), style="bold"))
    console.print(layout.body)
    notes = [note for note in table.notes if not (layout.left_out and note in table.optional_notes)]
    if layout.left_out:
        names = ", ".join(layout.left_out)
        notes.append(f"Not shown in {console.width} columns: {names}. A wider terminal shows them, and so does --json.")
    for note in notes:
        console.print(Text(printable(note), style="dim"))


def show_tables(tables: "Sequence[Table]") -> None:
    """Show tables on stdout, an empty line between them."""
    for place, table in enumerate(tables):
        if place:
            _console().print()
        show_table(table)


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
        for name, value in facts.items():
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            sys.stdout.write(f"{name + ':':<13}{printable(text)}\n")


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
    if not sys.stderr.isatty():
        lines = LineProgress(show_status)
        with _messages(lines), compiling_shown(lines):
            yield lines
        return
    with new_bars(_console(stderr=True)) as bars:
        shown = BarProgress(bars)
        with _messages(shown), compiling_shown(shown):
            yield shown


class _NoteHandler(logging.Handler):
    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        self._progress.note(printable(record.getMessage()))


@contextmanager
def _messages(progress: Progress) -> Iterator[None]:
    """Show what the library logs."""
    logger, handler = logging.getLogger("gru4rec_cli"), _NoteHandler(progress)
    level = logger.level
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
