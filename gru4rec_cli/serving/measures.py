"""What a server tells about itself: metrics for Prometheus, and a log of requests without histories."""

import hashlib
import hmac
import json
import secrets
import sys
import time
import traceback
from typing import TextIO

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.requests import Request as HttpRequest

from gru4rec_cli.serving.engine import Engine

_SECONDS = (0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)
_BATCHES = (1, 2, 4, 8, 16, 32)


class Measures:
    """Counters of one server."""

    def __init__(self) -> None:
        here = self._registry = CollectorRegistry()
        labels = ["route", "method", "status"]
        self._requests = Counter("gru4rec_requests", "Requests.", labels, registry=here)
        self._seconds = Histogram(
            "gru4rec_request_seconds", "Time to answer a request.", ["route"], buckets=_SECONDS, registry=here
        )
        self.batch_size = Histogram(
            "gru4rec_batch_requests", "Requests that are answered together.", buckets=_BATCHES, registry=here
        )
        unknown = "Clicks on items that the model does not know."
        self.unknown_items = Counter("gru4rec_unknown_items", unknown, registry=here)
        self.reloads = Counter("gru4rec_reloads", "Reloads of the model.", ["result"], registry=here)
        self._sessions = Gauge("gru4rec_sessions", "Sessions that are kept.", registry=here)
        self._states = Gauge("gru4rec_warm_states", "States that are kept.", registry=here)
        forgotten = "Sessions that were forgotten, by reason."
        self._forgotten = Gauge("gru4rec_sessions_forgotten", forgotten, ["reason"], registry=here)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count a request; `route` is the pattern, without ids."""
        known = method if method in ("GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", "PATCH") else "other"
        self._requests.labels(route, known, status).inc()
        self._seconds.labels(route).observe(seconds)

    def exposition(self, engine: Engine) -> tuple[bytes, str]:
        """Return all metrics as text, and its content type."""
        self._sessions.set(len(engine.sessions))
        self._states.set(len(engine.states))
        self._forgotten.labels("age").set(engine.sessions.expired)
        self._forgotten.labels("number").set(engine.sessions.evicted)
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class AccessLog:
    """One line of JSON a request: time, request id, route, status, duration; no items, and no session ids.

    With `sessions`, the line also has a pseudonym of the session: a keyed hash, whose key is made anew by every server
    and kept nowhere. If a line cannot be written, serving goes on; the first failure is told on stderr.
    """

    def __init__(self, stream: TextIO | None, *, sessions: bool = False) -> None:
        self._stream = stream
        self._sessions = sessions
        self._key = secrets.token_bytes(32)
        self._failed = False

    def request(self, request: HttpRequest, route: str, status: int, seconds: float) -> None:
        """Log a request."""
        if self._stream is None:
            return
        line: dict[str, object] = {
            "time": round(time.time(), 3),
            "request_id": request.state.id,
            "method": request.method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
        }
        session = request.path_params.get("session") if self._sessions else None
        if session:
            line["session"] = hmac.new(self._key, str(session).encode("utf-8", "replace"), hashlib.sha256).hexdigest()[
                :16
            ]
        self._write(json.dumps(line))

    def failure(self, request_id: str, error: Exception) -> None:
        """Log a fault of ours, with its traceback, on stderr."""
        trace = "".join(traceback.format_exception(error))
        sys.stderr.write(f"request {request_id} failed:\n{trace}")
        sys.stderr.flush()

    def _write(self, line: str) -> None:
        assert self._stream is not None
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError) as error:
            if not self._failed:
                self._failed = True
                sys.stderr.write(f"the access log cannot be written, and serving goes on without: {error}\n")
