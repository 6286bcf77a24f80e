"""The ASGI application: routing, errors, and the server's life."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from serving.http.bodies import HangUpError, Receive, Scope, header, read_body, rinse
from serving.http.errors import HttpError, failed
from serving.http.openapi import describe
from serving.http.routes import PAGE, ROUTES, Reply, Route, as_json, page_file
from serving.http.service import Service
from serving.http.tokens import check_shown

logger = logging.getLogger("serving")
Send = Callable[[dict[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
OPENAPI = "/openapi.json"


def make_app(service: Service) -> App:
    """An ASGI 3 application; its lifespan starts and stops the service."""
    described = as_json(describe(service.limits, secured=service.token is not None))

    async def openapi(service: Service, body: bytes) -> Reply:
        return described

    about = "This description."
    own = Route(method="GET", path=OPENAPI, about=about, answer=openapi)
    routes: dict[str, dict[str, Route]] = {}
    for route in (*ROUTES, own):
        routes.setdefault(route.path, {})[route.method] = route

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
            if error.headers.get("connection") == "close":
                await rinse(scope, receive)
            reply = as_json(error.body(), error.status, error.headers)
        except Exception:
            logger.exception("%s %s failed", scope["method"], scope["path"])
            reply = as_json(failed().body(), 500)
        return await _send(reply, send)

    return app


async def _answer(
    routes: dict[str, dict[str, Route]], service: Service, scope: Scope, receive: Receive
) -> Reply:
    path = scope["path"]
    methods = routes.get(path, {})
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    if path.startswith(PAGE) and method == "GET":
        return page_file(service, path)
    if service.token is not None and not any(route.open for route in methods.values()):
        check_shown(service.token, header(scope, b"authorization"))
    if not methods:
        raise HttpError(404, f"there is no {path[:80]}; {OPENAPI} lists what there is")
    route = methods.get(method)
    if route is None:
        allowed = ", ".join(methods)
        raise HttpError(405, f"use {allowed} here", headers={"allow": allowed})
    body = b"" if route.takes is None else await read_body(scope, receive, service.limits)
    return await route.answer(service, body)


async def _send(reply: Reply, send: Send) -> None:
    said = [
        (b"content-type", reply.kind.encode()),
        (b"content-length", b"%d" % len(reply.body)),
        *[(name.encode(), value.encode()) for name, value in reply.headers.items()],
    ]
    await send({"type": "http.response.start", "status": reply.status, "headers": said})
    await send({"type": "http.response.body", "body": reply.body})


async def _live(service: Service, receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            try:
                await service.start()
            except Exception as error:  # noqa: BLE001  (the server is told)
                service.failed = error
                await send({"type": "lifespan.startup.failed", "message": str(error)})
                return
            await send({"type": "lifespan.startup.complete"})
        else:
            await asyncio.get_running_loop().run_in_executor(None, service.stop)
            await send({"type": "lifespan.shutdown.complete"})
            return
