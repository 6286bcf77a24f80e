"""What a server says of itself: the sizes that requests must have."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen


@dataclass(frozen=True, slots=True)
class Served:
    """Of `GET /status`."""

    policy: str
    slate_size: int
    response_names: tuple[str, ...]
    context: int  # numbers that a request must give


def address(url: str) -> tuple[str, int]:
    """Host and port of a server; ValueError for what is no http:// URL."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname or parts.path not in ("", "/"):
        raise ValueError(f"--url {url!r} is not of the form http://HOST:PORT")
    return parts.hostname, parts.port or 80


def status_of(url: str, *, token: str | None = None, timeout: float = 10.0) -> Served:
    """Ask a server; OSError says which and why where it does not answer."""
    address(url)
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    where = f"{url.rstrip('/')}/status"
    try:
        with urlopen(Request(where, headers=headers), timeout=timeout) as answer:
            said = json.load(answer)
    except HTTPError as error:
        raise OSError(f"{where} answers {error.code} {error.reason}") from error
    except URLError as error:
        raise OSError(f"{where} cannot be reached: {error.reason}") from error
    return served(said, where)


def served(said: Any, where: str) -> Served:
    """Read the answer; ValueError names the field that is not there."""
    try:
        return Served(
            str(said["policy"]), int(said["slate_size"]),
            tuple(map(str, said["response_names"])), int(said["context"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{where} is no status of this version's server: {error!r}") from error
