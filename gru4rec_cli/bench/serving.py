"""Section `serving`: a server in a process of its own under rising load, and what a kept session takes."""

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gru4rec_cli.base.errors import ExternalError
from gru4rec_cli.bench.clicks import SEED, Clicks, make_clicks
from gru4rec_cli.bench.fitted import fitted_model
from gru4rec_cli.bench.load import Answered, arrival_times, post, send
from gru4rec_cli.bench.notebook import Notebook
from gru4rec_cli.bench.plan import Plan
from gru4rec_cli.bench.processes import run_point
from gru4rec_cli.models import registry

SERVING = "serving"
KINDS = ("gru4rec", "vsknn", "popularity")
SLOWEST = 0.050  # seconds that p90 may be, for a rate to count as served

_LIVE = 200  # sessions that take turns
_WARM_UP = 1.0  # seconds of every load that do not count
_START = 120.0  # seconds that a server may need to start
_STARTED = re.compile(r"on http://127\.0\.0\.1:(\d+)")


@dataclass(frozen=True)
class _Found:
    """The figures of one rate."""

    p50: float
    p90: float
    p99: float
    late_p90: float
    cpu: float  # seconds of the server's processor a request
    memory: int  # bytes of the server

    @property
    def served(self) -> bool:
        return self.p90 <= SLOWEST


def measure_serving(notebook: Notebook, plan: Plan) -> None:
    """Measure latency against rate, the highest rate that is served, and memory, for every kind and number of items."""
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        notebook.left_out[SERVING] = f"{error.name} is not installed; pip install 'gru4rec-study[serve]'"
        return
    for n_items in plan.serving_items:
        clicks = make_clicks(max(plan.fit_events, 2 * n_items), n_items, plan.serving_events)
        for kind in KINDS:
            with tempfile.TemporaryDirectory() as folder:
                _save_model(Path(folder), kind, plan, clicks)
                try:
                    _measure_kind(notebook, plan, kind, Path(folder), clicks)
                except ExternalError as error:
                    notebook.left_out[f"{SERVING}: {kind} (items {n_items:,})"] = error.message


def _save_model(folder: Path, kind: str, plan: Plan, clicks: Clicks) -> None:
    """Save a fitted model; GRU4Rec with its weights as they are before training, which are as fast."""
    from gru4rec_cli.models.gru4rec import Model, Settings
    from gru4rec_cli.models.gru4rec.network import initial_parameters

    if kind == "gru4rec":
        model = Model(Settings.model_validate(dict(plan.settings)))
        model.parameters = initial_parameters(clicks.train.n_items, model.settings, SEED)
    else:
        model = fitted_model(kind, plan.settings, clicks.train)
    registry.save_model(folder, kind, model.settings, SEED, model, clicks.train.vocabulary.ids)


def _measure_kind(notebook: Notebook, plan: Plan, kind: str, folder: Path, clicks: Clicks) -> None:
    n_items = clicks.train.n_items
    repeats = []
    for repeat in range(notebook.repeats):
        with notebook.progress.task(f"{SERVING}, {kind}, items {n_items:,}, repeat {repeat + 1}"):
            by_rate, failed = _rising(plan, folder, clicks)
            repeats.append(by_rate)
            if failed:
                notebook.left_out[f"{SERVING}: {kind} (items {n_items:,}) at higher rates"] = failed
    for rate in plan.serving_rates:
        found = [by_rate[rate] for by_rate in repeats if rate in by_rate]
        if len(found) < notebook.repeats:
            break
        case = {"items": n_items, "rate": rate}
        for name in ("p50", "p90", "p99", "late_p90"):
            notebook.record(SERVING, kind, case, name, "ms", [getattr(one, name) * 1000 for one in found])
        notebook.record(SERVING, kind, case, "server_cpu", "ms/request", [one.cpu * 1000 for one in found])
        notebook.record(SERVING, kind, case, "server_memory", "MB", [one.memory / 1e6 for one in found])
    highest = [max((rate for rate, one in by_rate.items() if one.served), default=0) for by_rate in repeats]
    notebook.record(SERVING, kind, {"items": n_items}, "served_rate", "requests/s", highest)
    kept = [
        run_point("sessions", folder=str(folder), sessions=plan.serving_sessions)["bytes"]
        for _ in range(notebook.repeats)
    ]
    a_million = [bytes_ / plan.serving_sessions for bytes_ in kept]  # bytes of one are megabytes of a million
    notebook.record(SERVING, kind, {"items": n_items}, "million_sessions", "MB", a_million)


def _rising(plan: Plan, folder: Path, clicks: Clicks) -> tuple[dict[int, _Found], str]:
    """Return the figures by rate, up to the first that is not served, and what failed at the next one, if anything.

    Raises:
        ExternalError: requests fail at the lowest rate already.
    """
    found: dict[int, _Found] = {}
    requests, generator = click_requests(clicks), np.random.default_rng(SEED)
    with _server(folder) as (process, port):
        for rate in plan.serving_rates:
            times = arrival_times(rate, _WARM_UP + plan.serving_seconds, generator)
            before = _cpu_seconds(process.pid)
            answered = send(port, requests, times)
            cpu = (_cpu_seconds(process.pid) - before) / max(1, len(times))
            if answered.errors:
                failed = f"{answered.errors:,} of {len(times):,} requests failed at {rate:,} requests/s"
                if found:
                    return found, failed
                raise ExternalError(failed, "see the server's log")
            found[rate] = _figures(answered.after(_WARM_UP, times), cpu, resident_memory(process.pid))
            if not found[rate].served:
                break
    return found, ""


def _figures(answered: Answered, cpu: float, memory: int) -> _Found:
    p50, p90, p99 = np.percentile(answered.latencies, (50, 90, 99)).tolist()
    return _Found(p50, p90, p99, float(np.percentile(answered.lateness, 90)), cpu, memory)


def click_requests(clicks: Clicks) -> Iterator[bytes]:
    """Yield clicks of sessions that are not trained on, `_LIVE` sessions taking turns; again and again."""
    test = clicks.test
    bounds = list(zip(test.offsets[:-1].tolist(), test.offsets[1:].tolist(), strict=True))
    number = 0

    def begin() -> tuple[str, Iterator[int]]:
        nonlocal number
        start, stop = bounds[number % len(bounds)]
        number += 1
        return f"session-{number}", iter(test.items[start:stop].tolist())

    live = [begin() for _ in range(_LIVE)]
    while True:
        for place in range(_LIVE):
            session, items = live[place]
            item = next(items, None)
            if item is None:
                live[place] = session, items = begin()
                item = next(items)
            yield post(f"/v1/sessions/{session}/events", json.dumps({"item": item}))


@contextmanager
def _server(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Start a server on a free port."""
    log = folder / "server.log"
    arguments = [sys.executable, "-m", "gru4rec_cli", "serve", str(folder), "--port", "0"]
    with log.open("wb") as stream:
        process = subprocess.Popen(arguments, stdout=stream, stderr=stream)
    try:
        end = time.monotonic() + _START
        while not (started := _STARTED.search(log.read_text())):
            if process.poll() is not None or time.monotonic() > end:
                raise ExternalError(f"the server did not start: {log.read_text()[-500:]}", "try gru4rec-study serve")
            time.sleep(0.05)
        yield process, int(started[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _cpu_seconds(pid: int) -> float:
    """Return the processor time of a process, 0 where the system does not tell."""
    path = Path(f"/proc/{pid}/stat")
    if not path.exists():
        return 0.0
    parts = path.read_text().rpartition(")")[2].split()
    return float(int(parts[11]) + int(parts[12])) / float(os.sysconf("SC_CLK_TCK"))


def resident_memory(pid: int) -> int:
    """Return the bytes of memory that a process has, 0 where the system does not tell."""
    path = Path(f"/proc/{pid}/statm")
    return int(path.read_text().split()[1]) * os.sysconf("SC_PAGESIZE") if path.exists() else 0


def memory_of_sessions(folder: str, sessions: int) -> dict[str, Any]:
    """Return the bytes that so many sessions of three clicks take, with their states, for a process of its own."""
    from gru4rec_cli.serving.engine import Engine
    from gru4rec_cli.serving.places import load_served
    from gru4rec_cli.serving.sessions import SessionStore

    served = load_served(Path(folder), None)
    engine = Engine(served, SessionStore(1e9, sessions), sessions, 100)
    ids = served.fitted.id_list
    size = engine.state_size
    before = resident_memory(os.getpid())
    for number in range(sessions):
        session, clicks = f"session-{number:032d}", [ids[(number + place) % len(ids)] for place in range(3)]
        engine.sessions.keep(session, clicks)
        if size:
            engine.states.keep(session, np.full(size, number, dtype=np.float32))
    return {"bytes": resident_memory(os.getpid()) - before}
