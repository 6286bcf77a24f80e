"""What tests of the server build: a small engine, its service, and a caller."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from policies import Repeats, constrained
from policies.baselines.uniform import uniform
from serving import Catalogue, Engine, MemoryLog
from serving.http.limits import Limits
from serving.http.service import Service
from tests.factories import make_serving
from tests.serving.factories import SECRET, VERSION, names_of

N_ITEMS = 12
PATIENT = Limits(deadline_ms=1e6, longest_deadline_ms=1e6, user_requests=1e6)


def tiny_engine(**settings: Any) -> Engine:
    """A uniform policy that repeats nothing, over a whole catalogue of 12 items, slates of 2."""
    serving = make_serving(N_ITEMS, user_size=0)
    policy = constrained(uniform(serving), Repeats("seen", np.arange(N_ITEMS, dtype=np.int32)))
    given = {"version": VERSION, "secret": SECRET, "events": MemoryLog()}
    return Engine(policy, Catalogue(names_of(N_ITEMS)), **given | settings)


def tiny_service(engine: Engine | None = None, **settings: Any) -> Service:
    """A service of `tiny_engine`; nothing in it depends on how fast this machine is."""
    return Service(engine or tiny_engine(), **{"limits": PATIENT} | settings)


class Caller:
    """One connection to a server."""

    def __init__(self, url: str, token: str | None = None) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
        self.headers = {} if token is None else {"authorization": f"Bearer {token}"}

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def send(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers by lower-case name, and body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body, self.headers | named)
        response = self.connection.getresponse()
        found = {name.lower(): value for name, value in response.getheaders()}
        return response.status, found, response.read()

    def get(self, path: str) -> tuple[int, Any]:
        status, _, body = self.send("GET", path)
        return status, json.loads(body)

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        """`body` is JSON as an object, or bytes as they are."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        status, _, answer = self.send("POST", path, raw, content_type="application/json")
        return status, json.loads(answer)


def request(n: int = 0, **fields: Any) -> dict[str, Any]:
    """A body of POST /decide."""
    return {"request_id": f"r{n}", "user": f"user {n}", "session": "s"} | fields


def outcome(n: int = 0, **fields: Any) -> dict[str, Any]:
    """A body of POST /outcome: the decision on `request(n)` was liked."""
    known = {"outcome_id": f"o{n}", "decision_id": f"r{n}", "user": f"user {n}", "kind": "liked"}
    return known | fields
