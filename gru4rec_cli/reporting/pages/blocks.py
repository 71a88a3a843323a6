"""The parts of a page, without any markup: a markdown page and an HTML page are both made of them."""

from collections.abc import Sequence
from dataclasses import dataclass

from gru4rec_cli.reporting.figures.drawing import Figure
from gru4rec_cli.reporting.figures.panels import Panel
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reporting.text.words import Sentence


@dataclass(frozen=True)
class Sentences:
    """Things said one after the other."""

    said: tuple[Sentence, ...]


@dataclass(frozen=True)
class Notice:
    """Things that a reader must not miss, below a title of their own."""

    title: str
    said: tuple[Sentence, ...]


@dataclass(frozen=True)
class Heading:
    """Begins a part of a section."""

    text: str


@dataclass(frozen=True)
class Gap:
    """Something that the artifacts do not hold, by name."""

    what: Sentence


@dataclass(frozen=True)
class Folded:
    """A table that is too long to stand open where it can be folded."""

    table: Table


@dataclass(frozen=True)
class Panels:
    """Panels side by side; `figure` shows the same where there can only be a picture."""

    panels: tuple[Panel, ...]
    caption: str
    figure: Figure | None = None


@dataclass(frozen=True)
class Picture:
    """A drawn figure, or the stem of one that is not there."""

    stem: str
    figure: Figure | None


@dataclass(frozen=True)
class Link:
    """Leads to a page in the same language and form; `stem` is its path without what these add, `section` the address
    of a part of it."""

    text: str
    stem: str
    section: str = ""


Block = Sentences | Notice | Heading | Gap | Table | Folded | Panels | Picture | Link


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading of its own; `key` is its address on the page."""

    key: str
    title: str
    blocks: Sequence[Block]
