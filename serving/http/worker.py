"""The one thread that works: whatever waits is decided in one batch."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from serving.contracts.decisions import Decision
from serving.contracts.fields import ContractError
from serving.contracts.outcomes import Outcome
from serving.contracts.requests import Request
from serving.engine import Engine
from serving.http.errors import HttpError, broken, no_more, not_now
from serving.http.guard import Guard
from serving.http.limits import Limits
from serving.http.waiting import Queue, Waiter

logger = logging.getLogger("serving")
Settled = list[tuple[Waiter, Any]]  # what each waiter gets; an exception is raised


class Meter(Protocol):
    """What counts the worker's answers."""

    def decided(self, decisions: Sequence[Decision]) -> None: ...

    def outcomes(self, outcomes: Sequence[Outcome]) -> None: ...


class Worker:
    """Takes up to `limits.batch` requests and as many calls of outcomes at a time, in the order in
    which they were read; nothing waits while nothing is being worked on.

    A request that waited too long is the fallback's; where the queue is full, it is refused with
    429. A bad request of a batch is refused by itself. All that waits is answered before `stop`
    returns.
    """

    def __init__(self, engine: Engine, limits: Limits, meter: Meter | None = None) -> None:
        self.engine, self.limits, self.meter = engine, limits, meter
        self.guard = Guard()
        self.queue = Queue(limits.waiting)
        self._thread: threading.Thread | None = None

    def start(self, loop: asyncio.AbstractEventLoop, first: Callable[[], None]) -> None:
        """Work for callers of a loop; `first` is done before everything else."""
        self._loop = loop
        self._thread = threading.Thread(target=self._run, args=(first,), name="serving-worker")
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
        waiter = Waiter(call, asyncio.get_running_loop().create_future())
        if not self.queue.put(waiter, outcomes=outcomes):
            most = self.limits.waiting
            raise no_more(f"{most} {'outcomes' if outcomes else 'requests'} are waiting", most)
        return await waiter.done

    def _run(self, first: Callable[[], None]) -> None:
        first()
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
            failed = HttpError(500, "the server failed; its log says why", why="failed")
            settled = [(waiter, failed) for waiter in waiters]
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
        started = time.perf_counter()
        decisions = self.engine.decide_many([waiter.call for waiter in waiters])
        self.guard.took(1e3 * (time.perf_counter() - started))
        if self.meter is not None:
            self.meter.decided(decisions)
        return decisions

    def _kept(self, waiters: list[Waiter]) -> Settled:
        """All calls at once; one by one where an outcome of theirs is no good."""
        together = [outcome for waiter in waiters for outcome in waiter.call]
        try:
            self.engine.outcomes(together)
        except ContractError as error:
            if len(waiters) == 1:
                return [(waiters[0], broken(error))]
            return [settled for waiter in waiters for settled in self._kept([waiter])]
        except Exception:
            logger.exception("outcomes could not be kept")
            failed = not_now("the outcomes could not all be kept; send them again")
            return [(waiter, failed) for waiter in waiters]
        if self.meter is not None:
            self.meter.outcomes(together)
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
