"""Sections `ranking` and `latency`: fitted models rank all items for many events, and recommend for one history."""

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

from gru4rec_cli.bench.clicks import Clicks, make_clicks
from gru4rec_cli.bench.fitted import fitted_model, warm_up
from gru4rec_cli.bench.notebook import Notebook, percentiles
from gru4rec_cli.bench.plan import Plan
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.evaluation.ranking import rank_targets
from gru4rec_cli.evaluation.scores import block_ranges
from gru4rec_cli.models.base import Recommender

RANKING, LATENCY = "ranking", "latency"
KINDS = ("gru4rec", "popularity", "markov", "vsknn", "vstan")
RANKS_ALONE = "gru4rec, no lists"
PRODUCT = "product alone"
LIST_LENGTH = 20  # items of a list, as in `evaluate` by default


def measure_ranking(notebook: Notebook, plan: Plan) -> None:
    """Measure events ranked per second: every kind of `KINDS`, GRU4Rec also without lists, and products of its size."""
    for kind in KINDS:
        warm_up(kind)
    for n_items in plan.ranking_items:
        clicks = make_clicks(max(plan.fit_events, 2 * n_items), n_items, plan.ranking_events)
        contestants = _contestants(notebook, plan, clicks)
        case = {"items": n_items, "events": clicks.test.n_targets}
        found = notebook.alternate(RANKING, case, contestants)
        for subject, rates in found.items():
            notebook.record(RANKING, subject, case, "events_per_second", "events/s", rates)
        for subject in ("gru4rec", RANKS_ALONE):
            over = np.array(found[PRODUCT]) / np.array(found[subject])
            notebook.record(RANKING, subject, case, "time_over_product", "×", list(over))


def _contestants(notebook: Notebook, plan: Plan, clicks: Clicks) -> dict[str, Callable[[], float]]:
    found: dict[str, Callable[[], float]] = {}
    for kind in KINDS:
        model = fitted_model(kind, plan.settings, clicks.train, notebook.progress)
        rate = partial(_rate, n_events=clicks.test.n_targets, seconds=plan.ranking_seconds)
        found[kind] = partial(rate, partial(_rank, model, clicks.test, LIST_LENGTH))
        if kind == "gru4rec":
            units = int(plan.settings["layers"][-1])
            found[RANKS_ALONE] = partial(rate, partial(_rank, model, clicks.test, 0))
            found[PRODUCT] = partial(rate, _product(clicks.test.n_targets, units, clicks.train.n_items))
    return found


def _rank(model: Recommender, test: Sessions, longest: int) -> None:
    rank_targets(model.score(test), test, longest=longest)


def _product(n_events: int, units: int, n_items: int) -> Callable[[], None]:
    """A function that multiplies all states by all items, block by block into one buffer, as `score` does."""
    queries, matrix = torch.rand(n_events, units), torch.rand(n_items, units)
    ranges = list(block_ranges(n_events, n_items))
    buffer = torch.empty(ranges[0][1], n_items)

    def product() -> None:
        for start, stop in ranges:
            torch.mm(queries[start:stop], matrix.T, out=buffer[: stop - start])

    return product


def _rate(work: Callable[[], None], n_events: int, seconds: float) -> float:
    """Events per second, over as many rounds as fill `seconds`."""
    rounds = 0
    start = time.perf_counter()
    while True:
        work()
        rounds += 1
        elapsed = time.perf_counter() - start
        if elapsed >= seconds:
            return rounds * n_events / elapsed


def measure_latency(notebook: Notebook, plan: Plan, kinds: list[str]) -> None:
    """Measure percentiles of `recommend(history, 20)` for every kind, warm, on histories of sessions not trained on."""
    n_items = plan.latency_items
    clicks = make_clicks(max(plan.fit_events, 2 * n_items), n_items, plan.requests * 2)
    histories = histories_of(clicks.test)[: plan.requests]
    contestants = {}
    for kind in kinds:
        warm_up(kind)
        model = fitted_model(kind, plan.settings, clicks.train, notebook.progress)
        model.recommend(histories[0], LIST_LENGTH)  # the first request builds what later ones use
        contestants[kind] = partial(_waits, model, histories)
    case = {"items": n_items, "requests": len(histories)}
    for kind, repeats in notebook.alternate(LATENCY, case, contestants).items():
        by_repeat = [percentiles(waits) for waits in repeats]
        for name in by_repeat[0]:
            notebook.record(LATENCY, kind, case, name, "ms", [found[name] for found in by_repeat])


def histories_of(sessions: Sessions) -> list[list[int]]:
    """Return the history of every event: its session's items before it."""
    rows = sessions.input_rows()
    starts = sessions.offsets[sessions.event_sessions()]
    return [sessions.items[start : row + 1].tolist() for start, row in zip(starts, rows, strict=True)]


def _waits(model: Recommender, histories: list[list[int]]) -> list[float]:
    """Seconds of each request."""
    waits = []
    for history in histories:
        start = time.perf_counter()
        model.recommend(history, LIST_LENGTH)
        waits.append(time.perf_counter() - start)
    return waits
