"""Accuracy against the time that fitting took: a point for every model, with its name beside it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator

from gru4rec_cli.base.names import ORACLE
from gru4rec_cli.reporting.figures.drawing import DPI, Figure, drawing, looks, new_canvas, short, write_figure
from gru4rec_cli.reporting.findings.run import Findings, is_near
from gru4rec_cli.reporting.text.phrases import model_label
from gru4rec_cli.reporting.text.words import Words

STEM = "accuracy_by_time"
SHORTEST = 0.1  # seconds; a shorter time is not known well enough to be drawn
_TICKS = tuple(unit * size for unit, size in product((1, 60, 3600), (1, 2, 5, 10, 20, 30)))  # seconds
_ALL_TICKS = (0.1, 0.2, 0.5, *_TICKS, *(3600 * hours for hours in (50, 100, 200, 500, 1000)))
_COARSE_TICKS = (0.1, 1.0, 10.0, 60.0, 600.0, 3600.0, 36_000.0, 360_000.0, 3_600_000.0)
_MOST_TICKS = 8
_MARKER = 5.5  # points
_DOT = _MARKER * DPI / 72 / 2  # pixels: half of a marker
_STEP = 4.0  # pixels from one distance of a label from its point to the next
_NEAR = 13.0  # pixels from a point to its label
_FAR = 30.0  # pixels; a label farther than that from its point has a line to it
_DIRECTIONS = (0, 180, 90, 270, 30, 330, 150, 210, 60, 300, 120, 240)  # degrees, the preferred first


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    bottom: float
    right: float
    top: float

    @property
    def size(self) -> tuple[float, float]:
        """Return width and height."""
        return self.right - self.left, self.top - self.bottom

    def overlaps(self, other: "Box") -> bool:
        """Return whether the two have an area in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.bottom < other.top and other.bottom < self.top

    def inside(self, other: "Box") -> bool:
        """Return whether it is within the other one."""
        across = other.left <= self.left and self.right <= other.right
        return across and other.bottom <= self.bottom and self.top <= other.top


class Point(NamedTuple):
    """A model in the figure: fit time in seconds, accuracy and the ends of its interval."""

    model: str
    seconds: float
    value: float
    low: float
    high: float


def draw_costs(folder: Path, findings: Findings, costs: Mapping[str, Mapping[str, Any]], words: Words) -> Figure | None:
    """Draw the headline metric with its interval against fit time, on a logarithmic scale; the bound as a line.

    None where fewer than two models have a fit time. `costs` as `costs_by_model` gives them.
    """
    points = _points(findings, costs)
    if len(points) < 2:
        return None
    with drawing():
        canvas = new_canvas()
        _draw(canvas, points, findings, words)
        return write_figure(folder, canvas, _described(points, findings, words), words)


def _points(findings: Findings, costs: Mapping[str, Mapping[str, Any]]) -> list[Point]:
    return [
        Point(model, costs[model]["seconds"], estimate.value, estimate.low, estimate.high)
        for model, estimate in findings.ranked.items()
        if model in costs
    ]


def _draw(canvas: Canvas, points: Sequence[Point], findings: Findings, words: Words) -> None:
    axes = canvas.subplots()
    axes.set(title=words("costs_figure", metric=findings.label), xlabel=words("time_axis"), ylabel=findings.label)
    look = looks([*(point.model for point in points), ORACLE])
    for point in reversed(points):  # the best on top
        colour, seconds = look[point.model]["color"], max(SHORTEST, point.seconds)
        axes.plot([seconds] * 2, [point.low, point.high], color=colour, linewidth=1.3, solid_capstyle="butt")
        axes.plot(
            [seconds],
            [point.value],
            color=colour,
            marker=look[point.model]["marker"],
            markersize=_MARKER,
            clip_on=False,
        )
    time_axis(axes, [max(SHORTEST, point.seconds) for point in points], words)
    axes.margins(y=0.12)
    if findings.oracle is not None and is_near(findings.oracle.value, findings.headlines):
        color, linestyle = look[ORACLE]["color"], look[ORACLE]["linestyle"]
        axes.axhline(findings.oracle.value, linewidth=1.2, color=color, linestyle=linestyle)
        label = axes.text(0.99, findings.oracle.value, model_label(ORACLE, words), transform=axes.get_yaxis_transform())
        label.set(horizontalalignment="right", verticalalignment="bottom")
    axes.set_ylim(bottom=max(0.0, axes.get_ylim()[0]))
    _write_names(canvas, axes, points)


def time_axis(axes: Axes, seconds: Sequence[float], words: Words) -> None:
    """Set a logarithmic scale of seconds, minutes and hours, with room for names on both sides."""
    axes.set_xscale("log")
    room = max(max(seconds) / min(seconds), 10.0) ** 0.18
    low, high = min(seconds) / room, max(seconds) * room
    axes.set_xlim(low, high)
    shown = [tick for tick in _ALL_TICKS if low <= tick <= high]
    if len(shown) > _MOST_TICKS:
        shown = [tick for tick in shown if tick in _COARSE_TICKS]
    axes.xaxis.set_major_locator(FixedLocator(shown))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: _time(tick, words)))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _time(seconds: float, words: Words) -> str:
    unit, size = next(((unit, size) for unit, size in (("h", 3600), ("min", 60)) if seconds >= size), ("s", 1))
    return f"{words.rounded(seconds / size)} {unit}"


def _write_names(canvas: Canvas, axes: Axes, points: Sequence[Point]) -> None:
    """Write the name of every model beside its point, where it covers nothing."""
    bound = [*axes.texts, *(line for line in axes.lines if line.get_transform() != axes.transData)]
    names = [axes.text(point.seconds, point.value, short(point.model), in_layout=False) for point in points]
    FigureCanvasAgg(canvas)  # knows the sizes of texts
    canvas.draw_without_rendering()
    covered = [_box(artist) for artist in bound]
    dots = [_pixels(axes, max(SHORTEST, point.seconds), point.value) for point in points]
    for (x, y), point in zip(dots, points, strict=True):
        covered.append(Box(x - _DOT, y - _DOT, x + _DOT, y + _DOT))
        if not math.isnan(point.low + point.high):
            covered.append(Box(x - 2, _pixels(axes, 1, point.low)[1], x + 2, _pixels(axes, 1, point.high)[1]))
    boxes = place_labels(dots, [_box(name).size for name in names], covered, Box(*axes.bbox.extents))
    for name, dot, box in zip(names, dots, boxes, strict=True):
        if box is None:
            name.remove()
            continue
        corner = _on_axes(axes, (box.left, box.bottom))
        name.set(transform=axes.transAxes, position=corner, verticalalignment="bottom")
        nearest = min(max(dot[0], box.left), box.right), min(max(dot[1], box.bottom), box.top)
        if math.dist(nearest, dot) > _FAR:
            ends = zip(_on_axes(axes, dot), _on_axes(axes, nearest), strict=True)
            axes.plot(*ends, color="#666666", linewidth=0.6, transform=axes.transAxes, zorder=1)


def _box(artist: Artist) -> Box:
    return Box(*(float(end) for end in artist.get_window_extent().extents))


def _on_axes(axes: Axes, pixels: tuple[float, float]) -> tuple[float, float]:
    """Return a place as shares of the axes, which hold for files of any resolution."""
    across, up = axes.transAxes.inverted().transform(pixels)
    return float(across), float(up)


def _pixels(axes: Axes, seconds: float, value: float) -> tuple[float, float]:
    across, up = axes.transData.transform((seconds, value))
    return float(across), float(up)


def place_labels(
    points: Sequence[tuple[float, float]], sizes: Sequence[tuple[float, float]], covered: Sequence[Box], area: Box
) -> list[Box | None]:
    """Return where labels of these sizes (width, height) stand: each as near to its point as there is room.

    No label overlaps another one or what is `covered`, and all are within the area. None where there is no room.
    """
    taken, placed = list(covered), []
    for (x, y), size in zip(points, sizes, strict=True):
        candidates = (box for box in _around(x, y, size, area) if box.inside(area))
        box = next((box for box in candidates if not any(box.overlaps(other) for other in taken)), None)
        placed.append(box)
        taken += [box] if box else []
    return placed


def _around(x: float, y: float, size: tuple[float, float], area: Box) -> Iterator[Box]:
    """Yield places of a label around a point, the nearest first."""
    width, height = size
    farthest = math.hypot(area.right - area.left, area.top - area.bottom)
    distance = _NEAR
    while distance < farthest:
        for angle in map(math.radians, _DIRECTIONS):
            dx, dy = math.cos(angle), math.sin(angle)
            # The edge of the label that faces the point is at this distance.
            left = x + distance * dx - width * (1 - dx) / 2
            bottom = y + distance * dy - height * (1 - dy) / 2
            yield Box(left, bottom, left + width, bottom + height)
        distance += _STEP


def _described(points: Sequence[Point], findings: Findings, words: Words) -> Figure:
    level = words.level(findings.confidence)
    caption = [words("costs_caption", metric=findings.label, level=level)]
    caption += [words("shortest_time")] if any(point.seconds < SHORTEST for point in points) else []
    told = [words("accuracy_at", model=p.model, value=words.share(p.value), time=_rough(p, words)) for p in points]
    alt = words("costs_alt", metric=findings.label, values="; ".join(told))
    return Figure(words("costs_figure", metric=findings.label), STEM, " ".join(caption), alt)


def _rough(point: Point, words: Words) -> str:
    return f"{words.rounded(float(f'{max(SHORTEST, point.seconds):.2g}'))} s"
