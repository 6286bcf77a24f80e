"""Calls to a server of Longplay, as `EdgeCache` makes them."""

from __future__ import annotations

from urllib.request import Request, urlopen

from serving.edge.cache import Call


def http_calls(url: str, *, timeout_s: float = 1.0, token: str | None = None) -> Call:
    """POST to a server at `url`. A refusal (4xx, 5xx), a timeout and a lost connection raise
    OSError.

    Raises ValueError for a URL that is not http or https.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"url is {url!r}; it must begin with http:// or https://")
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"

    def call(path: str, body: bytes) -> bytes:
        asked = Request(url.rstrip("/") + path, body, headers, method="POST")
        with urlopen(asked, timeout=timeout_s) as reply:
            answer: bytes = reply.read()
            return answer

    return call
