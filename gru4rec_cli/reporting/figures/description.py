"""Plots of a description of clicks: session lengths, item support, drift by day."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure as Canvas

from gru4rec_cli.reporting.figures.drawing import COLOURS, Figure, count_scale, drawing, new_canvas, write_figure
from gru4rec_cli.reporting.text.words import ENGLISH as WORDS


def write_description_figures(folder: Path, found: Mapping[str, Any]) -> list[Path]:
    """Write every plot as PNG and SVG; the files."""
    with drawing():
        drawn = {"lengths": _lengths(found), "support": _support(found), "drift": _drift(found["drift"])}
        for stem, canvas in drawn.items():
            write_figure(folder, canvas, Figure(stem, stem, "", ""), WORDS)
    return [folder / f"{stem}.{kind}" for stem in drawn for kind in ("png", "svg")]


def _lengths(found: Mapping[str, Any]) -> Canvas:
    lengths, sessions = zip(*found["session_lengths"]["sessions_by_length"], strict=True)
    return _log_log(lengths, sessions, "Session lengths", "clicks", "sessions")


def _support(found: Mapping[str, Any]) -> Canvas:
    support = found["item_support"]
    return _log_log(support["ranks"], support["events_by_rank"], "Popularity of items", "rank of the item", "clicks")


def _log_log(across: Any, up: Any, title: str, x_label: str, y_label: str) -> Canvas:
    canvas = new_canvas()
    axes = canvas.subplots()
    axes.plot(across, up, marker="o", color=COLOURS[0])
    count_scale(axes.set_xscale, axes.xaxis, WORDS)
    count_scale(axes.set_yscale, axes.yaxis, WORDS)
    axes.set(title=title, xlabel=x_label, ylabel=y_label)
    return canvas


def _drift(days: list[dict[str, Any]]) -> Canvas:
    canvas = new_canvas()
    axes = canvas.subplots()
    labels = {
        "to_previous_day": "popularity alike to the day before (cosine)",
        "to_first_day": "popularity alike to the first day (cosine)",
        "share_on_new_items": "share of clicks on items new that day",
    }
    for colour, (key, label) in zip(COLOURS, labels.items(), strict=False):
        shown = [(place, day[key]) for place, day in enumerate(days) if day[key] is not None]
        axes.plot(*zip(*shown, strict=True), label=label, color=colour) if shown else None
    axes.set(title="Drift by day", xlabel="day with clicks", ylim=(0, 1.02))
    axes.legend()
    return canvas
