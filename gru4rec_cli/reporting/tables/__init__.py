"""A table without any markup: the terminal, the markdown page and the HTML page all show it."""

from dataclasses import dataclass
from typing import Self


class Cell(str):
    """A cell is its text. It may know the number behind it, by which a page sorts, and the artifact that holds it."""

    value: float | None
    source: str
    tone: str  # for pages that colour: `up`, `down`, `even`

    def __new__(cls, text: str, *, value: float | None = None, source: str = "", tone: str = "") -> Self:
        cell = super().__new__(cls, text)
        cell.value, cell.source, cell.tone = value, source, tone
        return cell


@dataclass(frozen=True)
class Table:
    """A table of text. Cells are (row, column); `best` are the cells to mark, `numeric` the columns to align right,
    `optional` those that a narrow terminal may leave out, with `optional_notes`, which are among the notes; `source` is
    the artifact that the table as a whole shows."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    best: frozenset[tuple[int, int]] = frozenset()
    numeric: frozenset[int] = frozenset()
    optional: frozenset[int] = frozenset()
    notes: tuple[str, ...] = ()
    optional_notes: frozenset[str] = frozenset()
    source: str = ""
