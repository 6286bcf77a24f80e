"""Calls to a server of Longplay, as `EdgeCache` makes them."""

from __future__ import annotations

from http import HTTPStatus
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from serving.edge.cache import Call

LATER = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)  # refusals that pass
MOST = 2_000  # bytes of a refusal that are shown


def http_calls(url: str, *, timeout_s: float = 1.0, token: str | None = None) -> Call:
    """POST to a server at `url`. Calls raise OSError where the server fails (5xx), has too much to
    do (429), is late or gone, and ValueError, with what it says, where it refuses what was sent.

    Raises ValueError for a URL that is not http or https.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"url is {url!r}; it must begin with http:// or https://")
    headers = {"content-type": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"

    def call(path: str, body: bytes) -> bytes:
        asked = Request(url.rstrip("/") + path, body, headers, method="POST")
        try:
            with urlopen(asked, timeout=timeout_s) as reply:
                answer: bytes = reply.read()
                return answer
        except HTTPError as error:
            if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in LATER:
                raise
            with error:
                said = error.read(MOST).decode(errors="replace").strip()
            raise ValueError(f"{path} was refused with {error.code}: {said}") from None

    return call
