"""`bench --only serving`, and its load generator against servers whose times are known."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from itertools import repeat

import numpy as np
import pytest

from gru4rec_cli.bench.load import arrival_times, post, send
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
