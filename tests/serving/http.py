"""A server in a process of its own, as a user starts it, and requests to it."""

import http.client
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.small import command

STARTED = re.compile(r"on http://127\.0\.0\.1:(\d+)")


@dataclass
class Reply:
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Server:
    """A running server."""

    process: "subprocess.Popen[str]"
    port: int
    log: Path
    admin_port: int | None = None

    def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None, port: int | None = None
    ) -> Reply:
        """Send a request over a new connection; a body that is no bytes is sent as JSON."""
        raw = body if isinstance(body, bytes | type(None)) else json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=60)
        try:
            connection.request(method, path, raw, headers or {})
            reply = connection.getresponse()
            return Reply(reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read())
        finally:
            connection.close()

    def click(self, session: str, item: int | str, **wishes: Any) -> Any:
        """Add a click to a session; return the answer."""
        reply = self.request("POST", f"/v1/sessions/{quote(session, safe='')}/events", {"item": item, **wishes})
        assert reply.status == 200, reply.raw
        return reply.json

    def memory(self) -> int:
        """Return the bytes of memory that the process has."""
        return int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


@contextmanager
def running(folder: Path, place: Path, *options: str | Path) -> Iterator[Server]:
    """Start a server on a free port, with its log in `folder`; end it at the end."""
    log = folder / f"server-{time.monotonic_ns()}.log"
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with log.open("w") as stream:
        process = subprocess.Popen(
            command("serve", place, "--port", "0", *options), stderr=stream, text=True, env=environment
        )
    try:
        end = time.monotonic() + 120
        while not (found := STARTED.search(log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)
        yield Server(process, int(found[1]), log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
