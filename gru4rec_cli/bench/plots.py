"""The bench's plots, PNG and SVG, in the style of the report: throughput against size, and growth."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import LogLocator, NullLocator

from gru4rec_cli.bench.notebook import Measurement
from gru4rec_cli.bench.processes import GROWTH
from gru4rec_cli.bench.training import SECTION as TRAINING
from gru4rec_cli.reporting.figures.drawing import (
    COLOURS,
    LINES,
    MARKERS,
    Figure,
    count_scale,
    drawing,
    new_canvas,
    write_figure,
)
from gru4rec_cli.reporting.text.words import ENGLISH

_MOST_COLUMNS = 4
_TICKS = (1.0, 2.0, 5.0)

Point = tuple[int, Measurement]  # place on the axis of sizes, figure


def write_plots(folder: Path, measurements: Sequence[Measurement]) -> list[Figure]:
    """Draw the plots for which there are measurements."""
    figures = []
    with drawing():
        rates = [m for m in measurements if m.section == TRAINING and m.quantity == "events_per_second"]
        if rates:
            figures.append(_throughput(folder, rates))
        grown = [m for m in measurements if m.section in GROWTH and m.quantity in ("seconds", "peak_memory")]
        if grown:
            figures.append(_growth(folder, grown))
    return figures


def _throughput(folder: Path, rates: Sequence[Measurement]) -> Figure:
    """A panel for every setting and width, with a line over the items for every subject and batch size."""
    panels = list(dict.fromkeys((m.case["settings"], m.case["units"]) for m in rates))
    columns = min(len(panels), _MOST_COLUMNS)
    lines = -(-len(panels) // columns)
    canvas = new_canvas(1.5 + 3.2 * columns, 1.2 + 3.0 * lines)
    grid = canvas.subplots(lines, columns, squeeze=False, sharey=True)
    subjects = list(dict.fromkeys(m.subject for m in rates))
    batches = sorted({int(m.case["batch_size"]) for m in rates})
    for axes, (settings, units) in zip(grid.flat, panels, strict=False):
        here = [m for m in rates if (m.case["settings"], m.case["units"]) == (settings, units)]
        for subject in subjects:
            for batch in batches:
                points = [
                    (int(m.case["items"]), m) for m in here if (m.subject, m.case["batch_size"]) == (subject, batch)
                ]
                look = (subjects.index(subject), batches.index(batch))
                _line(axes, f"{subject}, batch {batch}", points, *look)
        axes.set(title=f"{settings}, {units} units", xlabel="Items (log scale)")
        _log_log(axes, (int(m.case["items"]) for m in here))
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    grid[0, 0].set_ylabel("Training events a second (log scale)")
    _legend(canvas, grid.flat[: len(panels)])
    about = "Training events a second against the number of items; bars from the lowest to the highest repeat."
    alt = f"Line charts, both axes on a log scale: {', '.join(subjects)}, in {len(panels)} panels by setting and width."
    return write_figure(folder, canvas, Figure("Training throughput", "throughput", about, alt), ENGLISH)


def _growth(folder: Path, grown: Sequence[Measurement]) -> Figure:
    """Time above, peak memory below; events on the left, items on the right."""
    sections = list(dict.fromkeys(m.section for m in grown))
    canvas = new_canvas(1.5 + 3.6 * len(sections), 7.0)
    grid = canvas.subplots(2, len(sections), squeeze=False, sharey="row", sharex="col")
    subjects = list(dict.fromkeys(m.subject for m in grown))
    for column, section in enumerate(sections):
        size = section.rsplit(" ", 1)[1]
        for row, quantity in enumerate(("seconds", "peak_memory")):
            for place, subject in enumerate(subjects):
                here = [m for m in grown if (m.section, m.quantity, m.subject) == (section, quantity, subject)]
                _line(grid[row, column], subject, [(int(m.case[size]), m) for m in here], place, 0)
            _log_log(grid[row, column], (int(m.case[size]) for m in grown if m.section == section))
        grid[0, column].set(title=section.capitalize())
        grid[1, column].set(xlabel=f"{size.capitalize()} (log scale)")
    grid[0, 0].set_ylabel("Seconds (log scale)")
    grid[1, 0].set_ylabel("Peak memory of the process, MB (log scale)")
    _legend(canvas, grid.flat)
    about = "Time and peak memory against size; bars from the lowest to the highest repeat."
    alt = f"Log-log line charts of time and peak memory against size: {', '.join(subjects)}."
    return write_figure(folder, canvas, Figure("Growth", "growth", about, alt), ENGLISH)


def _line(axes: Axes, label: str, points: Sequence[Point], colour: int, line: int) -> None:
    """Medians with bars from the lowest to the highest value."""
    if not points:
        return
    ordered = sorted(points, key=lambda point: point[0])
    medians = [found.median for _, found in ordered]
    ends = [[m.median - m.low for _, m in ordered], [m.high - m.median for _, m in ordered]]
    axes.errorbar(
        [size for size, _ in ordered],
        medians,
        yerr=ends,
        label=label,
        color=COLOURS[colour % len(COLOURS)],
        marker=MARKERS[colour % len(MARKERS)],
        linestyle=LINES[line % len(LINES)],
        capsize=2,
    )


def _log_log(axes: Axes, sizes: Iterable[int]) -> None:
    """Ticks below at the sizes themselves, at the side at 1, 2 and 5 of every decade: a small range has some too."""
    for set_scale, axis in ((axes.set_xscale, axes.xaxis), (axes.set_yscale, axes.yaxis)):
        count_scale(set_scale, axis, ENGLISH)
        axis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(LogLocator(subs=_TICKS))
    ticks = sorted(set(sizes))
    axes.set_xticks(ticks, [f"{size:,}" for size in ticks], rotation=30)


def _legend(canvas: Canvas, panels: Iterable[Axes]) -> None:
    """One for all panels, below them."""
    handles: dict[str, Artist] = {}
    for axes in panels:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(str(label), handle)
    canvas.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=min(4, len(handles)))
