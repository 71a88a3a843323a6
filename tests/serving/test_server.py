"""`serve` as clients meet it: a real process, real sockets, real kills, and clients that misbehave."""

import json
import re
import resource
import shlex
import signal
import socket
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from gru4rec_cli.serving.sessions import Disk, SessionStore
from tests.serving.http import Server, running
from tests.small import SMALL, command, study, write_config

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MODELS = {"gru4rec": "train", "vsknn": "baseline"}
CONFIG: dict[str, Any] = {**SMALL, "baseline": {"models": {"vsknn": {"k": 20, "sample_size": 50}, "popularity": {}}}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    config = write_config(folder, CONFIG)
    done = subprocess.run(
        command("run", "--config", config, "--run-dir", folder / "run", "--quiet"), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture(scope="module")
def server(run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    with running(folder, run, "--model", "gru4rec", "--max-clicks", "50", "--body-seconds", "1") as started:
        yield started


def evaluated(run: Path, model: str) -> dict[tuple[Any, int], tuple[int, list[int]]]:
    """The last click and the list of every event that `evaluate` ranked, by session and position."""
    test = pl.read_parquet(run / "split" / "test.parquet")
    clicks = {
        session: part["item_id"].to_list() for (session,), part in test.group_by("session_id", maintain_order=True)
    }
    lists = pl.read_parquet(run / "evaluate" / "lists" / f"{model}.parquet")
    rows = lists.select("session_id", "position", "items").iter_rows()
    return {(session, position): (clicks[session][position - 1], list(items)) for session, position, items in rows}


@pytest.mark.parametrize("model", MODELS)
def test_live_sessions_get_what_evaluate_ranked_also_after_a_kill_and_a_reload(run: Path, tmp_path: Path, model: str):
    expected = evaluated(run, model)
    chosen = sorted(expected)[:120]
    options = ("--model", model, "--sessions-file", tmp_path / "kept.sqlite", "--max-states", "5")
    third = len(chosen) // 3
    for part in (chosen[:third], chosen[third : 2 * third], chosen[2 * third :]):
        with running(tmp_path, run, *options) as server:
            for number, (session, position) in enumerate(part):
                if number == third // 2:
                    server.process.send_signal(signal.SIGHUP)
                item, items = expected[session, position]
                answer = server.click(str(session), item, k=20)
                assert answer["clicks"] == position
                assert answer["items"] == items[:20]
            server.process.kill()


BAD: dict[str, tuple[str, str, Any, int, str]] = {
    "unknown route": ("GET", "/v1/nothing", None, 404, "/openapi.json"),
    "wrong method": ("PUT", "/v1/recommend", {}, 405, "PUT"),
    "no body": ("POST", "/v1/recommend", b"", 400, "JSON"),
    "half a body": ("POST", "/v1/recommend", b'{"items": [1', 400, "JSON"),
    "no UTF-8": ("POST", "/v1/recommend", b'{"items": ["\xff"]}', 400, ""),
    "half a character": ("POST", "/v1/recommend", b'{"items": ["\\ud800"]}', 400, ""),
    "deep nesting": ("POST", "/v1/recommend", b"[" * 200_000, 400, ""),
    "a long number": ("POST", "/v1/recommend", b'{"items": [' + b"9" * 5000 + b"]}", 400, ""),
    "no items": ("POST", "/v1/recommend", {"items": []}, 422, "items"),
    "items are one": ("POST", "/v1/recommend", {"items": 5}, 422, "items"),
    "a fraction": ("POST", "/v1/recommend", {"items": [1.5]}, 422, "items"),
    "true": ("POST", "/v1/recommend", {"items": [True]}, 422, "items"),
    "null": ("POST", "/v1/sessions/s/events", {"item": None}, 422, "item"),
    "unknown key": ("POST", "/v1/recommend", {"items": [1], "kk": 3}, 422, "kk"),
    "k is 0": ("POST", "/v1/recommend", {"items": [1], "k": 0}, 422, "k"),
    "k beyond the limit": ("POST", "/v1/recommend", {"items": [1], "k": 101}, 422, "at most 100"),
    "k is text": ("POST", "/v1/recommend", {"items": [1], "k": "5"}, 422, "k"),
    "too many clicks": ("POST", "/v1/recommend", {"items": [1] * 51}, 409, "50 clicks"),
    "a long item id": ("POST", "/v1/recommend", {"items": ["x" * 513]}, 422, "512"),
    "a long session id": ("POST", f"/v1/sessions/{'x' * 513}/events", {"item": 1}, 400, "512"),
    "an empty session id": ("POST", "/v1/sessions//events", {"item": 1}, 400, "1 to 512"),
    "a session id of bytes": ("POST", "/v1/sessions/%ff/events", {"item": 1}, 400, "UTF-8"),
    "a control character": ("POST", "/v1/sessions/a%00b/events", {"item": 1}, 400, "control"),
    "an encoded route": ("POST", "/v1/sessions/a%2Fevents", {"item": 1}, 404, "encoded"),
    "no such session": ("GET", "/v1/sessions/nobody", None, 404, "nothing is kept"),
    "too large": ("POST", "/v1/recommend", b" " * 1_000_001, 413, "1000000 bytes"),
    "reload at the wrong address": ("POST", "/v1/reload", None, 404, ""),
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_wrong_is_told_as_a_problem_document(server: Server, case: str):
    method, path, body, status, said = BAD[case]
    reply = server.request(method, path, body, {"X-Request-ID": "mine-1"})
    assert reply.status == status, reply.raw
    assert reply.headers["content-type"] == "application/problem+json"
    problem = reply.json
    assert problem["status"] == status
    assert problem["request_id"] == reply.headers["x-request-id"] == "mine-1"
    assert problem["type"].startswith("urn:gru4rec-study:problem:")
    assert problem["title"]
    assert said in problem["detail"]


@pytest.mark.parametrize("session", ["a", "a/b", "a/b/events", "ключ 🙂", "a%2Fb", "..", "a?b#c", " ", "a+b", "a b"])
def test_any_text_is_a_session_id(server: Server, session: str):
    from urllib.parse import quote

    path = f"/v1/sessions/{quote(session, safe='')}"
    assert server.click(session, 3)["clicks"] == 1
    assert server.click(session, 4)["clicks"] == 2
    kept = server.request("GET", path).json
    assert (kept["session"], kept["items"], kept["warm"]) == (session, [3, 4], True)
    assert server.request("DELETE", path).status == 204
    assert server.request("DELETE", path).status == 404


def test_unknown_items_are_named_and_do_no_harm(server: Server):
    alone = server.request("POST", "/v1/recommend", {"items": [3], "k": 5}).json
    among = server.request("POST", "/v1/recommend", {"items": [10**30, 3, "x", "3 "], "k": 5}).json
    assert among["unknown"] == [10**30, "x", "3 "]
    assert (among["items"], among["scores"]) == (alone["items"], alone["scores"])
    nothing = server.request("POST", "/v1/recommend", {"items": ["x"], "k": 5}).json
    assert len(nothing["items"]) == 5


def test_the_document_describes_every_route(server: Server):
    document = server.request("GET", "/openapi.json").json
    assert document["openapi"].startswith("3.1")
    for path, operations in document["paths"].items():
        for method in operations:
            asked = path.replace("{session}", "openapi")
            assert server.request(method.upper(), asked, {} if method == "post" else None).status not in (404, 405) or (
                path == "/v1/sessions/{session}"
            )
    answer = server.request("POST", "/v1/recommend", {"items": [3]}).json
    assert set(answer) == set(document["components"]["schemas"]["AnswerBody"]["properties"])
    references = [part.split('"')[0] for part in json.dumps(document).split("#/components/schemas/")[1:]]
    assert set(references) <= set(document["components"]["schemas"])


def test_measures_count_requests_and_sessions(server: Server):
    def value(name: str) -> float:
        lines = server.request("GET", "/metrics").raw.decode().splitlines()
        return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)

    name = 'gru4rec_requests_total{method="POST",route="/v1/sessions/{session}/events",status="200"}'
    before, unknown, kept = value(name), value("gru4rec_unknown_items_total"), value("gru4rec_sessions ")
    server.click("measured", "no such item")
    assert value(name) == before + 1
    assert value("gru4rec_unknown_items_total") == unknown + 1
    assert value("gru4rec_sessions ") == kept + 1


def test_a_body_of_100_megabytes_is_refused_without_being_kept(server: Server):
    before = server.memory()
    head = b"POST /v1/recommend HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(head)
        sent = 0
        try:
            for _ in range(100):
                client.sendall(b"100000\r\n" + b" " * 0x100000 + b"\r\n")
                sent += 1
            answer = client.recv(1000)
        except (ConnectionResetError, BrokenPipeError):
            answer = b"HTTP/1.1 413"  # the connection was closed on us
        assert answer.startswith(b"HTTP/1.1 413")
    assert server.memory() - before < 20_000_000
    assert server.request("GET", "/healthz").status == 200


def test_a_body_that_does_not_come_is_given_up(server: Server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
        client.sendall(b"POST /v1/recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        start = time.monotonic()
        answer = client.recv(2000)
    assert answer.startswith(b"HTTP/1.1 408")
    assert time.monotonic() - start < 20


def test_ten_thousand_idle_connections_keep_nobody_out(server: Server):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = 12_000 if hard == resource.RLIM_INFINITY else min(hard, 12_000)
    wanted = min(10_000, limit - 500)
    if wanted < 500:
        pytest.skip(f"this system allows {hard} open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    idle: list[socket.socket] = []
    try:
        while len(idle) < wanted:
            idle.append(socket.create_connection(("127.0.0.1", server.port), timeout=30))
        start = time.monotonic()
        assert server.click("beside idle ones", 3)["clicks"] == 1
        assert time.monotonic() - start < 5
    finally:
        for client in idle:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert server.request("GET", "/healthz").status == 200


def test_clients_at_the_same_time_get_their_own_answers(server: Server, run: Path):
    expected = evaluated(run, "gru4rec")
    sessions = sorted({session for session, _ in expected})[:40]

    def visit(session: int) -> None:
        for position in range(1, 100):
            if (session, position) not in expected:
                return
            item, items = expected[session, position]
            answer = server.click(f"visitor {session}", item, k=20)
            assert (answer["clicks"], answer["items"]) == (position, items[:20])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(visit, sessions))


def test_no_request_is_lost_while_the_model_is_loaded_anew(run: Path, tmp_path: Path):
    expected = evaluated(run, "gru4rec")
    statuses: list[int] = []
    stopped = threading.Event()

    with running(tmp_path, run, "--model", "gru4rec", "--admin-port", str(free_port())) as server:
        events = sorted(expected)

        def send() -> None:
            for number in range(10**6):
                if stopped.is_set():
                    return
                item, _ = expected[events[number % len(events)]]
                reply = server.request(
                    "POST", f"/v1/sessions/{threading.get_ident()}-{number // 5}/events", {"item": item}
                )
                statuses.append(reply.status)

        threads = [threading.Thread(target=send) for _ in range(3)]
        for thread in threads:
            thread.start()
        for _ in range(3):
            time.sleep(0.5)
            before = reloads(server)
            server.process.send_signal(signal.SIGHUP)
            end = time.monotonic() + 30
            while reloads(server) == before:
                assert time.monotonic() < end
                time.sleep(0.05)
        stopped.set()
        for thread in threads:
            thread.join()
        assert server.stop() == 0
    assert len(statuses) > 20
    assert set(statuses) == {200}


def reloads(server: Server) -> float:
    lines = server.request("GET", "/metrics").raw.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith("gru4rec_reloads_total{"))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_reload_at_the_admin_address_and_a_damaged_model_changes_nothing(run: Path, tmp_path: Path):
    import shutil

    model = tmp_path / "model"
    shutil.copytree(run / "train" / "gru4rec", model)
    admin = free_port()
    with running(tmp_path, model, "--admin-port", str(admin)) as server:
        first = server.click("s", 3)
        assert server.request("POST", "/v1/reload", port=admin).json["model"] == first["model"]
        shutil.rmtree(model)
        shutil.copytree(run / "baseline" / "vsknn", model)
        version = server.request("POST", "/v1/reload", port=admin).json["model"]
        assert version != first["model"]
        second = server.click("s", 4)
        assert (second["model"], second["clicks"]) == (version, 2)
        (model / "arrays.safetensors").write_bytes(b"nonsense")
        refused = server.request("POST", "/v1/reload", port=admin)
        assert refused.status == 409
        assert "damaged" in refused.json["detail"]
        assert server.click("s", 5)["model"] == version
        (model / "arrays.safetensors").unlink()
        server.process.send_signal(signal.SIGHUP)
        end = time.monotonic() + 30
        while "the model in use stays" not in server.log.read_text():
            assert time.monotonic() < end
            time.sleep(0.05)
        assert server.click("s", 5)["clicks"] == 4


def test_what_cannot_be_served_is_refused_at_start(run: Path, tmp_path: Path):
    import shutil

    damaged = tmp_path / "damaged"
    shutil.copytree(run / "train" / "gru4rec", damaged)
    (damaged / "weights.safetensors").write_bytes((damaged / "weights.safetensors").read_bytes()[:-10])
    (tmp_path / "text.txt").write_text("no database, but longer than a header of one would be" * 10)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        cases: list[tuple[tuple[str | Path, ...], int, str]] = [
            ((damaged,), 4, "damaged"),
            ((tmp_path / "nowhere",), 2, "nowhere"),
            ((run,), 2, "--model"),
            ((run, "--model", "grurec"), 2, "grurec"),
            ((run, "--model", "gru4rec", "--port", str(taken.getsockname()[1])), 2, "cannot be served"),
            ((run, "--model", "gru4rec", "--host", "nowhere.invalid", "--port", "0"), 2, "cannot be served"),
            ((run, "--model", "gru4rec", "--port", "0", "--sessions-file", tmp_path / "text.txt"), 3, "text.txt"),
            ((run, "--model", "gru4rec", "--port", "0", "--access-log", tmp_path / "no" / "log"), 2, "--access-log"),
        ]
        for arguments, code, said in cases:
            done = study("serve", *arguments)
            assert done.returncode == code, (arguments, done.stderr)
            assert said in " ".join(done.stderr.split()), (arguments, done.stderr)


def test_a_stop_answers_what_is_under_way(run: Path, tmp_path: Path):
    with running(tmp_path, run, "--model", "vsknn") as server:
        with socket.create_connection(("127.0.0.1", server.port), timeout=30) as client:
            body = b'{"items": [3], "k": 3}'
            head = b"POST /v1/recommend HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body)
            client.sendall(head + body[:5])
            time.sleep(0.3)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.3)
            client.sendall(body[5:])
            assert client.recv(2000).startswith(b"HTTP/1.1 200")
        assert server.process.wait(30) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_a_full_disk_for_the_log_does_not_stop_the_server(run: Path, tmp_path: Path):
    with running(tmp_path, run, "--model", "vsknn", "--access-log", "/dev/full") as server:
        assert [server.click("s", item)["clicks"] for item in (1, 2, 3)] == [1, 2, 3]
        assert server.log.read_text().count("the access log cannot be written") == 1


def test_the_access_log_has_no_items_and_no_session_ids(run: Path, tmp_path: Path):
    log = tmp_path / "access.log"
    with running(tmp_path, run, "--model", "vsknn", "--access-log", log, "--log-sessions") as server:
        server.click("alice@example.org", 31)
        server.click("alice@example.org", 32)
        server.click("bob", 31)
        server.request("GET", "/v1/nothing?alice")
    text = log.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["status"] for line in lines] == [200, 200, 200, 404]
    assert lines[0]["session"] == lines[1]["session"] != lines[2]["session"]
    assert "alice" not in text
    assert "bob" not in text
    assert set(lines[0]) == {"time", "request_id", "method", "route", "status", "ms", "session"}


def test_a_full_disk_for_sessions_is_told_once_and_serving_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    disk = Disk(tmp_path / "kept.sqlite")
    disk._database.execute("PRAGMA max_page_count = 4")  # SQLite then says what it says of a full disk
    store = SessionStore(1000.0, 1000, disk)
    for number in range(50):
        store.keep(f"session {number}", ["x" * 500])
        store.write()
    assert len(store) == 50
    assert disk.failures > 1
    assert caplog.text.count("cannot be written to disk") == 1


def test_sessions_are_forgotten_by_age_and_by_number_also_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    now = [1000.0]
    monkeypatch.setattr("gru4rec_cli.serving.sessions.time.time", lambda: now[0])
    gone: list[str] = []
    store = SessionStore(10.0, 2, Disk(tmp_path / "kept.sqlite"), gone.append)
    store.keep("a", [1])
    now[0] = 1004.0
    store.keep("b", ["x"])
    store.keep("a", [1, 2])
    store.keep("c", [3])  # b was used longest ago
    assert (gone, store.get("b")) == (["b"], None)
    now[0] = 1015.0
    store.keep("c", [3, 4])
    assert gone == ["b", "a"]
    assert (store.expired, store.evicted) == (1, 1)
    now[0] = 1014.5
    store.keep("d", [5])
    store.close()
    rows = sqlite3.connect(tmp_path / "kept.sqlite").execute("SELECT session, item FROM clicks ORDER BY 1, number")
    assert rows.fetchall() == [("c", 3), ("c", 4), ("d", 5)]
    again = SessionStore(10.0, 2, Disk(tmp_path / "kept.sqlite"))
    kept = again.get("c")
    assert kept is not None
    assert kept.clicks == [3, 4]


def test_the_requests_of_the_documentation_work(run: Path, tmp_path: Path):
    page = (Path(__file__).parents[2] / "docs" / "serving.md").read_text()
    (block,) = re.findall(r"^```sh\n(.*?)^```$", page, flags=re.MULTILINE | re.DOTALL)
    admin = free_port()
    with running(tmp_path, run, "--model", "gru4rec", "--admin-port", str(admin)) as server:
        for line in block.splitlines():
            asked = line.replace(":8000/", f":{server.port}/").replace(":8001/", f":{admin}/")
            done = subprocess.run([*shlex.split(asked), "--fail"], capture_output=True, text=True)
            assert done.returncode == 0, (line, done.stdout, done.stderr)
