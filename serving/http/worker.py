"""The one thread that works: whatever waits is decided in one batch."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from policies.rules.constraints import Rule
from serving.contracts.decisions import Decision
from serving.contracts.fields import ContractError
from serving.contracts.outcomes import Outcome, OutcomeEvent
from serving.contracts.requests import Request
from serving.engine import Engine
from serving.http.errors import HttpError, broken, failed, not_now, too_many
from serving.http.guard import Guard
from serving.http.limits import Limits
from serving.http.waiting import Queue, Waiter
from serving.live import Served

logger = logging.getLogger("serving")
Settled = list[tuple[Waiter, Any]]  # what each waiter gets; an exception is raised


class Meter(Protocol):
    """What counts the worker's answers."""

    def under(self, rules: tuple[Rule, ...]) -> None: ...

    def decided(self, decisions: Sequence[Decision], *, logged: int | None = None) -> None: ...

    def outcomes(self, events: Sequence[OutcomeEvent]) -> None: ...


class Worker:
    """Takes up to `limits.batch` requests and as many calls of outcomes at a time, in the order in
    which they were read. Of requests it takes no more than the policy is expected to answer in half
    of a deadline. After a batch it may rest for some ms, as `Guard.rest_ms` says, so that the next
    one is of more requests; what comes to a worker that has nothing to do is taken at once.

    A request that waited too long is the fallback's, which answers before the policy does. One that
    would wait longer still, or finds the queue full, is refused with 429. A bad request of a batch
    is refused by itself. All that waits is answered before `stop` returns.

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
        self.guard = Guard(limits.batch, limits.deadline_ms)
        self._busy: tuple[int, float] | None = None  # requests that are worked on, and since when
        self._losing = False  # outcomes, at the moment
        self._counted: Served | None = None  # whose rules the meter knows
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
        if not outcomes:
            self._admit(call)
        waiter = Waiter(call, asyncio.get_running_loop().create_future(), self.timer())
        if not self.queue.put(waiter, outcomes=outcomes):
            raise self._full("calls with outcomes" if outcomes else "requests")
        return await waiter.done

    def _admit(self, request: Request) -> None:
        busy, left = self._busy, 0.0
        if busy is not None:
            left = self.guard.left_ms(busy[0], 1e3 * (self.timer() - busy[1]))
        if not self.guard.admits(self.queue.requests, left, request.deadline_ms):
            most = self.guard.patience_ms(request.deadline_ms)
            said = f"an answer would take longer than {most:g} ms; try again after a second"
            raise too_many(said, most)

    def _full(self, what: str) -> HttpError:
        if self.queue.closed:
            return not_now("the server is ending")
        most = self.limits.waiting
        return too_many(f"{most} {what} are waiting; try again after a second", most)

    def _run(self) -> None:
        while (taken := self._taken()) is not None:
            requests, outcomes = taken
            began = self.timer()
            self._busy = len(requests), began
            parts = self._parts(requests, began)
            for some, late in parts:
                self._settle(some, partial(self._decided, late=late))
            if outcomes:
                self._settle(outcomes, self._kept)
            self._busy = None
            if requests:
                self.guard.line.took(len(requests), 1e3 * (self.timer() - began))
                if not any(late for _, late in parts):  # else there is no time to lose
                    time.sleep(1e-3 * self.guard.rest_ms(self.queue.requests))

    def _taken(self) -> tuple[list[Waiter], list[Waiter]] | None:
        """What waits; while nothing does, the shadow is asked, a little at a time."""
        while not len(self.queue) and self._shadow():
            pass
        return self.queue.take(self.guard.size(), self.limits.batch)

    def _shadow(self) -> int:
        try:
            return self.engine.run_shadow()
        except Exception:  # nobody waits for it
            logger.exception("the shadow failed")
            return 0

    def _parts(self, waiters: list[Waiter], now: float) -> list[tuple[list[Waiter], bool]]:
        """Those who are late, which is quickly done, and those who are not."""
        n = len(waiters)
        parts: dict[bool, list[Waiter]] = {True: [], False: []}
        for waiter in waiters:
            given = waiter.call.deadline_ms
            deadline = self.limits.deadline_ms if given is None else given
            parts[self.guard.late(1e3 * (now - waiter.received), deadline, n)].append(waiter)
        return [(some, late) for late, some in parts.items() if some]

    def _settle(self, waiters: list[Waiter], work: Callable[[list[Waiter]], Settled]) -> None:
        try:
            settled = work(waiters)
        except Exception:
            logger.exception("a batch failed")
            settled = [(waiter, failed()) for waiter in waiters]
        self._loop.call_soon_threadsafe(_tell, settled)

    def _decided(self, waiters: list[Waiter], *, late: bool) -> Settled:
        try:
            return [*zip(waiters, self._batch(waiters, late), strict=True)]
        except ContractError:
            good, bad = self._checked(waiters)
        return [*zip(good, self._batch(good, late), strict=True), *bad]

    def _checked(self, waiters: list[Waiter]) -> tuple[list[Waiter], Settled]:
        good, bad = list[Waiter](), Settled()
        for waiter in waiters:
            try:
                self.engine.check(waiter.call)
                good.append(waiter)
            except ContractError as error:
                bad.append((waiter, broken(error)))
        return good, bad

    def _batch(self, waiters: list[Waiter], late: bool) -> list[Decision]:
        started = self.timer()
        waited = [1e3 * (started - waiter.received) for waiter in waiters]
        requests = [waiter.call for waiter in waiters]
        before = self.engine.counts["unlogged"]
        decisions = self.engine.decide_many(requests, waited_ms=waited, late=[late] * len(requests))
        if requests and not late:
            self.guard.policy.took(len(requests), 1e3 * (self.timer() - started))
        if self.meter is not None:
            lost = self.engine.counts["unlogged"] - before
            self._count(self.meter, decisions, len(decisions) - lost)
        return decisions

    def _count(self, meter: Meter, decisions: list[Decision], logged: int) -> None:
        """Decisions, of which so many are logged, and before them the rules of a new policy."""
        if self._counted is not (served := self.engine.served):
            self._counted = served
            for one in served.shown:
                meter.under(one.answers.rules)
        meter.decided(decisions, logged=logged)

    def _kept(self, waiters: list[Waiter]) -> Settled:
        """All calls at once; one by one where an outcome of theirs is no good."""
        together = [outcome for waiter in waiters for outcome in waiter.call]
        try:
            events = self.engine.outcomes(together)
        except ContractError as error:
            if len(waiters) == 1:
                return [(waiters[0], broken(error))]
            return [settled for waiter in waiters for settled in self._kept([waiter])]
        except Exception as error:
            if not self._losing:
                logger.error("outcomes cannot be kept; callers send them again", exc_info=error)
            self._losing = True
            again = "the outcomes could not all be kept; send them again"
            return [(waiter, not_now(again)) for waiter in waiters]
        if self._losing:
            logger.warning("outcomes are kept again")
        self._losing = False
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
