"""The search for settings as figures: the best value so far, what mattered, and every point that was tried."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from gru4rec_cli.reporting.figures.costs import SHORTEST, time_axis
from gru4rec_cli.reporting.figures.drawing import SIZE, Figure, drawing, looks, new_canvas, short, write_figure
from gru4rec_cli.reporting.findings.search import Search
from gru4rec_cli.reporting.text.words import Words

BEST, IMPORTANCE, SPACE, TIME = "tuning_best", "tuning_importance", "tuning_space", "tuning_time"
_MOST_COLUMNS = 4  # panels of settings side by side; more could not be read on a phone
_WIDE = 14  # characters of all names at an axis; longer ones stand upright
_CHOSEN: dict[str, Any] = {
    "marker": "o",
    "markersize": 9.5,
    "markerfacecolor": "none",
    "color": "black",
    "markeredgewidth": 1.2,
}
_OWN: dict[str, Any] = {
    "marker": "s",
    "markersize": 8.5,
    "markerfacecolor": "none",
    "color": "black",
    "markeredgewidth": 1.0,
}
_COMPLETE: dict[str, Any] = {"marker": "o", "markersize": 4, "color": "#666666"}
_PRUNED: dict[str, Any] = {"marker": "x", "markersize": 4.5, "color": "#666666"}


def draw_search(folder: Path, search: Search, words: Words) -> list[Figure]:
    """Draw the best value so far by trials, the importance of settings, and the points, below our style."""
    return [_best(folder, search, words), _importance(folder, search, words), _space(folder, search, words)]


def draw_search_time(folder: Path, search: Search, seconds: Mapping[str, Sequence[float]], words: Words) -> Figure:
    """Draw the best value so far by trials and by time, side by side; `seconds` of each trial by model."""
    with drawing():
        canvas = new_canvas(9.0, 4.2)
        left, right = canvas.subplots(1, 2, sharey=True)
        _draw_best(left, search, _numbers(search), words("trials"))
        passed = {name: [max(SHORTEST, each) for each in accumulate(seconds[name])] for name in search.models}
        _draw_best(right, search, passed, words("search_time_axis"))
        time_axis(right, [each for times in passed.values() for each in times], words)
        left.set_ylabel(words("validation", metric=search.label))
        canvas.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=4)
        caption = words("tuning_time_caption", metric=search.label)
        figure = Figure(words("tuning_time_name"), TIME, caption, _best_alt(search, words))
        return write_figure(folder, canvas, figure, words)


def _numbers(search: Search) -> dict[str, list[int]]:
    return {name: list(range(1, 1 + len(model["best_so_far"]))) for name, model in search.models.items()}


def _best(folder: Path, search: Search, words: Words) -> Figure:
    canvas = new_canvas()
    axes = canvas.subplots()
    _draw_best(axes, search, _numbers(search), words("trials"))
    axes.set(title=words("tuning_best_title"), ylabel=words("validation", metric=search.label))
    canvas.legend(*axes.get_legend_handles_labels(), loc="outside right upper")
    caption = words("tuning_best_caption", metric=search.label)
    return write_figure(
        folder, canvas, Figure(words("tuning_best_name"), BEST, caption, _best_alt(search, words)), words
    )


def _draw_best(axes: Axes, search: Search, places: Mapping[str, Sequence[float]], label: str) -> None:
    """Draw a line a model that rises where a trial was better than all before it."""
    look = looks(search.models)
    for name, model in search.models.items():
        best = model["best_so_far"]
        shown = [(x, value) for x, value in zip(places[name], best, strict=True) if value is not None]
        risen = [place for place, (_, value) in enumerate(shown) if place == 0 or value > shown[place - 1][1]]
        axes.plot(*zip(*shown, strict=True), label=short(name), drawstyle="steps-post", markevery=risen, **look[name])
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))


def _best_alt(search: Search, words: Words) -> str:
    ends = {name: [v for v in model["best_so_far"] if v is not None] for name, model in search.models.items()}
    told = [f"{name} {words.share(values[0])} → {words.share(values[-1])}" for name, values in ends.items()]
    return words("tuning_best_alt", metric=search.label, values=words.enumerated(told))


def _importance(folder: Path, search: Search, words: Words) -> Figure:
    """Draw a panel a model with a bar a setting, the largest on top, and a tick where a setting without any influence
    would be on average."""
    columns = min(2, len(search.models))
    bars = [len(model["importance"]) for model in search.models.values()]
    most = [max(bars[place : place + columns]) for place in range(0, len(bars), columns)]
    heights = [0.7 + 0.24 * count for count in most]
    canvas = new_canvas(SIZE[0], 0.5 + sum(heights))
    grid = canvas.subplots(len(most), columns, squeeze=False, gridspec_kw={"height_ratios": heights})
    look = looks(search.models)
    for place, (axes, (name, model)) in enumerate(zip(grid.flat, search.models.items(), strict=False)):
        shares, chance = model["importance"], model["importance_by_chance"]
        rows = range(len(shares))
        axes.barh(rows, list(shares.values()), height=0.6, color=look[name]["color"])
        axes.plot([chance[key] for key in shares], rows, linestyle="", marker="|", markersize=11, color="black")
        axes.set_yticks(rows, [short(key) for key in shares])
        axes.set(title=short(name), xlim=(0, 1), ylim=(most[place // columns] - 0.5, -0.5))
        axes.grid(axis="y", visible=False)
        axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: words.percent(share, 0)))
    for axes in grid.flat[len(search.models) :]:
        axes.remove()
    canvas.supxlabel(words("importance_axis", metric=search.label), fontsize=9.5)
    tops = [f"{name}: {next(iter(model['importance']))}" for name, model in search.models.items()]
    caption, alt = words("importance_caption"), words("importance_alt", values=words.enumerated(tops))
    return write_figure(folder, canvas, Figure(words("importance_name"), IMPORTANCE, caption, alt), words)


def _space(folder: Path, search: Search, words: Words) -> Figure:
    """Draw the value of every trial against each setting: a row of panels a model, in several lines where it has many
    settings."""
    columns = max(map(_columns, search.models.values()))
    lines = {name: math.ceil(len(model["space"]) / columns) for name, model in search.models.items()}
    canvas = new_canvas(SIZE[0], 0.6 + 1.9 * sum(lines.values()))
    grid = canvas.subplots(sum(lines.values()), columns, squeeze=False)
    look, line = looks(search.models), 0
    for name, model in search.models.items():
        row = list(grid[line : line + lines[name]].flat)
        for place, (axes, key) in enumerate(zip(row, model["space"], strict=False)):
            _space_panel(axes, search, name, key, look[name]["color"], words)
            axes.set_xlabel(short(key, 22), fontsize=8)
            axes.tick_params(labelsize=7)
            axes.sharey(grid[line, 0])
            axes.tick_params(labelleft=place % columns == 0)
        grid[line, 0].set_title(short(name), fontsize=9.5)
        for axes in row[len(model["space"]) :]:
            axes.remove()
        line += lines[name]
    canvas.supylabel(words("validation", metric=search.label), fontsize=9.5)
    marks = {"space_trial": _COMPLETE, "space_pruned": _PRUNED, "space_own": _OWN, "space_chosen": _CHOSEN}
    handles = [Line2D([], [], linestyle="", **mark) for mark in marks.values()]
    canvas.legend(handles, [words(key) for key in marks], loc="outside upper right", ncols=4, fontsize=8)
    failed = sum(model["states"]["failed"] for model in search.models.values())
    caption = [words("space_caption", metric=search.label)]
    caption += [words("space_failed", count=words.count(failed))] if failed else []
    alt = words("space_alt", metric=search.label, models=words.listed([*search.models]))
    return write_figure(folder, canvas, Figure(words("space_name"), SPACE, " ".join(caption), alt), words)


def _columns(model: Mapping[str, Any]) -> int:
    """Return how many settings of a model stand side by side: as many in each of its lines, or one fewer."""
    count = len(model["space"])
    return math.ceil(count / math.ceil(count / _MOST_COLUMNS))


def _space_panel(axes: Axes, search: Search, name: str, key: str, color: str, words: Words) -> None:
    points = [point for point in search.points[name] if point.value is not None]
    places = _places(axes, search.models[name]["space"][key], [point.settings[key] for point in points], words)
    chosen = search.models[name]["chosen"]["trial"]

    at = [(x, point) for x, point in zip(places, points, strict=True) if x is not None]
    for mark, shown in (
        (_PRUNED, [(x, point) for x, point in at if point.state == "pruned"]),
        (_COMPLETE | {"color": color}, [(x, point) for x, point in at if point.state == "complete"]),
        (_OWN, [(x, point) for x, point in at if point.number == 1]),
        (_CHOSEN, [(x, point) for x, point in at if point.number == chosen]),
    ):
        axes.plot([x for x, _ in shown], [point.value or 0.0 for _, point in shown], linestyle="", **mark)
    axes.margins(x=0.12, y=0.12)


def _places(axes: Axes, space: object, given: Sequence[str], words: Words) -> list[float | None]:
    """Return where values stand on the axis, which is prepared: an interval of numbers, or names and numbers that were
    listed, at equal distances. None for a value that is no number where an interval is asked for."""
    numbers = [_number(text) for text in given]
    if isinstance(space, Mapping):
        if space.get("scale") == "log" and all(number is None or number > 0 for number in numbers):
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter(FuncFormatter(lambda number, _: words.rounded(number)))
            axes.xaxis.set_minor_formatter(NullFormatter())
        else:
            axes.xaxis.set_major_locator(MaxNLocator(4))
        return numbers
    distinct = dict(zip(given, numbers, strict=True))
    if all(number is not None for number in numbers):
        shown = sorted(distinct, key=lambda text: distinct[text] or 0.0)
    else:
        shown = [*map(str, space if isinstance(space, list) else []), *distinct]
        shown = [text for text in dict.fromkeys(shown) if text in distinct]
    names = [text if distinct[text] is None else words.rounded(distinct[text] or 0.0) for text in shown]
    names = [short(name or words("none"), 12) for name in names]
    axes.set_xticks(range(len(shown)), names, rotation=90 if sum(map(len, names)) > _WIDE else 0)
    axes.set_xlim(-0.5, len(shown) - 0.5)
    return [float(shown.index(text)) for text in given]


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
