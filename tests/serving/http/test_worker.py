"""The queue and its one worker, on a clock that only the work moves."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from serving import Decision, Engine, Outcome, Request
from serving.http.errors import HttpError
from serving.http.limits import Limits
from serving.http.worker import Worker
from tests.serving.factories import events_of
from tests.serving.http.factories import outcome, request, tiny_engine


class Timed:
    """An engine whose batches take as long as they are told, while its gate is open."""

    def __init__(self, engine: Engine) -> None:
        self.engine, self.now, self.takes = engine, 0.0, 0.0
        self.batches: list[list[bool]] = []  # which of a batch were late
        self.gate, self.busy = threading.Event(), threading.Event()
        self.gate.set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def decide_many(
        self, requests: Sequence[Request], *, waited_ms: Sequence[float], late: Sequence[bool]
    ) -> list[Decision]:
        self.busy.set()
        assert self.gate.wait(20)
        self.batches.append([*late])
        decided = self.engine.decide_many(requests, waited_ms=waited_ms, late=late)
        self.now += self.takes
        return decided


def worker_of(timed: Timed, **limits: Any) -> Worker:
    return Worker(timed, Limits(**limits), timer=lambda: timed.now)  # type: ignore[arg-type]


async def started(worker: Worker) -> None:
    worker.start(asyncio.get_running_loop())


async def waiting(worker: Worker, n: int) -> None:
    """Once as many calls wait."""
    while len(worker.queue) < n:
        await asyncio.sleep(0.001)


def ask(n: int = 0, **fields: Any) -> Request:
    return Request(**request(n, **fields))


def test_one_slow_batch_makes_no_later_request_late() -> None:
    """Its duration alone would forbid every policy: no batch would ever correct it."""
    timed = Timed(tiny_engine())
    worker = worker_of(timed, deadline_ms=40.0)

    async def run() -> list[Decision]:
        await started(worker)
        timed.takes = 60.0  # s
        slow = await worker.decide(ask(0))
        timed.takes = 0.001
        return [slow, *[await worker.decide(ask(n)) for n in range(1, 9)]]

    decisions = asyncio.run(run())
    worker.stop()
    assert [d.fallback for d in decisions] == [None] * 9


def test_what_waited_too_long_is_the_fallbacks_and_is_logged() -> None:
    timed = Timed(tiny_engine())
    worker = worker_of(timed, deadline_ms=40.0, batch=2)

    async def run() -> list[Decision]:
        await started(worker)
        timed.gate.clear()
        first = asyncio.create_task(worker.decide(ask(0)))
        await asyncio.to_thread(timed.busy.wait, 20)
        calls = [ask(1), ask(2, deadline_ms=9_000.0), ask(3), ask(4, deadline_ms=10.0)]
        rest = [asyncio.create_task(worker.decide(call)) for call in calls]
        await waiting(worker, 4)
        timed.now += 0.05
        timed.gate.set()
        return await asyncio.gather(first, *rest)

    decisions = asyncio.run(run())
    worker.stop()
    assert timed.batches == [[False], [True], [False], [True, True]]
    assert [d.fallback for d in decisions] == [None, "deadline", None, "deadline", "deadline"]
    assert [d.waited_ms for d in decisions] == [0.0, *[pytest.approx(50.0)] * 4]
    assert {d.decision_id for d in events_of(timed.engine.events)[0]} == {f"r{n}" for n in range(5)}


def test_whatever_waits_is_one_batch_and_more_than_may_wait_is_refused() -> None:
    timed = Timed(tiny_engine())
    worker = worker_of(timed, deadline_ms=1e6, waiting=40)

    async def run() -> list[Any]:
        await started(worker)
        timed.gate.clear()
        first = asyncio.create_task(worker.decide(ask(0)))
        await asyncio.to_thread(timed.busy.wait, 20)
        rest = [asyncio.create_task(worker.decide(ask(n))) for n in range(1, 44)]
        await waiting(worker, 40)
        kept = asyncio.create_task(worker.outcomes([Outcome(**outcome(0))]))  # another line
        await waiting(worker, 41)
        timed.gate.set()
        found = await asyncio.gather(first, *rest, return_exceptions=True)
        await kept
        return found

    found = asyncio.run(run())
    worker.stop()
    assert [len(batch) for batch in timed.batches] == [1, 32, 8]
    refused = [one for one in found if isinstance(one, HttpError)]
    assert [type(one) for one in found[:41]] == [Decision] * 41
    assert [(one.status, one.limit, one.headers["retry-after"]) for one in refused] == [
        (429, 40, "1")
    ] * 3
    decisions, outcomes = events_of(timed.engine.events)
    assert (len(decisions), len(outcomes)) == (41, 1)


def test_a_request_comes_while_only_outcomes_are_worked_on() -> None:
    engine = tiny_engine()
    keeps, go, busy = engine.outcomes, threading.Event(), threading.Event()

    def slowly(outcomes: Sequence[Outcome]) -> Any:
        busy.set()
        assert go.wait(20)
        return keeps(outcomes)

    engine.outcomes = slowly  # type: ignore[method-assign]
    worker = Worker(engine, Limits(deadline_ms=1e6))

    async def run() -> Decision:
        await started(worker)
        kept = asyncio.create_task(worker.outcomes([Outcome(**outcome(0))]))
        await asyncio.to_thread(busy.wait, 20)
        decided = asyncio.create_task(worker.decide(ask(1)))
        await waiting(worker, 1)
        go.set()
        await kept
        return await decided

    decision = asyncio.run(run())
    worker.stop()
    assert decision.fallback is None


def test_who_would_be_answered_too_late_is_refused_and_the_next_is_not() -> None:
    timed = Timed(tiny_engine())
    worker = worker_of(timed, deadline_ms=18.0)  # 27 may be waited
    for _ in range(100):
        worker.guard.line.took(1, 10.0)

    async def run() -> list[Any]:
        await started(worker)
        timed.gate.clear()
        first = asyncio.create_task(worker.decide(ask(0)))
        await asyncio.to_thread(timed.busy.wait, 20)
        behind = asyncio.create_task(worker.decide(ask(1)))
        await waiting(worker, 1)
        second = asyncio.create_task(worker.decide(ask(2)))
        await waiting(worker, 2)
        refused = await asyncio.gather(worker.decide(ask(3)), return_exceptions=True)
        patient = asyncio.create_task(worker.decide(ask(4, deadline_ms=500.0)))
        await waiting(worker, 3)
        timed.gate.set()
        answered = await asyncio.gather(first, behind, second, patient)
        return [*refused, *answered, await worker.decide(ask(5))]

    found = asyncio.run(run())
    worker.stop()
    assert [getattr(one, "status", 200) for one in found] == [429, *[200] * 5]
    assert (found[0].limit, found[0].headers["retry-after"]) == (27.0, "1")


def test_a_bad_call_of_a_batch_is_refused_by_itself() -> None:
    timed = Timed(tiny_engine())
    worker = worker_of(timed, deadline_ms=1e6)

    async def run() -> list[Any]:
        await started(worker)
        timed.gate.clear()
        first = asyncio.create_task(worker.decide(ask(0)))
        await asyncio.to_thread(timed.busy.wait, 20)
        bad = ask(1, candidates=["item-0", "nothing"])
        calls = [worker.decide(ask(2)), worker.decide(bad), worker.decide(ask(3))]
        calls += [  # type: ignore[list-item]
            worker.outcomes([Outcome(**outcome(2))]),
            worker.outcomes([Outcome(**outcome(4)), Outcome(**outcome(5, item="nothing"))]),
        ]
        rest = [asyncio.create_task(call) for call in calls]
        await waiting(worker, 5)
        timed.gate.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)

    found = asyncio.run(run())
    worker.stop()
    assert [getattr(one, "status", 200) for one in found] == [200, 200, 422, 200, 200, 422]
    assert [found[2].field, found[5].field] == ["candidates", "item"]
    decisions, outcomes = events_of(timed.engine.events)
    assert [d.decision_id for d in decisions] == ["r0", "r2", "r3"]
    assert [o.outcome_id for o in outcomes] == ["o2"], "of a call with a bad one none is kept"


def test_all_that_waits_is_answered_before_the_end() -> None:
    timed = Timed(tiny_engine())
    worker = worker_of(timed, deadline_ms=1e6)

    async def run() -> list[Any]:
        await started(worker)
        timed.gate.clear()
        first = asyncio.create_task(worker.decide(ask(0)))
        await asyncio.to_thread(timed.busy.wait, 20)
        rest = [asyncio.create_task(worker.decide(ask(n))) for n in range(1, 6)]
        await waiting(worker, 5)
        ending = asyncio.create_task(asyncio.to_thread(worker.stop))
        while not worker.queue.closed:
            await asyncio.sleep(0.001)
        late = asyncio.create_task(worker.decide(ask(6)))
        await asyncio.wait([late])
        timed.gate.set()
        await ending
        return await asyncio.gather(first, *rest, late, return_exceptions=True)

    *answered, refused = asyncio.run(run())
    assert [type(one) for one in answered] == [Decision] * 6
    assert refused.status == 503
    assert "ending" in refused.message


def test_an_engine_that_breaks_answers_500_and_goes_on() -> None:
    engine = tiny_engine()
    timed = Timed(engine)
    worker = worker_of(timed, deadline_ms=1e6)

    async def run() -> list[Any]:
        await started(worker)
        timed.engine = None  # type: ignore[assignment]
        broken = await asyncio.gather(worker.decide(ask(0)), return_exceptions=True)
        timed.engine = engine
        return [*broken, await worker.decide(ask(1))]

    failed, decided = asyncio.run(run())
    worker.stop()
    assert failed.status == 500
    assert decided.decision_id == "r1"


def test_outcomes_that_cannot_be_kept_are_asked_for_again(caplog: pytest.LogCaptureFixture) -> None:
    """One alarm for as long as it goes on, and what is sent again is kept once it can be."""
    timed = Timed(tiny_engine())
    worker, log = worker_of(timed), timed.engine.events
    sent = [Outcome(**outcome(0))]

    async def run() -> list[Any]:
        await started(worker)
        log.close()
        lost = [await asyncio.gather(worker.outcomes(sent), return_exceptions=True)]
        lost += [await asyncio.gather(worker.outcomes(sent), return_exceptions=True)]
        log.closed = False  # type: ignore[attr-defined]
        await worker.outcomes(sent)
        return [one for found in lost for one in found]

    lost = asyncio.run(run())
    worker.stop()
    assert [(one.status, one.headers["retry-after"]) for one in lost] == [(503, "1")] * 2
    said = [record.message for record in caplog.records]
    assert said == ["outcomes cannot be kept; callers send them again", "outcomes are kept again"]
    assert len(events_of(timed.engine.events)[1]) == 1
