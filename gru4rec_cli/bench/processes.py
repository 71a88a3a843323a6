"""Sections whose points are measured in processes of their own: `fit`, `start-up`, and growth with events and items.

The processes run `gru4rec_cli.bench.point`.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gru4rec_cli
from gru4rec_cli.base.errors import ExternalError
from gru4rec_cli.bench.fitted import NEURAL, warm_up
from gru4rec_cli.bench.machine import available_memory
from gru4rec_cli.bench.notebook import Notebook
from gru4rec_cli.bench.plan import GrowthPlan, Plan

MEGA = 1e6
_LAST_LINES = 8

GROWTH = ("growth with events", "growth with items")
FITTED = ("markov", "vsknn", "gru4rec")
RANKING = "ranking"

_COPIES = 4  # of the item matrix: weights, accumulators, momenta, and one while they are drawn
_SPARE = 2**30

Cost = dict[str, float]


def run_point(job: str, **asked: Any) -> dict[str, float]:
    """Run `gru4rec_cli.bench.point` and return its answer. Raises `ExternalError` where its process fails."""
    packages = [str(Path(gru4rec_cli.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "gru4rec_cli.bench.point", json.dumps({"job": job, **asked})],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, packages))},
        check=False,
    )
    if done.returncode:
        how = f"killed by signal {-done.returncode}" if done.returncode < 0 else f"exit status {done.returncode}"
        said = "".join(f"\n  {line}" for line in done.stderr.splitlines()[-_LAST_LINES:])
        raise ExternalError(
            f"the process of a measurement ended early ({how}): {job} {asked}{said}", "it may have run out of memory"
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure_fits(notebook: Notebook, plan: Plan, kinds: list[str]) -> None:
    """Measure time and peak memory of fitting every kind, each in a process of its own."""
    n_items, n_events = plan.latency_items, max(plan.fit_events, 2 * plan.latency_items)
    case = {"items": n_items, "events": n_events}
    sizes = {"n_events": n_events, "n_items": n_items, "settings": dict(plan.settings)}
    contestants = {
        kind: partial(run_point, "fit", kind=kind, **sizes)
        for kind in kinds
        if not plan.fit_kinds or kind in plan.fit_kinds
    }
    for kind, costs in notebook.alternate("fit", case, contestants).items():
        record_costs(notebook, "fit", kind, case, costs)


def record_costs(
    notebook: Notebook, section: str, subject: str, case: Mapping[str, str | int], costs: list[dict[str, float]]
) -> None:
    """Record seconds, peak memory, and the memory that the process used before."""
    notebook.record(section, subject, case, "seconds", "s", [cost["seconds"] for cost in costs])
    for quantity, key in (("peak_memory", "peak_memory_bytes"), ("memory_before", "memory_before_bytes")):
        notebook.record(section, subject, case, quantity, "MB", [cost[key] / MEGA for cost in costs])


def measure_startup(notebook: Notebook, plan: Plan, *, with_official: bool) -> None:
    """Measure the seconds from the start of a process to the end of its first training step."""
    case = {"items": plan.latency_items, "events": plan.startup_events}
    sizes = {"n_events": plan.startup_events, "n_items": plan.latency_items, "settings": dict(plan.settings)}
    warm_up("gru4rec")  # so that no process has anything to compile

    def start(kind: str) -> float:
        return run_point("first_step", kind=kind, began=time.time(), **sizes)["seconds"]

    contestants = {kind: partial(start, kind) for kind in NEURAL if with_official or kind != "official"}
    for kind, seconds in notebook.alternate("start-up", case, contestants).items():
        notebook.record("start-up", kind, case, "seconds", "s", seconds)


def measure_growth(notebook: Notebook, plan: GrowthPlan) -> None:
    """Measure along the axis of events, then along that of items; the sizes of an axis take turns too."""
    for kind in FITTED:
        warm_up(kind)
    axes = (
        [(n_events, plan.items_of_events, n_events) for n_events in plan.events],
        [(plan.events_of_items, n_items, plan.ranked_of_items) for n_items in plan.items],
    )
    for section, sizes in zip(GROWTH, axes, strict=True):
        _measure_axis(notebook, plan, section, sizes)


def _measure_axis(notebook: Notebook, plan: GrowthPlan, section: str, sizes: list[tuple[int, int, int]]) -> None:
    points: dict[str, Callable[[], Cost]] = {}
    named: dict[str, tuple[str, dict[str, str | int]]] = {}
    for n_events, n_items, ranked in sizes:
        for subject, point in _points(plan, n_events, n_items, ranked).items():
            name = f"{subject} at {n_events:,} events, {n_items:,} items"
            needed = _bytes_needed(plan, subject, n_items)
            if needed > available_memory():
                notebook.left_out[name] = f"needs about {needed / 1e9:.1f} GB of memory, but less is free"
                continue
            points[name] = point
            named[name] = subject, {"events": n_events, "items": n_items}
    for name, costs in notebook.alternate(section, {"points": len(points)}, points).items():
        subject, case = named[name]
        record_costs(notebook, section, subject, case, costs)
        for key in ("events_learnt", "events_ranked"):
            if key in costs[0]:
                notebook.record(section, subject, case, "events_used", "events", [cost[key] for cost in costs])


def _points(plan: GrowthPlan, n_events: int, n_items: int, ranked: int) -> dict[str, Callable[[], Cost]]:
    sizes: dict[str, Any] = {"n_events": n_events, "n_items": n_items, "settings": dict(plan.settings)}
    found: dict[str, Callable[[], Cost]] = {
        f"fit {kind}": partial(run_point, "fit", kind=kind, most_learnt=plan.most_learnt, **sizes) for kind in FITTED
    }
    found[RANKING] = partial(run_point, "rank", ranked=ranked, **sizes)
    return found


def _bytes_needed(plan: GrowthPlan, subject: str, n_items: int) -> int:
    copies = _COPIES if "gru4rec" in subject else 1
    return copies * 4 * n_items * int(plan.settings["layers"][-1]) + _SPARE
