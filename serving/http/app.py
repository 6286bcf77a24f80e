"""The ASGI application: routes, errors, and the server's life."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from serving.http.bodies import HangUpError, Receive, read_body
from serving.http.errors import HttpError, not_now
from serving.http.service import Service

logger = logging.getLogger("serving")
Scope = dict[str, Any]
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
JSON = "application/json"


class Reply(NamedTuple):
    """An answer."""

    body: bytes
    status: int = 200
    kind: str = JSON
    headers: dict[str, str] = {}  # noqa: RUF012  (never changed)


Handle = Callable[[bytes], Awaitable[Reply]]  # the body, empty for GET -> the answer


def make_app(service: Service) -> App:
    """An ASGI 3 application; its lifespan starts and stops the service."""
    routes = _routes(service)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await _live(service, receive, send)
        if scope["type"] != "http":
            raise ValueError(f"{scope['type']} is not served; use HTTP")
        try:
            reply = await _answer(routes, service, scope, receive)
        except HangUpError:
            return None
        except HttpError as error:
            reply = Reply(_json(error.body()), error.status, JSON, error.headers)
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            failed = HttpError(500, "the server failed; its log says why", why="failed")
            reply = Reply(_json(failed.body()), 500)
        return await _send(reply, send)

    return app


async def _answer(
    routes: dict[str, dict[str, Handle]], service: Service, scope: Scope, receive: Receive
) -> Reply:
    methods = routes.get(scope["path"])
    if methods is None:
        raise HttpError(404, f"there is no {scope['path'][:80]}", why="path")
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    if method not in methods:
        allowed = ", ".join(methods)
        raise HttpError(405, f"use {allowed} here", why="method", headers={"allow": allowed})
    body = await read_body(scope, receive, service.limits) if method == "POST" else b""
    return await methods[method](body)


def _routes(service: Service) -> dict[str, dict[str, Handle]]:
    async def decide(body: bytes) -> Reply:
        return Reply(_json(await service.decide(body)))

    async def outcome(body: bytes) -> Reply:
        return Reply(_json(await service.outcomes(body)))

    async def health(body: bytes) -> Reply:
        return Reply(_json({"status": "ok"}))

    async def ready(body: bytes) -> Reply:
        if service.ending:
            raise not_now("the server is ending")
        if not service.warm.is_set():
            raise not_now("the server is warming up")
        return Reply(_json({"status": "ready", "failing": sorted(service.engine.failing)}))

    return {
        "/decide": {"POST": decide},
        "/outcome": {"POST": outcome},
        "/health": {"GET": health},
        "/ready": {"GET": ready},
    }


def _json(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


async def _send(reply: Reply, send: Send) -> None:
    headers = {"content-type": reply.kind, "content-length": str(len(reply.body))} | reply.headers
    said = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": reply.status, "headers": said})
    await send({"type": "http.response.body", "body": reply.body})


async def _live(service: Service, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            service.start()
            await send({"type": "lifespan.startup.complete"})
        else:
            await asyncio.get_running_loop().run_in_executor(None, service.stop)
            await send({"type": "lifespan.shutdown.complete"})
            return
