"""The OpenAPI document of the server."""

from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from gru4rec_cli import __version__
from gru4rec_cli.serving.bodies import AnswerBody, EventBody, HistoryBody, ModelBody, Problem, SessionBody

_BODIES: list[type[BaseModel]] = [AnswerBody, EventBody, HistoryBody, ModelBody, Problem, SessionBody]
_SESSION = {
    "name": "session",
    "in": "path",
    "required": True,
    "description": "any text of 1 to 512 characters, percent-encoded",
    "schema": {"type": "string", "minLength": 1, "maxLength": 512},
}


@cache
def document() -> dict[str, Any]:
    """Return the document, OpenAPI 3.1, as JSON values."""
    _, schemas = models_json_schema(
        [(body, "validation") for body in _BODIES], ref_template="#/components/schemas/{model}"
    )
    paths = {
        "/v1/recommend": {"post": _operation("Recommend after a history of clicks", AnswerBody, HistoryBody)},
        "/v1/sessions/{session}/events": {
            "post": _operation("Add a click to a session, and recommend", AnswerBody, EventBody, (409,), session=True)
        },
        "/v1/sessions/{session}": {
            "get": _operation("Show what is kept of a session", SessionBody, None, (404,), session=True),
            "delete": _operation("Forget a session", None, None, (404,), session=True),
        },
        "/v1/model": {"get": _operation("Show which model answers", ModelBody)},
        "/healthz": {"get": _operation("Tell that the process is alive", None)},
        "/readyz": {"get": _operation("Tell whether requests are answered", None, None, (503,))},
        "/metrics": {"get": _operation("Metrics for Prometheus", None)},
        "/openapi.json": {"get": _operation("This document", None)},
    }
    info = {"title": "gru4rec-study", "version": __version__, "license": {"name": "MIT", "identifier": "MIT"}}
    return {"openapi": "3.1.0", "info": info, "paths": paths, "components": {"schemas": schemas["$defs"]}}


def _operation(
    summary: str,
    answer: type[BaseModel] | None,
    body: type[BaseModel] | None = None,
    problems: tuple[int, ...] = (),
    *,
    session: bool = False,
) -> dict[str, Any]:
    done = "204" if summary == "Forget a session" else "200"
    content = {"content": _content(answer)} if answer else {}
    statuses = sorted({*problems, *((400, 408, 413, 422, 503) if body else ()), *((400,) if session else ())})
    problem = {"content": _content(Problem, "application/problem+json")}
    return {
        "summary": summary,
        **({"parameters": [_SESSION]} if session else {}),
        **({"requestBody": {"required": True, "content": _content(body)}} if body else {}),
        "responses": {
            done: {"description": "done", **content},
            **{str(status): {"description": "a problem", **problem} for status in statuses},
        },
    }


def _content(body: type[BaseModel], kind: str = "application/json") -> dict[str, Any]:
    return {kind: {"schema": {"$ref": f"#/components/schemas/{body.__name__}"}}}
