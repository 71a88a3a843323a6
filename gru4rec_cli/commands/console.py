"""The terminal: results on stdout, everything else on stderr."""

import json
import logging
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.measure import Measurement
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress
from rich.table import Table as RichTable
from rich.text import Text

from gru4rec_cli.base.errors import StudyError
from gru4rec_cli.base.progress import SILENT, Progress, Task

if TYPE_CHECKING:
    from gru4rec_cli.reporting.tables import Table

_CONTROLS = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]")
_PIPE_WIDTH = 200  # without a terminal nothing is cut to fit one
_REFRESH = 0.1  # seconds between updates of a bar
_PLAIN_EVERY = 10.0  # seconds between lines without a terminal
_SHORT = 2.0  # seconds; shorter work leaves no line behind


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
    plain = not (sys.stdout.encoding or "").lower().startswith("utf")
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=plain) + "\n")


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
    """Show an error and what to do about it, on stderr."""
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
        if sys.stderr.isatty():
            with _bars() as bars:
                yield _BarProgress(bars)
        else:
            yield _PlainProgress()


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


def _bars() -> RichProgress:
    return RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[status]}", markup=False),
        TimeRemainingColumn(elapsed_when_finished=True),
        console=_console(stderr=True),
        transient=True,
    )


class _Counter:
    """Counts a task's units, and shows them every `interval` seconds at most."""

    def __init__(self, unit: str) -> None:
        self.unit = unit
        self.done = 0.0
        self.started = self.shown = time.monotonic()
        self.status: dict[str, object] = {}

    def advance(self, amount: float = 1, **status: object) -> None:
        self.done += amount
        self.status = status
        now = time.monotonic()
        if now - self.shown >= self.interval:
            self.shown = now
            self.show()

    interval = _REFRESH

    def show(self) -> None:
        raise NotImplementedError

    def line(self) -> str:
        """Return rate and status, such as `3,104 events/s, loss 5.12`."""
        rate = self.done / max(time.monotonic() - self.started, 1e-9)
        parts = [f"{rate:,.0f} {self.unit}/s"] if self.unit and rate >= 1 else []
        return ", ".join([*parts, *(f"{key} {value}" for key, value in self.status.items())])


class _Bar(_Counter):
    def __init__(self, bars: RichProgress, identity: TaskID, total: float | None, unit: str) -> None:
        super().__init__(unit)
        self.bars, self.identity, self.total = bars, identity, total

    def show(self) -> None:
        counts = f"{self.done:,.0f}/{self.total:,.0f} " if self.total else ""
        self.bars.update(self.identity, completed=self.done, status=counts + self.line())


class _BarProgress:
    def __init__(self, bars: RichProgress) -> None:
        self.bars = bars

    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        identity = self.bars.add_task(description, total=total, status="")
        try:
            yield _Bar(self.bars, identity, total, unit)
        finally:
            self.bars.remove_task(identity)


class _PlainLine(_Counter):
    interval = _PLAIN_EVERY

    def __init__(self, description: str, total: float | None, unit: str) -> None:
        super().__init__(unit)
        self.description, self.total = description, total

    def show(self) -> None:
        share = f"{100 * self.done / self.total:.0f} %, " if self.total else ""
        elapsed = time.monotonic() - self.started
        left = f", {elapsed * (self.total / self.done - 1):.0f} s left" if self.total and self.done else ""
        show_status(f"{self.description}: {share}{self.line()}{left}")


class _PlainProgress:
    @contextmanager
    def task(self, description: str, total: float | None = None, unit: str = "") -> Iterator[Task]:
        line = _PlainLine(description, total, unit)
        yield line
        elapsed = time.monotonic() - line.started
        if elapsed >= _SHORT:
            rate = line.line()
            show_status(f"{description}: done in {elapsed:.1f} s" + (f" ({rate})" if rate else ""))
