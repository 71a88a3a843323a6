"""The figures of a study as PNG and SVG: headless, and the same bytes for the same data."""

import math
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib.style
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from gru4rec_cli.columns import ORACLE
from gru4rec_cli.reporting.tables import decimal

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

DPI = 144
SIZE = (7.5, 4.5)  # inches
MOST_BANDS = 6  # with more models than this, intervals would cover each other
MOST_POINTS = 400  # of a rank-support line: a catalogue may hold a million items
LONG_SESSION = 60  # clicks; beyond it, lengths need a logarithmic axis

# Okabe & Ito's colours, told apart with any colour vision; yellow is too faint on white, black is the oracle's.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
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


@dataclass(frozen=True)
class ByCutoff:
    """A model's Recall@K and MRR@K for K = 1 … n, each (n,); intervals are their ends, (2, n)."""

    recall: FloatArray
    mrr: FloatArray
    recall_interval: FloatArray | None = None
    mrr_interval: FloatArray | None = None


def write_figures(
    folder: Path,
    *,
    curves: Mapping[str, ByCutoff],
    training: Mapping[str, Sequence[Mapping[str, float]]],
    lengths: Mapping[str, IntArray],
    supports: IntArray,
    oracle_name: str = ORACLE,
) -> list[Figure]:
    """Draw what there is data for into `folder`; in the order in which a report shows them.

    `training` holds the epochs of every model that has a curve; `lengths` counts, for every part (train, test),
    the sessions of 0, 1, 2, … clicks; `supports` (V,) is the number of training events of every item.
    """
    figures = []
    with _drawing():
        if curves:
            figures.append(_by_cutoff(folder, "recall", "Recall", curves, oracle_name))
            figures.append(_by_cutoff(folder, "mrr", "MRR", curves, oracle_name))
        training = {model: rows for model, rows in training.items() if rows}
        if training:
            figures.append(_training(folder, training))
        if any(counts.any() for counts in lengths.values()):
            figures.append(_lengths(folder, lengths))
        if (supports > 0).any():
            figures.append(_popularity(folder, supports))
    return figures


@contextmanager
def _drawing() -> Iterator[None]:
    """Our style on matplotlib's defaults, not the user's; characters without a glyph pass silently."""
    with matplotlib.style.context(_STYLE, after_reset=True), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def _canvas(width: float = SIZE[0], height: float = SIZE[1]) -> Canvas:
    canvas = Canvas(figsize=(width, height), dpi=DPI)
    FigureCanvasAgg(canvas)
    return canvas


def _write(folder: Path, canvas: Canvas, figure: Figure) -> Figure:
    canvas.savefig(folder / f"{figure.stem}.png", dpi=DPI)
    canvas.savefig(folder / f"{figure.stem}.svg", metadata={"Date": None, "Title": figure.name})
    return figure


def _looks(models: Iterable[str], oracle_name: str | None = None) -> dict[str, dict[str, Any]]:
    """Colour, marker and line of every model: no two share a marker among the first 12, nor colour and line."""
    looks: dict[str, dict[str, Any]] = {}
    for index, model in enumerate(name for name in models if name != oracle_name):
        line = LINES[index // len(COLOURS) % len(LINES)]
        looks[model] = {
            "color": COLOURS[index % len(COLOURS)],
            "marker": MARKERS[index % len(MARKERS)],
            "linestyle": line,
        }
    if oracle_name is not None:
        looks[oracle_name] = {"color": "black", "marker": "_", "linestyle": (0, (6, 2))}
    return looks


def _short(name: str, longest: int = 26) -> str:
    """The name, or its beginning and end."""
    return name if len(name) <= longest else f"{name[: longest - 9]}…{name[-8:]}"


def _by_cutoff(folder: Path, metric: str, label: str, curves: Mapping[str, ByCutoff], oracle_name: str) -> Figure:
    """One line a model over K, legend beside the axes in the order of the lines' right ends."""
    values = {model: np.asarray(getattr(curve, metric), dtype=float) for model, curve in curves.items()}
    intervals = {model: getattr(curve, f"{metric}_interval") for model, curve in curves.items()}
    banded = len(curves) <= MOST_BANDS and any(ends is not None for ends in intervals.values())
    looks = _looks(curves, oracle_name)
    canvas = _canvas()
    axes = canvas.subplots()
    largest = max(len(line) for line in values.values())
    ticks = _cutoff_ticks(largest)
    for model in sorted(values, key=lambda name: -values[name][-1]):
        cutoffs = np.arange(1, len(values[model]) + 1)
        shown = f"{_short(model)} (bound)" if model == oracle_name else _short(model)
        axes.plot(
            cutoffs, values[model], label=shown, markevery=[k - 1 for k in ticks if k <= len(cutoffs)], **looks[model]
        )
        if banded and intervals[model] is not None:
            axes.fill_between(cutoffs, *intervals[model], color=looks[model]["color"], alpha=0.15, linewidth=0)
    axes.set(
        title=f"{label}@K by length of the recommendation list", xlabel="K (items in the list)", ylabel=f"{label}@K"
    )
    axes.set_xlim(1 - 0.02 * largest, largest * 1.02)
    axes.set_ylim(bottom=0)
    axes.set_xticks(ticks)
    canvas.legend(*axes.get_legend_handles_labels(), loc="outside right upper")
    models = [model for model in values if model != oracle_name] or list(values)
    best = max(models, key=lambda name: values[name][-1])
    band = " Bands are intervals from the session bootstrap." if banded else ""
    figure = Figure(
        f"{label}@K",
        f"{metric}_by_k",
        f"{label}@K of every model for K = 1 … {largest}, full ranking; legend in the order at K = {largest}.{band}",
        f"Line chart of {label}@K for K from 1 to {largest}, {_count(len(values), 'line')}; "
        f"at K = {largest} the best model is {best} with {decimal(values[best][-1])}.",
    )
    return _write(folder, canvas, figure)


def _cutoff_ticks(largest: int) -> list[int]:
    """1 and the multiples of a round step, about five to ten of them, up to `largest`."""
    step = next(step for step in (1, 5, 10, 25, 50, 100, largest) if step * 10 >= largest)
    return sorted({1, *range(step, largest + 1, step)})


def _training(folder: Path, training: Mapping[str, Sequence[Mapping[str, float]]]) -> Figure:
    """A panel for every model's loss, each on its own scale, then one for every validation metric."""
    looks = _looks(training)
    keys = sorted({key for rows in training.values() for row in rows for key in row if key.startswith("valid_")})
    with_loss = [model for model, rows in training.items() if any("loss" in row for row in rows)]
    panels = [(_short(model), "loss", "Loss", [model]) for model in with_loss]
    for key in keys:
        having = [model for model, rows in training.items() if any(key in row for row in rows)]
        panels.append((f"Validation: {key.removeprefix('valid_')}", key, key.removeprefix("valid_"), having))
    columns = 1 if len(panels) == 1 else 2 if len(panels) in (2, 4) else 3
    lines = math.ceil(len(panels) / columns)
    canvas = _canvas(SIZE[0] if columns < 3 else 9.0, SIZE[1] if lines == 1 and columns == 1 else 0.7 + 2.5 * lines)
    grid = canvas.subplots(lines, columns, squeeze=False)
    for axes, (title, key, label, models) in zip(grid.flat, panels, strict=False):
        _training_panel(axes, key, {model: training[model] for model in models}, looks)
        axes.set(title=title, xlabel="Epoch", ylabel=label)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    if any(key != "loss" and len(models) > 1 for _, key, _, models in panels):
        handles = {handle.get_label(): handle for axes in canvas.axes for handle in axes.get_lines()}
        canvas.legend(handles.values(), [str(name) for name in handles], loc="outside lower center", ncols=3)
    canvas.suptitle("Training, epoch by epoch", x=0.01, ha="left", fontsize=11)
    epochs = {model: len(rows) for model, rows in training.items()}
    several = " Scales differ: losses of different kinds cannot be compared." if len(with_loss) > 1 else ""
    figure = Figure(
        "Training",
        "training_curve",
        f"Mean training loss of each epoch.{several}"
        + (f" Validation metrics: {', '.join(k.removeprefix('valid_') for k in keys)}." if keys else ""),
        "Line charts over the epochs of training: "
        + ", ".join(f"{m} ({_count(n, 'epoch')})" for m, n in epochs.items())
        + ".",
    )
    return _write(folder, canvas, figure)


def _training_panel(
    axes: Axes, key: str, training: Mapping[str, Sequence[Mapping[str, float]]], looks: Mapping[str, dict[str, Any]]
) -> None:
    for model, rows in training.items():
        points = [(row.get("epoch", index), row[key]) for index, row in enumerate(rows, start=1) if key in row]
        axes.plot(*zip(*points, strict=True), label=_short(model), **looks[model])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=6))


def _lengths(folder: Path, lengths: Mapping[str, IntArray]) -> Figure:
    """Share of the sessions with at least so many clicks, a line a part: smooth where single lengths are rare."""
    canvas = _canvas()
    axes = canvas.subplots()
    parts = {part: counts for part, counts in lengths.items() if counts.any()}
    looks = _looks(parts)
    for line, (part, counts) in zip(cycle(LINES), parts.items(), strict=False):
        present = np.flatnonzero(counts)
        shares = np.cumsum(counts[::-1])[::-1][present] / counts.sum()
        label = f"{part} ({_count(int(counts.sum()), 'session')})"
        axes.plot(
            present, shares, label=label, markevery=max(1, len(present) // 15), **{**looks[part], "linestyle": line}
        )
    longest = max(int(np.flatnonzero(counts)[-1]) for counts in parts.values())
    axes.set(title="Length of sessions", xlabel="Clicks", ylabel="Sessions with at least so many clicks (log scale)")
    axes.set_yscale("log")
    axes.set_ylim(top=2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share * 100:g} %"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if longest > LONG_SESSION:
        axes.set_xlabel("Clicks (log scale)")
        _count_scale(axes.set_xscale, axes.xaxis)
    axes.legend(loc="upper right")  # the lines fall, so this corner is free
    means = ", ".join(f"{part} {(np.arange(len(c)) * c).sum() / c.sum():.2f}" for part, c in parts.items())
    figure = Figure(
        "Session lengths",
        "session_lengths",
        f"Share of the sessions that have at least so many clicks, after cleaning and split. Mean clicks: {means}.",
        f"Falling lines, shares on a log scale, of sessions with at least so many clicks, up to {longest}; "
        f"mean clicks: {means}.",
    )
    return _write(folder, canvas, figure)


def _popularity(folder: Path, supports: IntArray) -> Figure:
    """Support by popularity rank, both on a log scale."""
    ordered = np.sort(supports[supports > 0])[::-1]
    picked = np.unique(np.geomspace(1, len(ordered), MOST_POINTS).round().astype(np.int64))
    canvas = _canvas()
    axes = canvas.subplots()
    marker = "o" if len(picked) < 50 else ""
    axes.plot(picked, ordered[picked - 1], color=COLOURS[0], marker=marker, drawstyle="steps-mid")
    axes.set(
        title="Popularity of items", xlabel="Item, by popularity rank (log scale)", ylabel="Training events (log scale)"
    )
    _count_scale(axes.set_xscale, axes.xaxis)
    _count_scale(axes.set_yscale, axes.yaxis)
    head = max(1, round(len(ordered) / 10))
    share = f"{ordered[:head].sum() / ordered.sum() * 100:.1f} %"
    about = f"the {head:,} most clicked of {len(ordered):,} items hold {share} of the training events"
    figure = Figure(
        "Item popularity",
        "item_popularity",
        f"Training events of every item, by popularity rank: {about}.",
        f"Line chart, both axes on a log scale, of training events against popularity rank, "
        f"falling from {ordered[0]:,} to {ordered[-1]:,}; {about}.",
    )
    return _write(folder, canvas, figure)


def _count_scale(set_scale: Callable[[str], None], axis: Axis) -> None:
    """A logarithmic scale whose ticks are plain numbers."""
    set_scale("log")
    axis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")
