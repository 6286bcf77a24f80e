"""What is served: the engine and everything beside it, without a word of HTTP paths."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, Protocol

from serving.answers import rules_of
from serving.contracts.fields import ContractError, from_json, parse_json, read_json
from serving.contracts.outcomes import Outcome
from serving.contracts.requests import Request
from serving.engine import Engine
from serving.http.errors import HttpError, broken, not_now, too_many
from serving.http.limits import Limits
from serving.http.messages import Beginning, Farewell, Slate
from serving.http.rates import Rates
from serving.http.tokens import check_token
from serving.http.worker import Meter, Worker
from serving.live import arms_of
from serving.page.names import Names

ASIDE = 8  # explanations and farewells that may wait; one is worked on
Body = dict[str, Any]


class Metrics(Meter, Protocol):
    """What the server counts, and how it is read."""

    def rejected(self, why: int | str) -> None: ...

    def text(self) -> bytes: ...

    def slis(self) -> Body: ...


class Service:
    """An engine behind a queue. Its methods take the bodies of calls, and raise HttpError.

    token: what callers must show, except at /health; None = nothing.
    max_steps: after which sessions end by design, for the event log; None = they do not.
    explain: answers a question with what its JSON shall be; forget: removes a user, and says what
        was removed. They work beside the worker, one call at a time.
    page: files of the page and their content types, by path.
    status: what /status shall say beside the engine's part, or instead of it.
    beside: what runs as long as the service does.

    What is None is answered by 404.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        limits: Limits | None = None,
        token: str | None = None,
        max_steps: int | None = None,
        metrics: Metrics | None = None,
        explain: Callable[[Body], Body] | None = None,
        forget: Callable[[str], Body] | None = None,
        page: Mapping[str, tuple[bytes, str]] | None = None,
        status: Callable[[], Mapping[str, Any]] | None = None,
        beside: Sequence[AbstractContextManager[Any]] = (),
    ) -> None:
        self.engine, self.limits = engine, limits or Limits()
        self.token = None if token is None else check_token(token)
        self.metrics, self.page = metrics, page or {}
        self._max_steps, self._explain, self._forget = max_steps, explain, forget
        self._status = status
        self._open = ExitStack()
        self._begins = beside
        self.worker = Worker(engine, self.limits, metrics)
        self.started, self.since = threading.Event(), time.time()
        self.failed: Exception | None = None  # why it did not start
        self._names = Names(engine.catalogue.names)
        self._rates = Rates(self.limits.user_requests, self.limits.users)
        self._aside, self._waiting_aside = asyncio.Semaphore(1), 0

    async def start(self) -> None:
        """Say in the event log what is served, and begin to work for the loop of the caller.

        Raises EventLogError where the log keeps nothing.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, lambda: self.engine.announce(max_steps=self._max_steps))
        for one in self._begins:
            self._open.enter_context(one)
        self.worker.start(loop)
        self.started.set()

    def stop(self) -> None:
        """Answer what waits, then close the event log."""
        self.worker.stop()
        self._open.close()
        self.engine.events.close()

    async def decide(self, body: bytes) -> Body:
        """The slate for a request."""
        try:
            request = Request.from_json(body)
        except ContractError as error:
            raise broken(error) from None
        self.limits.check_request(request)
        self._check_rate(request.user)
        decision = await self.worker.decide(request)
        return Slate.of_decision(decision, valid_s=self.limits.valid_s).body()

    async def outcomes(self, body: bytes) -> Body:
        """How many outcomes of a call were kept: all of them."""
        outcomes = self._outcomes(body)
        for user in {outcome.user for outcome in outcomes}:
            self._check_rate(user)
        if outcomes:
            await self.worker.outcomes(outcomes)
        return {"kept": len(outcomes)}

    async def explain(self, body: bytes) -> Body:
        """Why a slate is as it is."""
        return await self._beside(self._explain, "/explain", lambda: parse_json(body))

    async def forget(self, body: bytes) -> Body:
        """What was removed of a user."""
        return await self._beside(
            self._forget, "/forget", lambda: from_json(Farewell, body, "farewell").user
        )

    def items(self, body: bytes) -> Body:
        """Some of the item names that begin like a text."""
        try:
            like = from_json(Beginning, body, "beginning").like
        except ContractError as error:
            raise broken(error) from None
        return {"items": self._names.like(like)}

    def ready(self) -> Body:
        """What fails at the moment, if anything does; 503 before the start and at the end."""
        if self.worker.queue.closed:
            raise not_now("the server is ending")
        if not self.started.is_set():
            raise not_now("the server is starting")
        return {"status": "ready", "failing": sorted(self.engine.failing)}

    def status(self) -> Body:
        """What is served since when, and how well."""
        engine, serving = self.engine, self.engine.serving
        known = {
            "policy": engine.version,
            "sha256": engine.sha256,
            "since": self.since,
            "versions": [engine.version],
            "items": serving.n_items,
            "slate_size": serving.slate_size,
            "response_names": serving.response_names,
            "context": serving.user_size,
            "rules": [rule.name for rule in rules_of(engine.policy)],
            "slis": {} if self.metrics is None else self.metrics.slis(),
            "restored": None,
            "error": None,
            "board": None,
        } | arms_of(engine.served)
        return known | dict({} if self._status is None else self._status())

    def _check_rate(self, user: str) -> None:
        if not self._rates.take(user, time.monotonic()):
            most = self.limits.user_requests
            said = f"user has sent more than {most:g} calls within a second; try again after one"
            raise too_many(said, most, "user")

    def _outcomes(self, body: bytes) -> list[Outcome]:
        try:
            given = read_json(body)
            several = given if isinstance(given, list) else [given]
            self.limits.check_length("outcomes", several)
            return [_outcome(one) for one in several]
        except ContractError as error:
            raise broken(error) from None

    async def _beside(
        self, work: Callable[[Any], Body] | None, path: str, read: Callable[[], Any]
    ) -> Body:
        """In a thread of its own, one call at a time."""
        if work is None:
            raise HttpError(404, f"this server has no {path}")
        try:
            asked = read()
            if self._waiting_aside >= ASIDE:
                raise too_many(f"{ASIDE} calls of {path} are waiting; try again", ASIDE)
            self._waiting_aside += 1
            try:
                async with self._aside:
                    return await asyncio.get_running_loop().run_in_executor(None, work, asked)
            finally:
                self._waiting_aside -= 1
        except ContractError as error:
            raise broken(error) from None


def _outcome(given: Any) -> Outcome:
    if not isinstance(given, dict):
        raise ContractError("the body is one outcome, an object, or a list of outcomes")
    return Outcome.from_json(given)
