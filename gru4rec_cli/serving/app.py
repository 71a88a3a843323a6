"""The HTTP interface: routes, limits, problem documents."""

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response
from starlette.routing import Route

from gru4rec_cli.base.errors import StudyError
from gru4rec_cli.serving.batching import Batcher, Overloaded
from gru4rec_cli.serving.bodies import LONGEST_ID, EventBody, HistoryBody, Wishes
from gru4rec_cli.serving.engine import Answer, Engine, Request, Served, TooLong
from gru4rec_cli.serving.measures import AccessLog, Measures
from gru4rec_cli.serving.openapi import document
from gru4rec_cli.serving.sessions import Item

Body = TypeVar("Body", bound=BaseModel)
Handler = Callable[[HttpRequest], Awaitable[Response]]

_BATCH = 32  # requests that one product is computed for; more rows take more time
_CONTROL = re.compile(r"[\x00-\x1f]")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._~-]{1,64}")
_READ_BEYOND = 4_000_000  # bytes of a body that is too large
_NOT_KEPT = "nothing is kept of it: it is new, was deleted, or is too old"
_PROCESS, _numbers = secrets.token_hex(6), count(1)  # parts of the ids of requests
_PROBLEMS = "urn:gru4rec-study:problem:"


@dataclass(frozen=True)
class Limits:
    """Limits of what clients may ask for."""

    max_body: int = 1_000_000  # bytes
    body_seconds: float = 10.0  # within which a body must have come
    max_k: int = 100
    max_clicks: int = 1000  # of a session or history
    max_waiting: int = 1000  # requests that wait for the model


class HttpProblem(Exception):  # noqa: N818 - told to the client, no fault of ours
    """Something to tell the client as a problem document."""

    def __init__(self, status: int, title: str, detail: str, errors: list[str] | None = None, *, close: bool = False):
        super().__init__(detail)
        self.status = status
        self.title = title
        self.detail = detail
        self.errors = errors or []
        self.close = close  # whether the connection cannot go on


class Service:
    """The endpoints of one server."""

    def __init__(
        self, engine: Engine, load: Callable[[], Served], limits: Limits, measures: Measures, log: AccessLog
    ) -> None:
        """`load` loads the model anew, for `reload`."""
        self.engine = engine
        self.limits = limits
        self.measures = measures
        self._load = load
        self._log = log
        self._reloading = asyncio.Lock()
        self.batcher: Batcher[Request, Answer] = Batcher(
            engine.answer, _BATCH, limits.max_waiting, measures.batch_size.observe
        )
        self.ready = True

    def app(self) -> Starlette:
        """Return the application that users' requests go to."""
        return self._application(
            [
                self._route("/v1/recommend", self._recommend, "POST"),
                self._route("/v1/sessions/{session:path}/events", self._add_event, "POST"),
                self._route("/v1/sessions/{session:path}", self._show_session, "GET"),
                self._route("/v1/sessions/{session:path}", self._forget_session, "DELETE"),
                self._route("/v1/model", self._show_model, "GET"),
                self._route("/healthz", self._healthy, "GET"),
                self._route("/readyz", self._is_ready, "GET"),
                self._route("/metrics", self._show_measures, "GET"),
                self._route("/openapi.json", self._show_document, "GET"),
            ]
        )

    def admin_app(self) -> Starlette:
        """Return the application of the admin address."""
        return self._application(
            [
                self._route("/v1/reload", self._reload_asked, "POST"),
                self._route("/metrics", self._show_measures, "GET"),
                self._route("/healthz", self._healthy, "GET"),
            ]
        )

    async def reload(self) -> str:
        """Load the model anew and use it from now on; return its version. Requests go on meanwhile.

        Raises:
            StudyError: it cannot be loaded; the model in use stays.
        """
        async with self._reloading:
            try:
                served = await asyncio.to_thread(self._load)
            except StudyError:
                self.measures.reloads.labels("failed").inc()
                raise
            self.engine.use(served)  # between two batches, since both run on this thread
            self.measures.reloads.labels("done").inc()
            return served.version

    async def _add_event(self, request: HttpRequest) -> Response:
        session = session_id(request)
        body = await self._body(request, EventBody)
        return await self._answer(request, (body.item,), body, session)

    async def _recommend(self, request: HttpRequest) -> Response:
        body = await self._body(request, HistoryBody)
        return await self._answer(request, tuple(body.items), body)

    async def _answer(
        self, request: HttpRequest, items: tuple[Item, ...], wishes: Wishes, session: str | None = None
    ) -> Response:
        if wishes.k > self.limits.max_k:
            raise HttpProblem(422, "The body is not valid", f"k: at most {self.limits.max_k} here, not {wishes.k}")
        candidates = None if wishes.candidates is None else tuple(wishes.candidates)
        question = Request(items, wishes.k, session, wishes.exclude_seen, tuple(wishes.exclude), candidates)
        try:
            answer = await self.batcher.ask(question)
        except TooLong:
            most = self.limits.max_clicks
            detail = f"it would have more than {most} clicks; begin a new session, or DELETE this one"
            raise HttpProblem(409, "The session is too long", detail) from None
        except Overloaded:
            detail = f"{self.limits.max_waiting} requests wait for the model already"
            raise HttpProblem(503, "Too many requests at a time", detail) from None
        self.measures.unknown_items.inc(len(answer.unknown))
        return _json(
            {
                "items": answer.items,
                "scores": answer.scores,
                "unknown": answer.unknown,
                "clicks": answer.clicks,
                "model": answer.version,
                "request_id": request.state.id,
            }
        )

    async def _show_session(self, request: HttpRequest) -> Response:
        session = session_id(request)

        kept = self.engine.sessions.get(session)
        if kept is None:
            raise HttpProblem(404, "No such session", _NOT_KEPT)
        return _json(
            {
                "session": session,
                "items": kept.clicks,
                "warm": self.engine.states.get(session) is not None,
                "idle_seconds": round(max(0.0, time.time() - kept.used), 3),
                "request_id": request.state.id,
            }
        )

    async def _forget_session(self, request: HttpRequest) -> Response:
        session = session_id(request)

        known = self.engine.sessions.forget(session)
        self.engine.sessions.write()
        if not known:
            raise HttpProblem(404, "No such session", _NOT_KEPT)
        return Response(status_code=204)

    async def _show_model(self, request: HttpRequest) -> Response:
        served = self.engine.served
        return _json(
            {
                "kind": served.fitted.kind,
                "model": served.version,
                "items": len(served.fitted.ids),
                "description": served.fitted.model.description,
                "warm_states": self.engine.state_size > 0,
                "request_id": request.state.id,
            }
        )

    async def _healthy(self, request: HttpRequest) -> Response:
        return _json({"status": "alive"})

    async def _is_ready(self, request: HttpRequest) -> Response:
        if not self.ready:
            raise HttpProblem(503, "Not ready", "the server is about to stop")
        return _json({"status": "ready", "model": self.engine.served.version})

    async def _show_measures(self, request: HttpRequest) -> Response:
        text, kind = self.measures.exposition(self.engine)
        return Response(text, headers={"content-type": kind})

    async def _show_document(self, request: HttpRequest) -> Response:
        return _json(document())

    async def _reload_asked(self, request: HttpRequest) -> Response:
        try:
            version = await self.reload()
        except StudyError as error:
            detail = f"{error.message}; the model in use stays" + (f". {error.hint}" if error.hint else "")
            raise HttpProblem(409, "The model cannot be loaded", detail) from None
        return _json({"model": version, "request_id": request.state.id})

    async def _body(self, request: HttpRequest, kind: type[Body]) -> Body:
        """Return the body of a request."""
        try:
            return kind.model_validate_json(await self._raw_body(request))
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            if found[0]["type"] == "json_invalid":
                raise HttpProblem(400, "The body is no JSON", found[0]["msg"]) from None
            errors = [": ".join([".".join(map(str, e["loc"])) or "body", e["msg"]]) for e in found[:20]]
            raise HttpProblem(422, "The body is not valid", "; ".join(errors[:3]), errors) from None

    async def _raw_body(self, request: HttpRequest) -> bytes:
        """Return the bytes of a body. One that is a little too large is read, since a client that still sends when the
        connection is closed may not see the answer."""
        most, body, size = self.limits.max_body, bytearray(), 0
        too_large = HttpProblem(413, "The body is too large", f"at most {most} bytes", close=True)
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                async for part in request.stream():
                    size += len(part)
                    if size > most + _READ_BEYOND:
                        raise too_large
                    if size <= most:
                        body += part
        except TimeoutError:
            detail = f"it did not come within {self.limits.body_seconds:g} s"
            raise HttpProblem(408, "The body is too slow", detail, close=True) from None
        if size > most:
            raise too_large
        return bytes(body)

    def _application(self, routes: list[Route]) -> Starlette:
        async def http_error(request: HttpRequest, error: Exception) -> Response:
            assert isinstance(error, HTTPException)
            known = "the routes are in /openapi.json"
            problem = HttpProblem(error.status_code, str(error.detail), f"{request.method} {request.url.path}: {known}")
            response = _problem(_identified(request), problem)
            response.headers.update(error.headers or {})
            return self._logged(request, "none", response, time.perf_counter())

        return Starlette(routes=routes, exception_handlers={HTTPException: http_error})

    def _route(self, path: str, handler: Handler, method: str) -> Route:
        """Return a route that measures and logs requests, and turns errors of its handler into problem documents."""

        async def handle(request: HttpRequest) -> Response:
            start = time.perf_counter()
            request_id = _identified(request)
            try:
                response = await handler(request)
            except HttpProblem as problem:
                response = _problem(request_id, problem)
            except ClientDisconnect:
                response = Response(status_code=499)
            except Exception as error:
                self._log.failure(request_id, error)
                detail = f"a fault of the server, noted in its log under {request_id}"
                response = _problem(request_id, HttpProblem(500, "Internal error", detail))
            return self._logged(request, path.replace(":path", ""), response, start)

        return Route(path, handle, methods=[method])

    def _logged(self, request: HttpRequest, path: str, response: Response, start: float) -> Response:
        seconds = time.perf_counter() - start
        response.headers["x-request-id"] = request.state.id
        self.measures.request(path, request.method, response.status_code, seconds)
        self._log.request(request, path, response.status_code, seconds)
        return response


def session_id(request: HttpRequest) -> str:
    """Return the session id in a request's path: any text of 1 to 512 characters, percent-encoded UTF-8.

    Raises:
        HttpProblem: it is none of these, or holds a control character.
    """
    raw: bytes = request.scope["raw_path"]
    prefix, suffix = b"/v1/sessions/", b"/events" if request.method == "POST" else b""
    if not raw.startswith(prefix) or not raw.endswith(suffix):
        raise HttpProblem(404, "Not Found", "the route is percent-encoded, and only a session id may be")
    part = raw.removeprefix(prefix).removesuffix(suffix)
    try:
        session = unquote_to_bytes(part).decode("utf-8")
    except UnicodeDecodeError:
        raise HttpProblem(400, "The session id is not valid", "it is not UTF-8") from None
    if not 1 <= len(session) <= LONGEST_ID or _CONTROL.search(session):
        detail = f"1 to {LONGEST_ID} characters, none of them a control character"
        raise HttpProblem(400, "The session id is not valid", detail)
    return session


def _identified(request: HttpRequest) -> str:
    """Return the id that a client gave its request, or a new one, and note it."""
    given = request.headers.get("x-request-id", "")
    request.state.id = given if _REQUEST_ID.fullmatch(given) else f"{_PROCESS}-{next(_numbers)}"
    identity: str = request.state.id
    return identity


def _json(content: dict[str, object], status: int = 200, kind: str = "application/json") -> Response:
    return Response(to_json(content), status, media_type=kind)


def _problem(request_id: str, problem: HttpProblem) -> Response:
    content: dict[str, object] = {
        "type": _PROBLEMS + problem.title.lower().replace(" ", "-"),
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        **({"errors": problem.errors} if problem.errors else {}),
        "request_id": request_id,
    }
    response = _json(content, problem.status, "application/problem+json")
    if problem.close:
        response.headers["connection"] = "close"
    if problem.status == 503:
        response.headers["retry-after"] = "1"
    return response
