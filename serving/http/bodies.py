"""The body of a request, under its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from serving.http.errors import HttpError
from serving.http.limits import Limits

Receive = Callable[[], Awaitable[dict[str, Any]]]
CLOSE = {"connection": "close"}  # of an answer while a body is still to come


class HangUpError(Exception):
    """The caller has hung up."""


def header(scope: dict[str, Any], name: bytes) -> bytes | None:
    """The first of a name, in lower case."""
    return next((value for key, value in scope["headers"] if key == name), None)


async def read_body(scope: dict[str, Any], receive: Receive, limits: Limits) -> bytes:
    """A JSON body; HttpError with 413, 415 or 408 for what is too large, another thing or too slow,
    and HangUpError where it ends before its end."""
    _check_type(scope)
    declared = header(scope, b"content-length")
    if declared is not None and int(declared) > limits.body_bytes:  # digits: the server has read it
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _all(receive, limits)
    except TimeoutError:
        raise HttpError(
            408,
            f"the body did not arrive within {limits.body_seconds:g} s",
            why="slow",
            limit=limits.body_seconds,
            headers=CLOSE,
        ) from None


async def _all(receive: Receive, limits: Limits) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise HangUpError
        body += message.get("body", b"")
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
        if not message.get("more_body", False):
            return bytes(body)


def _check_type(scope: dict[str, Any]) -> None:
    given = header(scope, b"content-type") or b""
    kind, _, rest = given.decode("latin-1").lower().partition(";")
    if kind.strip() != "application/json" or rest.strip() not in ("", "charset=utf-8"):
        raise HttpError(
            415,
            f"content-type is {given[:80].decode('latin-1')!r}; send application/json in UTF-8",
            why="type",
            field="content-type",
            headers=CLOSE,
        )
    if (header(scope, b"content-encoding") or b"identity").lower() != b"identity":
        raise HttpError(
            415,
            "content-encoding is not read; send the body as it is",
            why="type",
            field="content-encoding",
            headers=CLOSE,
        )


def _too_large(limits: Limits) -> HttpError:
    most = limits.body_bytes
    message = f"the body has more than {most} bytes, which is what this server reads"
    return HttpError(413, message, why="size", limit=most, headers=CLOSE)
