"""Section `latency`: how long a visitor waits for a list of 20 items after a click."""

import time
from functools import partial

from gru4rec_cli.bench.clicks import make_clicks
from gru4rec_cli.bench.fitted import fitted_model, warm_up
from gru4rec_cli.bench.measurements import percentiles
from gru4rec_cli.bench.notebook import Notebook
from gru4rec_cli.bench.plan import Plan
from gru4rec_cli.data.sessions import Sessions
from gru4rec_cli.models.base import Recommender

SECTION = "latency"
_LENGTH = 20  # items of a list


def measure_latency(notebook: Notebook, plan: Plan, kinds: list[str]) -> None:
    """Percentiles of `recommend(history, 20)` for every kind, warm; histories are those of sessions not learnt from."""
    n_items = plan.latency_items
    clicks = make_clicks(max(plan.fit_events, 2 * n_items), n_items, plan.requests * 2)
    histories = histories_of(clicks.test)[: plan.requests]
    contestants = {}
    for kind in kinds:
        warm_up(kind)
        model = fitted_model(kind, plan.settings, clicks.train, notebook.progress)
        model.recommend(histories[0], _LENGTH)  # what is made at the first request is kept
        contestants[kind] = partial(_waits, model, histories)
    case = {"items": n_items, "requests": len(histories)}
    for kind, repeats in notebook.alternate(SECTION, case, contestants).items():
        by_repeat = [percentiles(waits) for waits in repeats]
        for name in by_repeat[0]:
            notebook.record(SECTION, kind, case, name, "ms", [found[name] for found in by_repeat])


def histories_of(sessions: Sessions) -> list[list[int]]:
    """The clicks before every event, one after the other."""
    rows = sessions.input_rows()
    starts = sessions.offsets[sessions.event_sessions()]
    return [sessions.items[start : row + 1].tolist() for start, row in zip(starts, rows, strict=True)]


def _waits(model: Recommender, histories: list[list[int]]) -> list[float]:
    """Seconds of each request."""
    waits = []
    for history in histories:
        start = time.perf_counter()
        model.recommend(history, _LENGTH)
        waits.append(time.perf_counter() - start)
    return waits
