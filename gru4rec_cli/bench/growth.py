"""How time and memory grow with events and with items: points in processes of their own."""

from collections.abc import Callable
from functools import partial
from typing import Any

from gru4rec_cli.bench.fitted import warm_up
from gru4rec_cli.bench.machine import available_memory
from gru4rec_cli.bench.notebook import Notebook
from gru4rec_cli.bench.plan import GrowthPlan
from gru4rec_cli.bench.processes import record_costs, run_point

SECTIONS = ("growth with events", "growth with items")
FITTED = ("markov", "vsknn", "gru4rec")
RANKING = "ranking"

_COPIES = 4  # of the item matrix: weights, accumulators, momenta, and one while they are drawn
_SPARE = 2**30

Cost = dict[str, float]


def measure_growth(notebook: Notebook, plan: GrowthPlan) -> None:
    """Along the axis of events, then along that of items; the sizes of an axis take turns too."""
    for kind in FITTED:
        warm_up(kind)
    axes = (
        [(n_events, plan.items_of_events, n_events) for n_events in plan.events],
        [(plan.events_of_items, n_items, plan.ranked_of_items) for n_items in plan.items],
    )
    for section, sizes in zip(SECTIONS, axes, strict=True):
        _measure_axis(notebook, plan, section, sizes)


def _measure_axis(notebook: Notebook, plan: GrowthPlan, section: str, sizes: list[tuple[int, int, int]]) -> None:
    points: dict[str, Callable[[], Cost]] = {}
    named: dict[str, tuple[str, dict[str, str | int]]] = {}
    for n_events, n_items, ranked in sizes:
        for subject, point in _points(plan, n_events, n_items, ranked).items():
            name = f"{subject} at {n_events:,} events, {n_items:,} items"
            needed = _bytes_needed(plan, subject, n_items)
            if needed > available_memory():
                notebook.left_out[name] = f"needs about {needed / 1e9:.1f} GB of memory, and less is free"
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
