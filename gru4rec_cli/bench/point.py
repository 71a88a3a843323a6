"""One point in a process of its own, so that its peak of memory is its own: `python -m gru4rec_cli.bench.point JSON`.

The argument names a job and its sizes; the answer is one JSON document on stdout.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

from gru4rec_cli.base.measuring import measured, peak_memory
from gru4rec_cli.bench.clicks import SEED, make_clicks


def fit(kind: str, n_events: int, n_items: int, settings: dict[str, Any], most_learnt: int = 0) -> dict[str, float]:
    """Fit a model; GRU4Rec on `most_learnt` events at most, if that is above 0."""
    from gru4rec_cli.bench.fitted import new_model, warm_up

    warm_up(kind)
    train = make_clicks(n_events, n_items).train
    learnt = train.n_targets
    with measured() as cost:
        before = peak_memory()
        if kind == "gru4rec" and 0 < most_learnt < learnt:
            learnt = _learn(train, settings, most_learnt)
        else:
            from gru4rec_cli.models.base import FitContext

            new_model(kind, settings).fit(train, FitContext(seed=SEED))
    return {
        "seconds": cost.seconds,
        "peak_memory_bytes": cost.peak_memory_bytes,
        "memory_before_bytes": before,
        "events_learnt": learnt,
    }


def _learn(train: Any, settings: dict[str, Any], most: int) -> int:
    from gru4rec_cli.bench.steps import time_ours

    return int(time_ours(train, settings, max(1, most // settings["batch_size"]), threads=1).events.sum())


def rank(n_events: int, n_items: int, ranked: int, settings: dict[str, Any]) -> dict[str, float]:
    """Rank `ranked` of `n_events` events with GRU4Rec's weights as they are before training."""
    from gru4rec_cli.bench.fitted import warm_up
    from gru4rec_cli.evaluation.ranking import rank_targets
    from gru4rec_cli.models import gru4rec
    from gru4rec_cli.models.gru4rec.network import initial_parameters

    warm_up("gru4rec")
    model = gru4rec.Model(gru4rec.Settings.model_validate(settings))
    model.parameters = initial_parameters(n_items, model.settings, SEED)
    train = make_clicks(n_events, n_items).train
    sessions = train.select(_first_sessions(train, ranked))
    with measured() as cost:
        before = peak_memory()
        rank_targets(model.score(sessions), sessions, longest=20)
    return {
        "seconds": cost.seconds,
        "peak_memory_bytes": cost.peak_memory_bytes,
        "memory_before_bytes": before,
        "events_ranked": sessions.n_targets,
    }


def _first_sessions(sessions: Any, n_events: int) -> Any:
    import numpy as np

    return np.flatnonzero(np.cumsum(sessions.lengths - 1) <= n_events)


def first_step(kind: str, n_events: int, n_items: int, settings: dict[str, Any], began: float) -> dict[str, float]:
    """Seconds from `began`, when this process (ours) or the author's (official) was started, to the end of the first
    training step; making the clicks is not counted."""
    start = time.time()
    train = make_clicks(n_events, n_items).train
    made = time.time()
    if kind == "gru4rec":
        from gru4rec_cli.bench.steps import time_ours

        time_ours(train, settings, 1, 1)
        return {"seconds": time.time() - began - (made - start)}
    from gru4rec_cli.models import official
    from gru4rec_cli.models.official.model import Model

    start = time.time()
    Model(official.Settings.model_validate(settings)).time_steps(train, 1, seed=SEED, threads=1)
    return {"seconds": time.time() - start}


def keep_sessions(folder: str, sessions: int) -> dict[str, float]:
    """Keep so many sessions for the model in a folder, as a server does."""
    from gru4rec_cli.bench.serving import memory_of_sessions

    return memory_of_sessions(folder, sessions)


def main() -> None:
    asked = json.loads(sys.argv[1])
    if "layers" in asked.get("settings", {}):
        asked["settings"]["layers"] = tuple(asked["settings"]["layers"])
    jobs: dict[str, Callable[..., dict[str, float]]] = {
        "fit": fit,
        "rank": rank,
        "first_step": first_step,
        "sessions": keep_sessions,
    }
    print(json.dumps(jobs[asked.pop("job")](**asked)))


if __name__ == "__main__":
    main()
