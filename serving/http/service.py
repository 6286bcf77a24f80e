"""What is served: the engine and everything beside it, without a word of HTTP paths."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol

from serving.contracts.fields import ContractError, read_json
from serving.contracts.outcomes import Outcome
from serving.contracts.requests import Request
from serving.engine import Engine
from serving.http.errors import HttpError, broken
from serving.http.limits import Limits
from serving.http.worker import Meter, Worker

Explains = Callable[[dict[str, Any]], Any]  # a body -> an explanation with `to_json()`
Forgets = Callable[[str], dict[str, Any]]  # a user -> what was removed


class Metrics(Meter, Protocol):
    """What the server counts, and how it is read."""

    def rejected(self, why: str) -> None: ...

    def text(self) -> bytes: ...

    def slis(self) -> dict[str, Any]: ...


class Service:
    """An engine behind a queue.

    token: what callers must show, except at /health; None = nothing.
    warm_up: called by the worker before it decides anything; /ready waits for it.
    explain, forget, metrics: what stands behind the routes of these names; None = 404.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        limits: Limits | None = None,
        token: str | None = None,
        warm_up: Callable[[], None] | None = None,
        metrics: Metrics | None = None,
        explain: Explains | None = None,
        forget: Forgets | None = None,
    ) -> None:
        self.engine, self.limits, self.token = engine, limits or Limits(), token
        self.warm_up, self.metrics, self.explain, self.forget = warm_up, metrics, explain, forget
        self.since = time.time()
        self.worker = Worker(engine, self.limits, metrics)
        self.warm, self.ending = threading.Event(), False

    def start(self) -> None:
        """Begin to work, in the loop that calls this."""
        self.worker.start(asyncio.get_running_loop(), self._first)

    def stop(self) -> None:
        """Answer what waits, then close the event log."""
        self.ending = True
        self.worker.stop()
        self.engine.events.close()

    async def decide(self, body: bytes) -> dict[str, Any]:
        """The answer to a body of POST /decide. Raises HttpError."""
        request = self._request(body)
        decision = await self.worker.decide(request)
        return {
            "decision_id": decision.decision_id,
            "items": decision.items,
            "policy": decision.policy,
            "propensity": decision.propensity,
            "position_propensity": decision.position_propensity,
            "step": decision.step,
            "fallback": decision.fallback and decision.fallback.partition(":")[0],
        }

    async def outcomes(self, body: bytes) -> dict[str, Any]:
        """The answer to a body of POST /outcome. Raises HttpError."""
        outcomes = self._outcomes(body)
        await self.worker.outcomes(outcomes)
        return {"kept": len(outcomes)}

    def _first(self) -> None:
        if self.warm_up is not None:
            self.warm_up()
        self.warm.set()

    def _request(self, body: bytes) -> Request:
        try:
            request = Request.from_json(body)
        except ContractError as error:
            raise broken(error) from None
        return request

    def _outcomes(self, body: bytes) -> list[Outcome]:
        try:
            given = read_json(body)
            if not isinstance(given, list):
                return [Outcome.from_json(_object(given))]
            return [Outcome.from_json(_object(one)) for one in given]
        except ContractError as error:
            raise broken(error) from None


def _object(given: Any) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise HttpError(400, "an outcome is an object, or a list of them", why="contract")
    return given
