"""The load itself: requests go out when they are due, whatever became of those before."""

from __future__ import annotations

import asyncio
import gc
import heapq
import itertools
import math
import threading
import time
from dataclasses import dataclass, field

from experiments.traffic.client import Client
from experiments.traffic.messages import Messages, Report
from experiments.traffic.record import MALFORMED, NO_ANSWER, Record

TICK = 1e-3  # s: as exactly as an event loop's timers are


@dataclass(slots=True, eq=False)
class Load:
    """Plays the visits of `messages` against a server, and fills a record.

    outcomes: report what came of the answers.
    drain: s that are waited at the end for what is not answered yet.
    """

    messages: Messages
    client: Client
    record: Record
    outcomes: bool = True
    drain: float = 5.0
    stop: threading.Event | None = None  # once set, nothing more is sent
    _next: int = 0  # visit
    _reports: list[tuple[float, int, int, Report]] = field(default_factory=list)  # heap: due, ...
    _order: itertools.count[int] = field(default_factory=itertools.count)
    _start: float = 0.0
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> Record:
        """Until all that was scheduled is sent, and answered or given up."""
        gc.collect()
        gc.disable()  # a collection would delay what is due; reference counts free the rest
        cpu = time.process_time()
        try:
            self._start = self.record.began = time.perf_counter()
            self._pump()
            await self._over.wait()
            until = time.perf_counter() + self.drain
            while self.client.in_flight and time.perf_counter() < until:
                await asyncio.sleep(0.01)
        finally:
            gc.enable()
            self.client.close()
        await asyncio.sleep(0.01)
        self.record.cpu = time.process_time() - cpu
        self.record.unsent += len(self._reports)
        self.record.waited, self.record.resent = self.client.waited, self.client.resent
        return self.record

    def _pump(self) -> None:
        """Send what is due, and come back for the next."""
        now, due = self._now(), self.messages.visits.due
        if self.stop is not None and self.stop.is_set():
            self.record.seconds = now
            self._over.set()
            return
        while self._next < len(due) and due[self._next] <= now:
            self._decide(self._next)
            self._next += 1
        while self._reports and self._reports[0][0] <= now:
            at, _, visit, report = heapq.heappop(self._reports)
            self._report(at, visit, report)
        if now >= self.record.seconds and self._next == len(due):
            self._over.set()
            return
        waits = [self.record.seconds if self._next == len(due) else float(due[self._next])]
        if self._reports:
            waits.append(self._reports[0][0])
        ticks = math.ceil((min(waits) - self._now()) / TICK)
        asyncio.get_running_loop().call_later(max(ticks, 1) * TICK, self._pump)

    def _now(self) -> float:
        return time.perf_counter() - self._start

    def _decide(self, visit: int) -> None:
        calls = self.record.decides
        row = calls.send(float(self.messages.visits.due[visit]), self._now(), visit)

        def done(status: int, body: bytes, at: float) -> None:
            answer = self.messages.answer(body) if status == 200 else None
            if status == 200 and answer is None:
                status = MALFORMED
            calls.answer(row, status, at - self._start)
            if answer is None:
                return
            self.record.version_of[row] = answer.policy
            if answer.fallback is not None:
                self.record.fallback[row] = answer.fallback
            if self.outcomes:
                self._react(visit, answer.items, at - self._start)

        self.client.post("/decide", self.messages.decide(visit), done)

    def _react(self, visit: int, items: list[str], now: float) -> None:
        report = self.messages.report(visit, items)
        if report is None:
            return
        at = now + float(self.messages.reactions.delay[visit])
        heapq.heappush(self._reports, (at, next(self._order), visit, report))
        again = at + float(self.messages.reactions.again[visit])
        if not math.isnan(again):
            heapq.heappush(self._reports, (again, next(self._order), visit, report))

    def _report(self, due: float, visit: int, report: Report) -> None:
        record = self.record
        row = record.outcomes.send(due, self._now(), visit)
        record.reports.append(report.ids)
        record.kept.append(-1)

        def done(status: int, body: bytes, at: float) -> None:
            kept = self.messages.kept(body) if status == 200 else -1
            if status == 200 and kept < 0:
                status = MALFORMED
            record.outcomes.answer(row, status, at - self._start)
            record.kept[row] = kept if status != NO_ANSWER else -1

        self.client.post("/outcome", report.body, done)


def event_loop() -> asyncio.AbstractEventLoop:
    """The quickest event loop that is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.new_event_loop()
    return uvloop.new_event_loop()
