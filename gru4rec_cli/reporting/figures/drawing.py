"""How figures are drawn: one style, headless, the same bytes for the same data."""

import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib.style
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, NullFormatter, ScalarFormatter

from gru4rec_cli.base.names import ORACLE
from gru4rec_cli.reporting.text.words import Words

DPI = 144
SIZE = (7.5, 4.5)  # inches
# On white and, in the same order, on a dark page: 3 and 4.5 times as bright or dark as the ground, or more. The first
# ones differ with any colour vision, later ones also by marker and line. Black is the oracle's.
COLOURS: tuple[str, ...] = ("#0072B2", "#D55E00", "#009E73", "#BF3FA5", "#7A4B00", "#5B2C9F", "#B00020", "#2E90CF")
COLOURS += ("#334400", "#8A6FE8", "#005566", "#CF6A7A", "#6B7A00", "#1F2FBF", "#777777", "#F0479B")
COLOURS_ON_DARK: tuple[str, ...] = (
    "#5BB5F0",
    "#FF8A3C",
    "#2FCB9B",
    "#F07BD8",
    "#D6B25E",
    "#C08BFF",
    "#FF6B78",
    "#9CD8FF",
)
COLOURS_ON_DARK += ("#B9D24A", "#E2D9FF", "#4FD0DF", "#FFC0C4", "#EDED7A", "#6F8CFF", "#B5B5B5", "#FF9CCB")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*", "8", "d", "H", "x")
LINES = ("-", "--", ":", "-.")
# Text stays text: a reader can search and copy it, and any viewer has a sans-serif font.
_STYLE = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#666666",
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titley": 1.0,  # above the axes; if it is not given, matplotlib measures all ticks to find the place
    "figure.constrained_layout.use": True,
    "font.size": 9.5,
    "grid.color": "#DDDDDD",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "lines.markersize": 4.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "gru4rec-study",
    "text.parse_math": False,  # a model's name may hold a dollar sign
}


@dataclass(frozen=True)
class Figure:
    """A written figure: `<stem>.png` and `<stem>.svg`, and the words that go with it."""

    name: str
    stem: str
    caption: str
    alt: str


class _Ticks(ScalarFormatter):
    """Numbers at an axis with another decimal mark than a point."""

    def __init__(self, mark: str) -> None:
        super().__init__(useMathText=False)
        self.mark = mark

    def __call__(self, x: float, pos: int | None = None) -> str:
        return super().__call__(x, pos).replace(".", self.mark)


@contextmanager
def drawing() -> Iterator[None]:
    """Apply our style to matplotlib's defaults, not the user's, in the context; characters without a glyph pass
    silently."""
    with matplotlib.style.context(_STYLE, after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def new_canvas(width: float = SIZE[0], height: float = SIZE[1]) -> Canvas:
    """Return an empty figure of this size in inches."""
    return Canvas(figsize=(width, height), dpi=DPI)


def write_figure(folder: Path, canvas: Canvas, figure: Figure, words: Words) -> Figure:
    """Write a figure as PNG and SVG, its numbers as the language writes them, and return it."""
    if words.decimal_mark != ".":
        for axis in (axis for axes in canvas.axes for axis in (axes.xaxis, axes.yaxis)):
            if isinstance(axis.get_major_formatter(), ScalarFormatter):
                axis.set_major_formatter(_Ticks(words.decimal_mark))
    # Each of these draws once; `savefig` would draw twice, to find a layout before.
    agg: Any = FigureCanvasAgg(canvas)
    agg.print_png(folder / f"{figure.stem}.png")
    canvas.set_layout_engine("none")  # what it found holds for both files
    svg: Any = FigureCanvasSVG(canvas)
    svg.print_svg(folder / f"{figure.stem}.svg", metadata={"Date": None, "Title": figure.name})
    return figure


def looks(models: Collection[str]) -> dict[str, dict[str, Any]]:
    """Return colour, marker and line of every model: the first 16 have a colour and a marker that no other has, and
    no two of the first 256 have both in common."""
    found: dict[str, dict[str, Any]] = {}
    for index, model in enumerate(name for name in models if name != ORACLE):
        round_, place = divmod(index, len(COLOURS))
        found[model] = {
            "color": COLOURS[place],
            "marker": MARKERS[(place + round_) % len(MARKERS)],
            "linestyle": LINES[index // 8 % len(LINES)],
        }
    if ORACLE in models:
        found[ORACLE] = {"color": "black", "marker": "_", "linestyle": (0, (6, 2))}
    return found


def short(name: str, longest: int = 26) -> str:
    """Return the name, or its beginning and end."""
    return name if len(name) <= longest else f"{name[: longest - 9]}…{name[-8:]}"


def count_scale(set_scale: Callable[[str], None], axis: Axis, words: Words) -> None:
    """Set a logarithmic scale whose ticks are plain numbers."""
    set_scale("log")
    axis.set_major_formatter(FuncFormatter(lambda count, _: words.rounded(count)))
    axis.set_minor_formatter(NullFormatter())


def counted(number: int, noun: str, words: Words) -> str:
    """Return a number with its noun: `1 session`, `2 sessions`."""
    return f"{words.count(number)} {words(noun if number == 1 else f'{noun}s')}"
