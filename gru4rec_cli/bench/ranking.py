"""Section `ranking`: full ranking, scores and counts together, beside the matrix product alone."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from gru4rec_cli.bench.clicks import Clicks, make_clicks
from gru4rec_cli.bench.fitted import fitted_model, warm_up
from gru4rec_cli.bench.notebook import Notebook
from gru4rec_cli.bench.plan import Plan
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.ranking import rank_targets
from gru4rec_cli.evaluation.scores import block_ranges
from gru4rec_cli.models.base import Recommender

SECTION = "ranking"
KINDS = ("gru4rec", "popularity", "markov", "vsknn", "vstan")
RANKS_ALONE = "gru4rec, no lists"
PRODUCT = "product alone"
_LONGEST = 20  # items of the lists that are kept, as `evaluate` does by default


def measure_ranking(notebook: Notebook, plan: Plan) -> None:
    """Events ranked a second by every kind of `KINDS`, by GRU4Rec also without lists, and products of its size."""
    for kind in KINDS:
        warm_up(kind)
    for n_items in plan.ranking_items:
        clicks = make_clicks(max(plan.fit_events, 2 * n_items), n_items, plan.ranking_events)
        contestants = _contestants(notebook, plan, clicks)
        case = {"items": n_items, "events": clicks.test.n_targets}
        found = notebook.alternate(SECTION, case, contestants)
        for subject, rates in found.items():
            notebook.record(SECTION, subject, case, "events_per_second", "events/s", rates)
        for subject in ("gru4rec", RANKS_ALONE):
            over = np.array(found[PRODUCT]) / np.array(found[subject])
            notebook.record(SECTION, subject, case, "time_over_product", "×", list(over))


def _contestants(notebook: Notebook, plan: Plan, clicks: Clicks) -> dict[str, Callable[[], float]]:
    found: dict[str, Callable[[], float]] = {}
    for kind in KINDS:
        model = fitted_model(kind, plan.settings, clicks.train, notebook.progress)
        rate = partial(_rate, n_events=clicks.test.n_targets, seconds=plan.ranking_seconds)
        found[kind] = partial(rate, partial(_rank, model, clicks.test, _LONGEST))
        if kind == "gru4rec":
            units = int(plan.settings["layers"][-1])
            found[RANKS_ALONE] = partial(rate, partial(_rank, model, clicks.test, 0))
            found[PRODUCT] = partial(rate, _product(clicks.test.n_targets, units, clicks.train.n_items))
    return found


def _rank(model: Recommender, test: Sessions, longest: int) -> None:
    rank_targets(model.score(test), test, longest=longest)


def _product(n_events: int, units: int, n_items: int) -> Callable[[], None]:
    """All states times all items, block by block into the same room, as `score` cuts it."""
    queries, matrix = torch.rand(n_events, units), torch.rand(n_items, units)
    ranges = list(block_ranges(n_events, n_items))
    room = torch.empty(ranges[0][1], n_items)

    def product() -> None:
        for start, stop in ranges:
            torch.mm(queries[start:stop], matrix.T, out=room[: stop - start])

    return product


def _rate(work: Callable[[], None], n_events: int, seconds: float) -> float:
    """Events a second, of as many rounds as it takes to fill `seconds`."""
    rounds = 0
    start = time.perf_counter()
    while True:
        work()
        rounds += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return rounds * n_events / elapsed
