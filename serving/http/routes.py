"""The routes: what each takes, gives and says of itself, for the server and its description."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from serving.http.errors import HttpError
from serving.http.service import Service
from serving.page.files import BOARD, HEADERS

_PLAIN = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
JSON, PROMETHEUS = "application/json", "text/plain; version=0.0.4; charset=utf-8"
PAGE = "/page/"  # what follows is a file's name


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer."""

    body: bytes
    status: int = 200
    kind: str = JSON
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path. `takes` and `gives` name schemas of `serving.http.openapi`."""

    method: str
    path: str
    about: str
    answer: Callable[[Service, bytes], Awaitable[Reply]]  # the body is empty where none is taken
    takes: str | None = None
    gives: str | None = None  # None: not JSON
    kind: str = JSON
    open: bool = False  # to callers without the token


def as_json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    """An answer in JSON, one line."""
    return Reply(_PLAIN.encode(body).encode() + b"\n", status, JSON, headers or {})


def page_file(service: Service, path: str) -> Reply:
    """A file of the page. Raises HttpError 404."""
    found = service.page.get(path)
    if found is None:
        raise HttpError(404, f"there is no {path[:80]}")
    body, kind = found
    return Reply(body, 200, kind, HEADERS)


async def _decide(service: Service, body: bytes) -> Reply:
    try:
        return as_json(await service.decide(body))
    except HttpError as error:
        if service.metrics is not None:
            full = error.status == 429 and error.field is None
            service.metrics.rejected("queue" if full else error.status)
        raise


async def _outcome(service: Service, body: bytes) -> Reply:
    return as_json(await service.outcomes(body))


async def _explain(service: Service, body: bytes) -> Reply:
    return as_json(await service.explain(body))


async def _forget(service: Service, body: bytes) -> Reply:
    return as_json(await service.forget(body))


async def _items(service: Service, body: bytes) -> Reply:
    return as_json(service.items(body))


async def _health(service: Service, body: bytes) -> Reply:
    return as_json({"status": "ok"})


async def _ready(service: Service, body: bytes) -> Reply:
    return as_json(service.ready())


async def _status(service: Service, body: bytes) -> Reply:
    return as_json(service.status())


async def _metrics(service: Service, body: bytes) -> Reply:
    if service.metrics is None:
        raise HttpError(404, "this server has no /metrics")
    return Reply(service.metrics.text(), kind=PROMETHEUS)


async def _page(service: Service, body: bytes) -> Reply:
    return page_file(service, "/")


async def _board(service: Service, body: bytes) -> Reply:
    return page_file(service, BOARD)


ROUTES = (
    Route(
        method="POST",
        path="/decide",
        about="A slate for one user. Sent again with the same request_id, it is the same slate.",
        answer=_decide,
        takes="Request",
        gives="Slate",
    ),
    Route(
        method="POST",
        path="/outcome",
        about="What came of decisions: one outcome, or a list. Answered once all are kept; what is "
        "sent again counts once.",
        answer=_outcome,
        takes="Outcomes",
        gives="Kept",
    ),
    Route(
        method="POST",
        path="/explain",
        about="Why the slate of a decision, of a user or of a typed history is as it is.",
        answer=_explain,
        takes="Question",
        gives="Explanation",
    ),
    Route(
        method="POST",
        path="/forget",
        about="Remove a user from the sessions and from the sealed part of the event log.",
        answer=_forget,
        takes="Farewell",
        gives="Forgotten",
    ),
    Route(
        method="POST",
        path="/items",
        about="Item names that begin like a text, whatever the case.",
        answer=_items,
        takes="Beginning",
        gives="Items",
    ),
    Route(
        method="GET",
        path="/status",
        about="What is served since when, and how well.",
        answer=_status,
        gives="Status",
    ),
    Route(
        method="GET",
        path="/metrics",
        about="Counts for Prometheus.",
        answer=_metrics,
        kind=PROMETHEUS,
    ),
    Route(
        method="GET",
        path="/health",
        about="Whether the process lives.",
        answer=_health,
        gives="Health",
        open=True,
    ),
    Route(
        method="GET",
        path="/ready",
        about="Whether requests are answered: 503 before the warm-up and at the end.",
        answer=_ready,
        gives="Ready",
    ),
    Route(
        method="GET",
        path="/",
        about="A page that shows what is served, and why.",
        answer=_page,
        kind="text/html; charset=utf-8",
        open=True,  # it holds nothing of what is served, and takes the token
    ),
    Route(
        method="GET",
        path=BOARD,
        about="A page that shows alarms, arms and the rollout.",
        answer=_board,
        kind="text/html; charset=utf-8",
        open=True,
    ),
)
