"""The figures of a study as PNG and SVG: headless, and the same bytes for the same data."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from gru4rec_cli.base.names import ORACLE, FitName
from gru4rec_cli.evaluation.metrics import METRICS, Metric
from gru4rec_cli.reporting.figures.drawing import (
    COLOURS,
    LINES,
    SIZE,
    Figure,
    count_scale,
    counted,
    drawing,
    looks,
    new_canvas,
    short,
    write_figure,
)
from gru4rec_cli.reporting.figures.intervals import draw_intervals, draw_sensitivity
from gru4rec_cli.reporting.figures.tuning import draw_search
from gru4rec_cli.reporting.findings.run import Findings
from gru4rec_cli.reporting.findings.search import Search
from gru4rec_cli.reporting.text.words import ENGLISH, Words

MOST_BANDS = 6  # with more models than this, intervals would cover each other
_SHOWN_PARTS = ("train", "test")
LONG_SESSION = 60  # clicks; beyond it, lengths need a logarithmic axis


def write_figures(
    folder: Path,
    *,
    findings: Findings,
    training: Mapping[str, Sequence[Mapping[str, float]]],
    lengths: Mapping[str, Sequence[Sequence[int]]],
    support: Mapping[str, Any],
    search: Search | None = None,
    words: Words = ENGLISH,
) -> list[Figure]:
    """Draw what there is data for into `folder`; in the order in which a report shows them.

    `training` holds the epochs of every model that has a curve; `lengths` and `support` are `session_lengths` and
    `item_support` of a split's statistics; `findings` are the metrics, `search` is a search for settings.
    """
    figures: list[Figure | None] = []
    with drawing():
        figures += [draw_intervals(folder, findings, words), draw_sensitivity(folder, findings, words)]
        figures += [_by_cutoff(folder, metric, findings, words) for metric in METRICS.values()]
        figures += draw_search(folder, search, words) if search else []
        training = {model: rows for model, rows in training.items() if rows}
        if training:
            figures.append(_training(folder, training, words))
        lengths = {part: counts for part, counts in lengths.items() if counts and part in _SHOWN_PARTS}
        if lengths:
            figures.append(_lengths(folder, lengths, words))
        if support.get("ranks"):
            figures.append(_popularity(folder, support, words))
    return [figure for figure in figures if figure is not None]


def curve_stem(metric: str) -> str:
    """Return the stem of the figure of a metric by cutoff."""
    return f"{metric}_by_k"


def _by_cutoff(folder: Path, metric: Metric, findings: Findings, words: Words) -> Figure | None:
    """Draw one line a model over K, the legend beside the axes in the order of the lines' right ends."""
    curves = {model: by[metric.name] for model, by in findings.curves.items() if metric.name in by}
    if not curves:
        return None
    label, values = metric.label, {model: curve["values"] for model, curve in curves.items()}
    banded = len(curves) <= MOST_BANDS and any(curve["low"] is not None for curve in curves.values())
    look = looks(curves)
    canvas = new_canvas()
    axes = canvas.subplots()
    largest = max(len(line) for line in values.values())
    ticks = _cutoff_ticks(largest)
    for model in sorted(values, key=lambda name: -values[name][-1]):
        cutoffs = np.arange(1, len(values[model]) + 1)
        shown = words("bound", model=short(model)) if model == ORACLE else short(model)
        marked = [k - 1 for k in ticks if k <= len(cutoffs)]
        axes.plot(cutoffs, values[model], label=shown, markevery=marked, **look[model])
        if banded and curves[model]["low"] is not None:
            ends = curves[model]["low"], curves[model]["high"]
            axes.fill_between(cutoffs, *ends, color=look[model]["color"], alpha=0.15, linewidth=0)
    axes.set(title=words("by_k_title", metric=label), xlabel=words("by_k_axis"), ylabel=f"{label}@K")
    axes.set_xlim(1 - 0.02 * largest, largest * 1.02)
    axes.set_ylim(bottom=0)
    axes.set_xticks(ticks)
    canvas.legend(*axes.get_legend_handles_labels(), loc="outside right upper")
    models = [model for model in values if model != ORACLE] or list(values)
    best = max(models, key=lambda name: values[name][-1])
    told = {"metric": label, "largest": largest, "lines": counted(len(values), "line", words), "best": best}
    figure = Figure(
        f"{label}@K",
        curve_stem(metric.name),
        words("by_k_caption", **told) + (" " + words("by_k_bands") if banded else ""),
        words("by_k_alt", value=words.share(values[best][-1]), **told),
    )
    return write_figure(folder, canvas, figure, words)


def _cutoff_ticks(largest: int) -> list[int]:
    """Return 1 and the multiples of a round step, about five to ten of them, up to `largest`."""
    step = next(step for step in (1, 5, 10, 25, 50, 100, largest) if step * 10 >= largest)
    return sorted({1, *range(step, largest + 1, step)})


def _training(folder: Path, training: Mapping[str, Sequence[Mapping[str, float]]], words: Words) -> Figure:
    """Draw a panel for every model's loss, each on its own scale, a line a seed; then one for every validation
    metric."""
    look = _fit_looks(training)
    keys = sorted({key for rows in training.values() for row in rows for key in row if key.startswith("valid_")})
    panels = _training_panels(training, keys, words)
    columns = 1 if len(panels) == 1 else 2 if len(panels) in (2, 4) else 3
    lines = math.ceil(len(panels) / columns)
    canvas = new_canvas(SIZE[0] if columns < 3 else 9.0, SIZE[1] if lines == 1 and columns == 1 else 0.7 + 2.5 * lines)
    grid = canvas.subplots(lines, columns, squeeze=False)
    for axes, (title, key, label, fits) in zip(grid.flat, panels, strict=False):
        _training_panel(axes, key, {fit: training[fit] for fit in fits}, look)
        axes.set(title=title, xlabel=words("epoch_axis"), ylabel=label)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    if any(key != "loss" and len(fits) > 1 for _, key, _, fits in panels):
        handles = {handle.get_label(): handle for axes in canvas.axes for handle in axes.get_lines()}
        canvas.legend(handles.values(), [str(name) for name in handles], loc="outside lower center", ncols=3)
    canvas.suptitle(words("training_title"), x=0.01, ha="left", fontsize=11)
    caption = [words("training_caption")]
    caption += [words("line_a_seed")] if any(FitName.parse(fit).seed is not None for fit in training) else []
    caption += [words("losses_differ")] if sum(key == "loss" for _, key, _, _ in panels) > 1 else []
    names = ", ".join(key.removeprefix("valid_") for key in keys)
    caption += [words("validation_metrics", metrics=names)] if keys else []
    epochs = ", ".join(f"{model} ({counted(len(rows), 'epoch', words)})" for model, rows in training.items())
    figure = Figure(words("training"), "training_curve", " ".join(caption), words("training_alt", epochs=epochs))
    return write_figure(folder, canvas, figure, words)


def _fit_looks(training: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return the look of every fit: that of its model, another line for every seed."""
    fits = list(training)
    by_model = looks(dict.fromkeys(FitName.parse(fit).model for fit in fits))
    seen: Counter[str] = Counter()
    found = {}
    for fit in fits:
        model, seed = FitName.parse(fit)
        line = by_model[model]["linestyle"] if seed is None else LINES[seen[model] % len(LINES)]
        found[fit] = {**by_model[model], "linestyle": line}
        seen[model] += 1
    return found


def _training_panels(
    training: Mapping[str, Sequence[Mapping[str, float]]], keys: Sequence[str], words: Words
) -> list[tuple[str, str, str, list[str]]]:
    """Return title, key, label and fits of every panel."""
    with_loss: dict[str, list[str]] = {}
    for fit, rows in training.items():
        if any("loss" in row for row in rows):
            with_loss.setdefault(FitName.parse(fit).model, []).append(fit)
    panels = [(short(model), "loss", words("loss"), fits) for model, fits in with_loss.items()]
    for key in keys:
        having = [fit for fit, rows in training.items() if any(key in row for row in rows)]
        name = key.removeprefix("valid_")
        panels.append((words("validation", metric=name), key, name, having))
    return panels


def _training_panel(
    axes: Axes, key: str, training: Mapping[str, Sequence[Mapping[str, float]]], look: Mapping[str, dict[str, Any]]
) -> None:
    for model, rows in training.items():
        points = [(row.get("epoch", index), row[key]) for index, row in enumerate(rows, start=1) if key in row]
        axes.plot(*zip(*points, strict=True), label=short(model), **look[model])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, nbins=6))


def _lengths(folder: Path, lengths: Mapping[str, Sequence[Sequence[int]]], words: Words) -> Figure:
    """Draw the share of the sessions with at least so many clicks, a line a part: smooth where single lengths are
    rare."""
    canvas = new_canvas()
    axes = canvas.subplots()
    look, means, longest = looks(lengths), {}, 0
    for line, (part, counts) in zip(cycle(LINES), lengths.items(), strict=False):
        clicks, sessions = np.array(counts, dtype=np.int64).T
        shares = np.cumsum(sessions[::-1])[::-1] / sessions.sum()
        label = f"{words.phrase(part)} ({counted(int(sessions.sum()), 'session', words)})"
        every = max(1, len(clicks) // 15)
        axes.plot(clicks, shares, label=label, markevery=every, **{**look[part], "linestyle": line})
        means[part] = words.fixed((clicks * sessions).sum() / sessions.sum(), 2)
        longest = max(longest, int(clicks.max()))
    axes.set(title=words("lengths_title"), xlabel=words("clicks"), ylabel=words("lengths_axis"))
    axes.set_yscale("log")
    axes.set_ylim(top=2)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{words.rounded(share * 100)} %"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if longest > LONG_SESSION:
        axes.set_xlabel(words("clicks_log"))
        count_scale(axes.set_xscale, axes.xaxis, words)
    axes.legend(loc="upper right")  # the lines fall, so this corner is free
    told = words.enumerated([f"{words.phrase(part)} {mean}" for part, mean in means.items()])
    figure = Figure(
        words("lengths_name"),
        "session_lengths",
        words("lengths_caption", means=told),
        words("lengths_alt", longest=words.count(longest), means=told),
    )
    return write_figure(folder, canvas, figure, words)


def _popularity(folder: Path, support: Mapping[str, Any], words: Words) -> Figure:
    """Draw support by popularity rank, both on a log scale."""
    ranks, events = support["ranks"], support["events"]
    canvas = new_canvas()
    axes = canvas.subplots()
    marker = "o" if len(ranks) < 50 else ""
    axes.plot(ranks, events, color=COLOURS[0], marker=marker, drawstyle="steps-mid")
    axes.set(title=words("popularity_title"), xlabel=words("popularity_axis"), ylabel=words("support_axis"))
    count_scale(axes.set_xscale, axes.xaxis, words)
    count_scale(axes.set_yscale, axes.yaxis, words)
    about = words(
        "popularity_head",
        head=words.count(support["head"]["items"]),
        items=words.count(support["items"]),
        share=words.percent(support["head"]["events_share"]),
    )
    figure = Figure(
        words("popularity_name"),
        "item_popularity",
        words("popularity_caption", about=about),
        words("popularity_alt", most=words.count(events[0]), least=words.count(events[-1]), about=about),
    )
    return write_figure(folder, canvas, figure, words)
