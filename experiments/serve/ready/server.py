"""What a running server says of itself, and a Prometheus of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote
from urllib.request import Request, urlopen

from experiments.serve.ready.line import Finding
from serving.metrics.signals import SIGNALS
from serving.registry.pointer import Pointer
from serving.registry.registry import Registry

SCRAPED = 120.0  # s since the last scrape
ALIVE = "longplay_start_time_seconds"


@dataclass(frozen=True, slots=True)
class Server:
    """A server, and the token that it asks for."""

    url: str
    token: str | None = None

    def ask(self, path: str) -> bytes:
        """Raises OSError, which says which answered what."""
        where = f"{self.url.rstrip('/')}{path}"
        if not where.startswith(("http://", "https://")):
            raise ValueError(f"{self.url!r} is not of the form http://HOST:PORT")
        headers = {} if self.token is None else {"Authorization": f"Bearer {self.token}"}
        try:
            with urlopen(Request(where, headers=headers), timeout=10.0) as answer:
                body: bytes = answer.read()
                return body
        except HTTPError as error:
            raise OSError(f"{where} answers {error.code} {error.reason}") from error
        except URLError as error:
            raise OSError(f"{where} cannot be reached: {error.reason}") from error

    def json(self, path: str) -> dict[str, Any]:
        """Raises ValueError for what is no JSON object."""
        said = json.loads(self.ask(path))
        if not isinstance(said, dict):
            raise ValueError(f"{self.url}{path} answers no JSON object")
        return said


def ready(server: Server | None) -> Finding:
    """Requests are answered."""
    if server is None:
        return None, "no server was given (--url)"
    server.ask("/health")
    return True, f"GET {server.url}/ready answers 200: {server.ask('/ready').decode().strip()}"


def version(server: Server | None, registry: Registry, pointer: Pointer) -> Finding:
    """What is served is what the pointer names."""
    if server is None:
        return None, "no server was given (--url)"
    said = server.json("/status")
    if pointer.live is None:
        return False, f"the pointer names no version; the server serves {said.get('policy')}"
    wanted = registry.find("live").contents.sha256
    return said.get("sha256") == wanted, (
        f"the server serves {said.get('policy')} ({str(said.get('sha256'))[:12]}), the pointer "
        f"names {pointer.live} ({wanted[:12]})"
    )


def metrics(server: Server | None) -> Finding:
    """/metrics has every series of the table of signals."""
    if server is None:
        return None, "no server was given (--url)"
    text = server.ask("/metrics").decode()
    missing = [signal.name for signal in SIGNALS if signal.name not in text]
    told = f"GET {server.url}/metrics: {len(SIGNALS) - len(missing)} of {len(SIGNALS)} signals"
    return not missing, f"{told}; missing: {', '.join(missing[:5])}" if missing else told


def scraped(prometheus: str | None) -> Finding:
    """A Prometheus has read the metrics lately."""
    if prometheus is None:
        return None, "no Prometheus was given (--prometheus)"
    query = quote(f"min(time() - timestamp({ALIVE}))")
    said = Server(prometheus).json(f"/api/v1/query?query={query}")
    try:
        found = said["data"]["result"]
        ages = [float(one["value"][1]) for one in found]
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise ValueError(f"{prometheus} answers as no Prometheus does ({error!r})") from error
    if not ages:
        return False, f"{prometheus} has no sample of {ALIVE}"
    return min(ages) <= SCRAPED, f"{prometheus}: {ALIVE} was read {min(ages):.0f} s ago"
