"""The parts of a page, without any markup: what a markdown page and an HTML page both are made of."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from gru4rec_cli.reporting.drawing import Figure
from gru4rec_cli.reporting.tables import Table
from gru4rec_cli.reporting.words import Sentence

_MARGIN = 0.04  # of the scale, on either side of what is shown
_TICKS = 5


@dataclass(frozen=True)
class Sentences:
    """Things said one after the other."""

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
class Whisker:
    """A dot with an interval: an estimate as a figure shows it. `single` are values of single seeds."""

    label: str
    value: float
    low: float
    high: float
    text: str
    source: str
    single: tuple[float, ...] = ()
    bound: bool = False
    even: bool = False


@dataclass(frozen=True)
class Panel:
    """Dots and intervals on one scale."""

    title: str
    rows: tuple[Whisker, ...]
    signed: bool = False  # differences: the scale holds zero, and shows it

    def scale(self) -> tuple[float, float]:
        """Where the scale begins and ends."""
        values = [v for row in self.rows for v in (row.value, row.low, row.high, *row.single) if not math.isnan(v)]
        low, high = min([*values, *([0.0] if self.signed else [])]), max([*values, *([0.0] if self.signed else [])])
        margin = (high - low or abs(high) or 1.0) * _MARGIN
        return low - margin, high + margin

    def ticks(self) -> list[float]:
        """Round values within the scale."""
        low, high = self.scale()
        return [float(t) for t in MaxNLocator(_TICKS, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= t <= high]

    def place(self, value: float) -> float:
        """Where a value stands between the ends of the scale, in percent."""
        low, high = self.scale()
        return float(np.clip((value - low) / (high - low) * 100, 0, 100))


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


Block = Sentences | Heading | Gap | Table | Folded | Panels | Picture


@dataclass(frozen=True)
class Section:
    """A part of a page with a heading of its own; `key` is its address on the page."""

    key: str
    title: str
    blocks: Sequence[Block]
