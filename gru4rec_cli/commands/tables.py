"""A table in the width of a terminal: as it is, without what it can spare, with its text wrapped, or stacked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table as RichTable
from rich.text import Text

if TYPE_CHECKING:
    from gru4rec_cli.reporting.tables import Table

_CONTROLS = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f]")
_UNLIMITED = 10_000  # characters


@dataclass(frozen=True)
class Layout:
    """The form in which a table is printed, and the columns that it leaves out."""

    body: RenderableType
    left_out: tuple[str, ...] = ()


def printable(text: str) -> str:
    """Return a text in which control characters are escapes: a name in a file must not steer the terminal."""
    return _CONTROLS.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def laid_out(table: "Table", console: Console) -> Layout:
    """Return a table that the console is wide enough for.

    Where it is too wide, the gaps between its columns go first, then its optional columns. If that is not enough, texts
    are wrapped between words, those of numeric columns last. If even words would have to be cut, each row becomes
    a block with a line for each column.
    """
    cells = [[_cell(table, row, column) for column in range(len(table.columns))] for row in range(len(table.rows))]
    everything = range(len(table.columns))
    needed = [column for column in everything if column not in table.optional]
    for columns, gap in ((everything, 2), (everything, 0), (needed, 0)):
        grid = _grid(table, cells, columns, gap)
        if _size(console, grid).maximum <= console.width:
            return Layout(grid, _names(table, columns))
    texts = [column for column in needed if column not in table.numeric]
    for shrinking in (texts, needed):
        widths = _wrapped(table, cells, console, needed, shrinking)
        if widths is not None:
            return Layout(_grid(table, cells, needed, 0, widths), _names(table, needed))
    return Layout(_stacked(table, cells))


def _names(table: "Table", shown: Sequence[int]) -> tuple[str, ...]:
    """Return the names of the columns that are not shown."""
    return tuple(name for column, name in enumerate(table.columns) if column not in shown)


def _grid(
    table: "Table", cells: list[list[Text]], columns: Sequence[int], gap: int, widths: Sequence[int] | None = None
) -> RichTable:
    grid = RichTable(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    for place, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if column in table.numeric else "left"
        width = widths[place] if widths else None
        grid.add_column(Text(table.columns[column]), justify=justify, overflow="fold", width=width)
    for row in cells:
        grid.add_row(*(row[column] for column in columns))
    return grid


def _wrapped(
    table: "Table", cells: list[list[Text]], console: Console, columns: Sequence[int], shrinking: Sequence[int]
) -> list[int] | None:
    """Return a width for each column within which no word is cut; None where the console is too narrow for that.

    What the words leave goes, character by character, to the column whose longest text needs the most lines.
    """
    sizes = [
        [_size(console, text) for text in (Text(table.columns[column]), *(row[column] for row in cells))]
        for column in columns
    ]
    longest = [max(size.maximum for size in column) for column in sizes]
    widths = [
        max(size.minimum for size in column) if place in shrinking else most
        for place, column, most in zip(columns, sizes, longest, strict=True)
    ]
    spare = console.width - (len(columns) - 1) - sum(widths)  # a blank between columns
    if spare < 0:
        return None
    for _ in range(spare):
        lines = [most / max(width, 1) if width < most else 0.0 for width, most in zip(widths, longest, strict=True)]
        if not any(lines):
            break
        widths[lines.index(max(lines))] += 1
    return widths


def _stacked(table: "Table", cells: list[list[Text]]) -> RichTable:
    """Return the rows one below the other: a line for each column, an empty one between rows."""
    grid = RichTable.grid(padding=(0, 2, 0, 0))
    grid.add_column(style="dim", overflow="fold")
    grid.add_column(overflow="fold")
    for place, row in enumerate(cells):
        if place:
            grid.add_row("", "")
        for name, text in zip(table.columns, row, strict=True):
            grid.add_row(Text(name), text)
    return grid


def _cell(table: "Table", row: int, column: int) -> Text:
    shown = printable(table.rows[row][column])
    return Text(f"*{shown}", style="bold green") if (row, column) in table.best else Text(shown)


def _size(console: Console, shown: RenderableType) -> Measurement:
    return Measurement.get(console, console.options.update(max_width=_UNLIMITED), shown)
