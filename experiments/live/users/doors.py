"""Services that simulated users are served by: an engine in this process, itself or over HTTP."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from serving import Decision, Engine, Outcome, Request

CALLERS = 16  # connections
OUTCOMES = 100  # of one call
PATIENT = 60_000.0  # ms: how busy the machine is must not decide what is served
PLENTY = 1_000_000.0  # calls a second of a user: simulated days are short


class SimulatedClock:
    """Seconds that stand where they are set."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class EngineDoor:
    """The engine itself, on a simulated clock."""

    def __init__(self, engine: Engine, clock: SimulatedClock) -> None:
        self.engine, self.clock = engine, clock
        self.names: Sequence[str] = engine.catalogue.names
        self.response_names: Sequence[str] = engine.serving.response_names

    def at(self, now: float) -> None:
        self.clock.now = now

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        return self.engine.decide_many(requests)

    def report(self, outcomes: Sequence[Outcome]) -> None:
        self.engine.outcomes(outcomes)


@dataclass(frozen=True, slots=True)
class Answered:
    """What a caller reads of an answer."""

    items: tuple[str, ...]
    policy: str


class HttpDoor(EngineDoor):
    """The same engine behind its server's routes, many calls at a time."""

    def __init__(self, engine: Engine, clock: SimulatedClock, url: str, stack: ExitStack) -> None:
        super().__init__(engine, clock)
        self._free = SimpleQueue[http.client.HTTPConnection]()
        for _ in range(CALLERS):
            connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=PATIENT / 1e3)
            self._free.put(stack.enter_context(closing(connection)))
        self._pool = stack.enter_context(ThreadPoolExecutor(CALLERS))

    def decide(self, requests: Sequence[Request]) -> list[Any]:
        answers = self._pool.map(lambda one: self._post("/decide", one.to_json()), requests)
        return [Answered(tuple(answer["items"]), answer["policy"]) for answer in answers]

    def report(self, outcomes: Sequence[Outcome]) -> None:
        for first in range(0, len(outcomes), OUTCOMES):
            some = outcomes[first : first + OUTCOMES]
            self._post("/outcome", b"[" + b",".join(one.to_json() for one in some) + b"]")

    def _post(self, path: str, body: bytes) -> Any:
        connection = self._free.get()
        try:
            connection.request("POST", path, body, {"content-type": "application/json"})
            response = connection.getresponse()
            answer = json.loads(response.read())
        finally:
            self._free.put(connection)
        if response.status != 200:
            raise OSError(f"{path} answers {response.status}: {answer}")
        return answer


@contextmanager
def over_http(engine: Engine, clock: SimulatedClock, max_steps: int) -> Iterator[HttpDoor]:
    """A door to a server in a thread, which ends with the context. Raises ImportError without the
    extra `serve`."""
    from serving.http.limits import Limits
    from serving.http.running import running
    from serving.http.service import Service

    limits = Limits(deadline_ms=PATIENT, longest_deadline_ms=PATIENT, user_requests=PLENTY)
    with ExitStack() as stack:
        url = stack.enter_context(running(Service(engine, limits=limits, max_steps=max_steps)))
        yield HttpDoor(engine, clock, url, stack)
