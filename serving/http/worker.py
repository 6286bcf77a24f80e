"""The one thread that works: whatever waits is decided in one batch."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from policies.base import Policy
from policies.rules.constraints import Rule
from serving.answers import rules_of
from serving.contracts.decisions import Decision
from serving.contracts.fields import ContractError
from serving.contracts.outcomes import Outcome, OutcomeEvent
from serving.contracts.requests import Request
from serving.engine import Engine
from serving.http.errors import HttpError, broken, failed, not_now, too_many
from serving.http.guard import Guard
from serving.http.limits import Limits
from serving.http.waiting import Queue, Waiter

logger = logging.getLogger("serving")
Settled = list[tuple[Waiter, Any]]  # what each waiter gets; an exception is raised


class Meter(Protocol):
    """What counts the worker's answers."""

    def under(self, rules: tuple[Rule, ...]) -> None: ...

    def decided(self, decisions: Sequence[Decision]) -> None: ...

    def outcomes(self, events: Sequence[OutcomeEvent]) -> None: ...


class Worker:
    """Takes up to `limits.batch` requests and as many calls of outcomes at a time, in the order in
    which they were read; nothing waits while nothing is being worked on.

    A request that waited too long is the fallback's; where the queue is full, it is refused with
    429. A bad request of a batch is refused by itself. All that waits is answered before `stop`
    returns.

    timer: seconds, of waits and of work.
    """

    def __init__(
        self,
        engine: Engine,
        limits: Limits,
        meter: Meter | None = None,
        *,
        timer: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.engine, self.limits, self.meter, self.timer = engine, limits, meter, timer
        self.guard = Guard()
        self._counted: Policy | None = None  # whose rules the meter knows
        self.queue = Queue(limits.waiting)
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Work for the callers of a loop."""
        self._loop = loop
        self._thread = threading.Thread(target=self._run, name="serving-worker")
        self._thread.start()

    def stop(self) -> None:
        """Answer all that waits, and end."""
        self.queue.close()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    async def decide(self, request: Request) -> Decision:
        """Raises HttpError."""
        found: Decision = await self._wait(request, outcomes=False)
        return found

    async def outcomes(self, outcomes: Sequence[Outcome]) -> None:
        """On return all of them are kept. Raises HttpError."""
        await self._wait(outcomes, outcomes=True)

    async def _wait(self, call: Any, *, outcomes: bool) -> Any:
        waiter = Waiter(call, asyncio.get_running_loop().create_future(), self.timer())
        if not self.queue.put(waiter, outcomes=outcomes):
            raise self._full("calls with outcomes" if outcomes else "requests")
        return await waiter.done

    def _full(self, what: str) -> HttpError:
        if self.queue.closed:
            return not_now("the server is ending")
        most = self.limits.waiting
        return too_many(f"{most} {what} are waiting; try again after a second", most)

    def _run(self) -> None:
        while (taken := self.queue.take(self.limits.batch)) is not None:
            requests, outcomes = taken
            if requests:
                self._settle(requests, self._decided)
            if outcomes:
                self._settle(outcomes, self._kept)

    def _settle(self, waiters: list[Waiter], work: Callable[[list[Waiter]], Settled]) -> None:
        try:
            settled = work(waiters)
        except Exception:
            logger.exception("a batch failed")
            settled = [(waiter, failed()) for waiter in waiters]
        self._loop.call_soon_threadsafe(_tell, settled)

    def _decided(self, waiters: list[Waiter]) -> Settled:
        try:
            return [*zip(waiters, self._batch(waiters), strict=True)]
        except ContractError:
            good, bad = self._checked(waiters)
        return [*zip(good, self._batch(good), strict=True), *bad]

    def _checked(self, waiters: list[Waiter]) -> tuple[list[Waiter], Settled]:
        good, bad = list[Waiter](), Settled()
        for waiter in waiters:
            try:
                self.engine.check(waiter.call)
                good.append(waiter)
            except ContractError as error:
                bad.append((waiter, broken(error)))
        return good, bad

    def _batch(self, waiters: list[Waiter]) -> list[Decision]:
        started = self.timer()
        waited = [1e3 * (started - waiter.received) for waiter in waiters]
        late = [
            self.guard.late(ms, self._deadline(w)) for ms, w in zip(waited, waiters, strict=True)
        ]
        requests = [waiter.call for waiter in waiters]
        decisions = self.engine.decide_many(requests, waited_ms=waited, late=late)
        if not all(late):
            self.guard.took(1e3 * (self.timer() - started))
        if self.meter is not None:
            self._count(self.meter, decisions)
        return decisions

    def _count(self, meter: Meter, decisions: list[Decision]) -> None:
        """Decisions, and before them the rules of a policy that is new."""
        if self._counted is not (policy := self.engine.policy):
            self._counted = policy
            meter.under(rules_of(policy))
        meter.decided(decisions)

    def _deadline(self, waiter: Waiter) -> float:
        given: float | None = waiter.call.deadline_ms
        return self.limits.deadline_ms if given is None else given

    def _kept(self, waiters: list[Waiter]) -> Settled:
        """All calls at once; one by one where an outcome of theirs is no good."""
        together = [outcome for waiter in waiters for outcome in waiter.call]
        try:
            events = self.engine.outcomes(together)
        except ContractError as error:
            if len(waiters) == 1:
                return [(waiters[0], broken(error))]
            return [settled for waiter in waiters for settled in self._kept([waiter])]
        except Exception:
            logger.exception("outcomes could not be kept")
            again = "the outcomes could not all be kept; send them again"
            return [(waiter, not_now(again)) for waiter in waiters]
        if self.meter is not None:
            self.meter.outcomes(events)
        return [(waiter, None) for waiter in waiters]


def _tell(settled: Settled) -> None:
    """In the callers' loop."""
    for waiter, result in settled:
        if waiter.done.done():
            continue
        if isinstance(result, Exception):
            waiter.done.set_exception(result)
        else:
            waiter.done.set_result(result)
