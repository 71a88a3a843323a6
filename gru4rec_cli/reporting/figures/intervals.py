"""Figures of estimates with their intervals, and of other protocols."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from gru4rec_cli.reporting.figures.drawing import COLOURS, MARKERS, Figure, new_canvas, short, write_figure
from gru4rec_cli.reporting.figures.panels import Panel, interval_panels, left_out, shown_models
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.findings.sensitivity import factors
from gru4rec_cli.reporting.text.phrases import model_label, protocol_label
from gru4rec_cli.reporting.text.words import Words

_ROW = 0.28  # inches a model
_FRAME = 1.3  # inches for title, axis and legend
_WIDTH = 9.0
_POINTS = 0.45  # of the width of a pixel on a page: a panel is 2 inches wide


def draw_intervals(folder: Path, findings: Findings, words: Words) -> Figure | None:
    """Draw a panel a metric: the estimates of the bound and the contenders as dots, intervals over events as lines,
    seeds as ticks."""
    panels = interval_panels(findings, words)
    if not panels:
        return None
    row_of = {model_label(model, words): row for row, model in enumerate(shown_models(findings))}
    canvas = new_canvas(_WIDTH, _FRAME + _ROW * len(row_of))
    for axes, panel in zip(np.atleast_1d(canvas.subplots(1, len(panels), sharey=True)), panels, strict=True):
        _draw_panel(axes, panel, row_of)
    axes = canvas.axes[0]
    axes.set_yticks(list(row_of.values()), [short(label) for label in row_of])
    axes.set_ylim(len(row_of) - 0.5, -0.5)
    level = words.level(findings.confidence)
    caption = [words("intervals_caption", level=level)]
    caption += [words("seed_ticks")] if findings.several_seeds else []
    caption += [left_out(findings, words)]
    told = words.enumerated([f"{row.label} {row.text}" for row in panels[0].rows])
    figure = Figure(
        words("intervals_name"),
        "intervals",
        " ".join(filter(None, caption)),
        words("intervals_alt", metric=panels[0].title, values=told, level=level),
    )
    return write_figure(folder, canvas, figure, words)


def _draw_panel(axes: Axes, panel: Panel, row_of: dict[str, int]) -> None:
    for row in panel.rows:
        colour, y = ("black" if row.bound else COLOURS[0]), row_of[row.label]
        axes.plot([row.low, row.high], [y, y], color=colour, linewidth=1.3, solid_capstyle="butt")
        axes.plot(row.single, [y] * len(row.single), color=COLOURS[1], linestyle="", marker="|", markersize=11)
        marker, size = ("|", 4.5) if row.bound else ("o", _POINTS * 2 * panel.radius())
        axes.plot([row.value], [y], color=colour, marker=marker, markersize=size, markeredgewidth=0.5)
    axes.set_title(panel.title)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.tick_params(axis="y", length=0)


def draw_sensitivity(folder: Path, findings: Findings, words: Words) -> Figure | None:
    """Draw by which factor every other protocol inflates the headline metric of every model; 1 is full ranking."""
    found = factors(findings)
    models = [m for m in findings.order if any(m in by_model for by_model in found.values())]
    points = {
        protocol: [(by_model[m]["factor"], y) for y, m in enumerate(models) if by_model.get(m, {}).get("factor")]
        for protocol, by_model in found.items()
    }
    points = {protocol: places for protocol, places in points.items() if places}
    if not points:
        return None
    canvas = new_canvas(_WIDTH, _FRAME + 0.3 + _ROW * len(models))
    axes = canvas.subplots()
    for index, (protocol, places) in enumerate(points.items()):
        (line,) = axes.plot(
            *zip(*places, strict=True), linestyle="", markersize=6.5, label=protocol_label(protocol, words)
        )
        line.set(color=COLOURS[index % len(COLOURS)], marker=MARKERS[index % len(MARKERS)])
    axes.axvline(1, color="black", linewidth=1)
    _factor_axis(axes, [factor for places in points.values() for factor, _ in places], words)
    axes.set_yticks(range(len(models)), [short(model_label(model, words)) for model in models])
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.set_title(words("sensitivity_title", metric=findings.label))
    _legend(canvas, axes)
    largest = max(factor for places in points.values() for factor, _ in places)
    figure = Figure(
        words("sensitivity_name"),
        "sensitivity",
        words("sensitivity_caption", metric=findings.label),
        words("sensitivity_alt", metric=findings.label, largest=words.factor(largest)),
    )
    return write_figure(folder, canvas, figure, words)


def _factor_axis(axes: Axes, shown: list[float], words: Words) -> None:
    axes.set_xscale("log")
    axes.set_xlim(min(0.95, min(shown) * 0.95), max(1.05, max(shown) * 1.08))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if max(shown) > 3 else MaxNLocator(6))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda factor, _: f"×{words.rounded(factor)}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel(words("factor_axis"))
    axes.tick_params(axis="y", length=0)


def _legend(canvas: Canvas, axes: Axes) -> None:
    canvas.legend(*axes.get_legend_handles_labels(), loc="outside right upper")
