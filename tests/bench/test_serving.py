"""`bench --only serving`, and its load generator against servers whose times are known."""

import contextlib
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gru4rec_cli.base.arrays import Float64Array
from gru4rec_cli.base.errors import ExternalError
from gru4rec_cli.bench import serving
from gru4rec_cli.bench.clicks import make_clicks
from gru4rec_cli.bench.load import Answered, arrival_times, post, send
from gru4rec_cli.bench.plan import QUICK
from tests.small import study

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
FAULT = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\n{}"


@pytest.fixture
def stub() -> Iterator["Stub"]:
    server = Stub()
    yield server
    server.socket.close()


class Stub:
    """A server that answers one request after the other, and each after some time."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.port = int(self.socket.getsockname()[1])
        self.seconds = 0.0
        self.answer = OK
        self._one_at_a_time = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(ConnectionError):
            while client.recv(10_000):
                with self._one_at_a_time:
                    time.sleep(self.seconds)
                client.sendall(self.answer[:9])
                client.sendall(self.answer[9:])


def test_latency_counts_from_the_time_of_sending_so_that_a_stall_shows(stub: Stub):
    """Ten requests at once, each of which takes 30 ms, one after the other: the last one waits for all."""
    stub.seconds = 0.03
    found = send(stub.port, repeat(post("/", "{}")), [0.0] * 10)
    assert found.errors == 0
    assert np.all(np.sort(found.latencies) >= 0.03 * np.arange(1, 11) - 0.002)
    assert found.latencies.max() < 1.0


def test_more_requests_than_connections_are_under_way(stub: Stub):
    stub.seconds = 0.002
    found = send(stub.port, repeat(post("/", "{}")), [0.0] * 100)
    assert found.errors == 0
    assert np.isfinite(found.latencies).all()


def test_errors_are_counted(stub: Stub):
    stub.answer = FAULT
    assert send(stub.port, repeat(post("/", "{}")), [0.0, 0.01, 0.02]).errors == 3


def test_arrivals_are_a_poisson_process():
    times = arrival_times(200.0, 50.0, np.random.default_rng(3))
    gaps = np.diff(times)
    assert len(times) == pytest.approx(10_000, abs=400)  # four standard deviations
    assert gaps.mean() == pytest.approx(1 / 200, rel=0.04)
    assert gaps.std() == pytest.approx(1 / 200, rel=0.05)
    assert np.all(gaps >= 0)
    assert times[-1] < 50


@pytest.mark.parametrize(("most", "kept"), [(100, [20, 50, 100]), (50, [20, 50]), (10, None)])
def test_rates_below_one_at_which_requests_fail_are_kept(
    most: int, kept: list[int] | None, monkeypatch: pytest.MonkeyPatch
):
    @contextmanager
    def no_server(folder: Path) -> Iterator[tuple[SimpleNamespace, int]]:
        yield SimpleNamespace(pid=os.getpid()), 0

    def answered(port: int, requests: object, times: Float64Array) -> Answered:
        rate = len(times) / 2  # of a warm-up of a second, and a second
        return Answered(np.full(len(times), 0.001), np.zeros(len(times)), 7 if rate > most else 0)

    monkeypatch.setattr(serving, "_server", no_server)
    monkeypatch.setattr(serving, "send", answered)
    monkeypatch.setattr(serving, "arrival_times", lambda rate, seconds, _: np.arange(0, seconds, 1 / rate))
    plan = replace(QUICK, serving_rates=(20, 50, 100))
    clicks = make_clicks(500, 50, 200)
    if kept is None:
        with pytest.raises(ExternalError, match=r"^7 of 40 requests failed at 20 requests/s$"):
            serving._rising(plan, Path(), clicks)
        return
    found, failed = serving._rising(plan, Path(), clicks)
    assert list(found) == kept
    assert failed == ("" if len(kept) == 3 else "7 of 200 requests failed at 100 requests/s")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_quick_run_gives_latency_capacity_and_memory_of_every_kind():
    done = study("bench", "--quick", "--repeats", "1", "--threads", "1", "--only", "serving", "--json", fresh=True)
    assert done.returncode == 0, done.stderr
    found = {
        (m["subject"], m["quantity"], m["case"].get("rate")): m["median"]
        for m in json.loads(done.stdout)["measurements"]
    }
    for kind in ("gru4rec", "vsknn", "popularity"):
        assert 0 < found[kind, "p50", 20] <= found[kind, "p90", 20] <= found[kind, "p99", 20]
        assert found[kind, "server_cpu", 20] > 0
        assert found[kind, "served_rate", None] in (0, 20, 50)
        assert found[kind, "million_sessions", None] > 100  # MB: an id and three clicks take more than 100 bytes
    state = 4 * 8  # bytes of the tiny network's state
    assert found["gru4rec", "million_sessions", None] > found["popularity", "million_sessions", None] + state / 2
