"""Points measured in processes of their own, seen from here, and what is made of fits and start-ups."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import gru4rec_cli
from gru4rec_cli.base.errors import ExternalError
from gru4rec_cli.bench.fitted import NEURAL, warm_up
from gru4rec_cli.bench.notebook import Notebook
from gru4rec_cli.bench.plan import Plan

MEGA = 1e6
_LAST_LINES = 8


def run_point(job: str, **asked: Any) -> dict[str, float]:
    """What `gru4rec_cli.bench.point` answers. Raises `ExternalError` where its process fails."""
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
            f"the process of a point ended early ({how}): {job} {asked}{said}", "perhaps memory ran out"
        )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def measure_fits(notebook: Notebook, plan: Plan, kinds: list[str]) -> None:
    """Section `fit`: time and peak memory of fitting every kind, each in a process of its own."""
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
    """Time, peak, and what the process held before."""
    notebook.record(section, subject, case, "seconds", "s", [cost["seconds"] for cost in costs])
    for quantity, key in (("peak_memory", "peak_memory_bytes"), ("memory_before", "memory_before_bytes")):
        notebook.record(section, subject, case, quantity, "MB", [cost[key] / MEGA for cost in costs])


def measure_startup(notebook: Notebook, plan: Plan, *, with_official: bool) -> None:
    """Section `start-up`: from the start of a process to the end of its first training step."""
    case = {"items": plan.latency_items, "events": plan.startup_events}
    sizes = {"n_events": plan.startup_events, "n_items": plan.latency_items, "settings": dict(plan.settings)}
    warm_up("gru4rec")  # so that no process has anything to compile

    def start(kind: str) -> float:
        return run_point("first_step", kind=kind, began=time.time(), **sizes)["seconds"]

    contestants = {kind: partial(start, kind) for kind in NEURAL if with_official or kind != "official"}
    for kind, seconds in notebook.alternate("start-up", case, contestants).items():
        notebook.record("start-up", kind, case, "seconds", "s", seconds)
