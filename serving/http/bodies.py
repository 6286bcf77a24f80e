"""The body of a request, under its limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from serving.http.errors import CLOSE, HttpError
from serving.http.limits import Limits

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
JSON = b"application/json"
RINSE_BYTES, RINSE_SECONDS = 16 << 20, 2.0  # of a body that is refused, read away before the answer


class HangUpError(Exception):
    """The caller has hung up."""


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first of a name, in lower case."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


async def read_body(scope: Scope, receive: Receive, limits: Limits) -> bytes:
    """A JSON body; HttpError with 413, 415 or 408 for what is too large, another thing or too slow,
    and HangUpError where it ends before its end."""
    _check_type(scope)
    declared = header(scope, b"content-length") or b"0"
    if len(declared) > 15 or int(declared) > limits.body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _all(receive, limits)
    except TimeoutError:
        seconds = limits.body_seconds
        message = f"the body did not arrive within {seconds:g} s"
        raise HttpError(408, message, limit=seconds, headers=CLOSE) from None


async def rinse(scope: Scope, receive: Receive) -> None:
    """Read away what is still to come of a body that was refused, so that its sender gets to read
    the answer; a bounded part of it, and for a bounded time."""
    if header(scope, b"expect") is not None:
        return  # nothing comes before the answer
    left = RINSE_BYTES
    try:
        async with asyncio.timeout(RINSE_SECONDS):
            while left > 0:
                message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
    except TimeoutError:
        return


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


def _check_type(scope: Scope) -> None:
    said = header(scope, b"content-type") or b""
    if said != JSON and not _is_json(said.decode("latin-1")):
        message = f"content-type is {said.decode('latin-1')[:80]!r}; send application/json in UTF-8"
        raise HttpError(415, message, field="content-type", headers=CLOSE)
    if (header(scope, b"content-encoding") or b"identity").lower() != b"identity":
        message = "content-encoding is not read; send the body as it is"
        raise HttpError(415, message, field="content-encoding", headers=CLOSE)


def _is_json(given: str) -> bool:
    kind, _, rest = given.lower().replace(" ", "").partition(";")
    return kind == "application/json" and rest.replace('"', "") in ("", "charset=utf-8")


def _too_large(limits: Limits) -> HttpError:
    most = limits.body_bytes
    message = f"the body has more than {most} bytes, which is what this server reads"
    return HttpError(413, message, limit=most, headers=CLOSE)
