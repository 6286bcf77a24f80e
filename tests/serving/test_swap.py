"""A hot swap: the next batch is of the new policy, no request is lost, and retries stay honest."""

from __future__ import annotations

import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from policies import Banned, Exploration, Observation, Policy, ScorePolicy, constrained
from serving import (
    ContractError,
    Decision,
    Engine,
    EventLogError,
    JoinRule,
    MemoryLog,
    MemorySessions,
    Outcome,
    Request,
    Shape,
    TopVectors,
    join,
    replay,
)
from serving.events.reading import in_order, starts_of
from tests.serving.factories import events_of, make_engine
from tests.serving.shifted import NAMES, SERVING, A, C, Shifted, shifted

OLD, NEW = shifted(0), shifted(15)


def ask(i: int, **fields: Any) -> Request:
    offer = tuple(NAMES[(3 * i + 2 * j) % A] for j in range(C))
    given = {"request_id": f"r{i}", "user": f"user {i % 5}", "session": "s", "candidates": offer}
    return Request(**given | fields)


def took(decision: Decision, user: str) -> Outcome:
    known = {"decision_id": decision.decision_id, "user": user, "kind": "taken"}
    click = {"click": 1.0}
    known["outcome_id"] = f"{decision.decision_id} taken"
    return Outcome(item=decision.items[0], responses=click, **known)


def core(decision: Decision) -> Decision:
    """A decision without its clock."""
    return replace(decision, time=0.0, worked_ms=0.0, history_age=None)


def swapped(**settings: Any) -> Engine:
    """An engine that serves the new policy after the old one."""
    engine = make_engine(OLD, version="old", sha256="0ld", **settings)
    engine.swap(NEW, version="new", sha256="0ff")
    return engine


def test_the_next_batch_is_of_the_new_policy_as_if_it_had_always_been_served() -> None:
    engine = make_engine(OLD, version="old", sha256="0ld")
    before = engine.decide_many([ask(i) for i in range(10)])
    engine.swap(NEW, version="new", sha256="0ff")
    assert (engine.policy, engine.version, engine.sha256) == (NEW, "new", "0ff")
    after = engine.decide_many([ask(i) for i in range(10, 20)])
    assert {(d.policy, d.policy_sha256, d.arm) for d in before} == {("old", "0ld", "live")}
    assert {(d.policy, d.policy_sha256, d.arm) for d in after} == {("new", "0ff", "live")}
    same = make_engine(NEW, version="new", sha256="0ff")
    same.decide_many([ask(i) for i in range(10)])
    assert [core(d) for d in same.decide_many([ask(i) for i in range(10, 20)])] == [
        core(d) for d in after
    ]
    assert [d.step for d in after] == [2, 2, 2, 2, 2, 3, 3, 3, 3, 3]  # sessions go on


def test_rules_and_retrieval_of_the_new_policy_are_kept_by_its_fallback_too() -> None:
    line = np.arange(A, dtype=np.float32)[:, None]
    engine = make_engine(OLD, version="old", retrieval=TopVectors(line, C))
    free = [ask(i, candidates=None, history=(NAMES[3],)) for i in range(3)]
    up = engine.decide(free[0])
    assert set(up.candidates or ()) == set(range(A - C, A))
    banned = np.arange(A) < 4
    engine.swap(
        constrained(NEW, Banned("low", banned)), version="new", retrieval=TopVectors(line - 10, C)
    )
    down, late = engine.decide_many(free[1:], late=[False, True])
    assert down.candidates == (-1,) * 4 + (4, 5, 6, 7)
    assert late.candidates == (-1,) * 4 + (4, 5, 6, 7)
    assert up.rules != down.rules == late.rules
    engine.swap(OLD, version="old")  # keeps the retrieval
    again = engine.decide(ask(9, candidates=None, history=(NAMES[3],)))
    assert set(again.candidates or ()) == set(range(C))


@pytest.mark.parametrize(
    ("policy", "names", "says"),
    [
        (shifted(0, n_items=A + 1), {"version": "new"}, "n_items 31, not 30"),
        (shifted(0, slate_size=2), {"version": "new"}, "slate_size 2, not 3"),
        (shifted(0, response_names=("stars",)), {"version": "new"}, "response_names"),
        (NEW, {"version": "old", "sha256": "0ff"}, "'old' is served already, of another sha256"),
        (NEW, {"version": "fallback"}, "what the fallback's decisions name"),
    ],
)
def test_what_cannot_follow_is_not_served(policy: Policy, names: Any, says: str) -> None:
    engine = make_engine(OLD, version="old", sha256="0ld")
    with pytest.raises(ValueError, match=says):
        engine.swap(policy, **names)
    assert (engine.policy, engine.version) == (OLD, "old")


def changes_of(engine: Engine) -> dict[str, Any]:
    """What may happen between two tries of a request."""
    first = engine.decide(ask(0))
    return {
        "nothing": lambda: None,
        "a swap": lambda: engine.swap(NEW, version="new"),
        "two swaps": lambda: [engine.swap(p, version=v) for p, v in ((NEW, "new"), (OLD, "o"))],
        "an outcome": lambda: engine.outcome(took(first, "user 0")),
    }


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("change", ["nothing", "a swap", "two swaps", "an outcome"])
def test_a_request_that_is_sent_again_gets_what_it_got(change: str, late: bool) -> None:
    engine = make_engine(OLD, version="old")
    happens = changes_of(engine)[change]
    request = ask(10)
    before = engine.decide_many([request], waited_ms=[3.0], late=[late])[0]
    happens()
    again = engine.decide_many([request, ask(15)], waited_ms=[7.0, 0.0], late=[not late, False])
    assert (before.waited_ms, again[0].waited_ms) == (3.0, 7.0)
    assert replace(again[0], time=0, worked_ms=0, waited_ms=0) == replace(
        before, time=0, worked_ms=0, waited_ms=0
    )
    assert again[0].time > before.time
    assert again[1].decision_id == "r15"
    assert again[1].step == 2  # the retry is no step
    assert engine.counts["retries"] == 1
    decisions, _ = events_of(engine.events)
    assert [d.decision_id for d in decisions] == ["r0", "r10", "r15", "r10"]
    found = join(*events_of(engine.events), JoinRule(), Shape.of(SERVING, engine.catalogue))
    assert found.counts["duplicate_decisions"] == 1
    assert found.counts["conflicting_decisions"] == 0


def test_without_memory_a_retry_after_a_swap_would_be_another_decision() -> None:
    """The fault that remembering avoids: the user sees one slate, and the log keeps the other."""
    engine = make_engine(OLD, version="old", remembered=0)
    requests = [ask(i) for i in range(20)]
    before = engine.decide_many(requests)
    engine.swap(NEW, version="new")
    after = engine.decide_many(requests)
    assert sum(a.slate != b.slate for a, b in zip(before, after, strict=True)) > 10


def test_the_same_id_of_another_user_or_session_is_another_request() -> None:
    engine = make_engine(OLD)
    mine = engine.decide(ask(0))
    other = engine.decide(ask(0, user="user 1"))
    assert (other.user != mine.user, engine.counts["retries"]) == (True, 0)
    assert engine.decide(ask(0, session="t")).session != mine.session


def test_a_request_that_stands_in_a_batch_twice_is_decided_once() -> None:
    engine = make_engine(OLD)
    a, b, c = engine.decide_many([ask(0), ask(0), ask(5)], late=[False, True, False])
    assert core(a) == core(b)
    assert (a.step, c.step, b.fallback) == (0, 1, None)
    assert engine.counts["retries"] == 1


def test_memory_for_retries_is_bounded_and_forgets_whom_it_must() -> None:
    engine = make_engine(OLD, remembered=3)
    for i in range(10):
        engine.decide(ask(i))
    assert len(engine._keeper.retries._events) == 3
    engine._keeper.retries.forget(engine.keys.user("user 4"))  # r9
    assert [key[2] for key in engine._keeper.retries._events] == ["r7", "r8"]
    assert engine.forget("user 3") == 1
    assert engine.forget("user 3") == 0
    assert [key[2] for key in engine._keeper.retries._events] == ["r7"]
    again = engine.decide(ask(8))
    assert (again.step, again.prior_items, engine.counts["retries"]) == (0, (), 0)
    with pytest.raises(ValueError, match="remembered is -1"):
        make_engine(OLD, remembered=-1)


def test_swaps_under_threads_lose_no_request_and_mix_no_versions() -> None:
    events, before = MemoryLog(), sys.getswitchinterval()
    engine = make_engine(OLD, events, version="old", sha256="0ld")
    kinds = {"old": (OLD, "0ld"), "new": (NEW, "0ff")}
    swaps = 0

    def serve(nth: int) -> list[Decision]:
        answers = []
        for i in range(30):
            batch = [ask(j, user=f"u{nth}", request_id=f"{nth} {i} {j}") for j in range(1 + i % 4)]
            answers += engine.decide_many(batch)
            engine.decide_many(batch[:1])  # sent again, perhaps to another version
        return answers

    try:
        sys.setswitchinterval(1e-5)
        with ThreadPoolExecutor(4) as pool:
            serving = [pool.submit(serve, nth) for nth in range(4)]
            while not all(one.done() for one in serving):
                version = ("old", "new")[swaps % 2]
                policy, sha256 = kinds[version]
                engine.swap(policy, version=version, sha256=sha256)
                swaps += 1
            acknowledged = [d for one in serving for d in one.result()]
    finally:
        sys.setswitchinterval(before)
    decisions, _ = events_of(events)
    assert len(acknowledged) == 4 * sum(1 + i % 4 for i in range(30))
    assert swaps > 2
    slates: dict[str, tuple[int, ...]] = {}
    for d in decisions:  # one id, one decision, whatever was served then
        assert slates.setdefault(d.decision_id, d.slate) == d.slate
        assert kinds[d.policy][1] == d.policy_sha256
    assert {d.decision_id: d.slate for d in acknowledged} == slates
    assert {d.fallback for d in decisions} == {None}
    for version, (policy, sha256) in kinds.items():
        alone = make_engine(policy, version=version, sha256=sha256)
        mine = [d for d in acknowledged if d.policy == version]
        for d in mine[:10]:
            i = int(d.decision_id.split()[-1])
            again = alone.decide(ask(i, user=d.user, request_id=d.decision_id))
            assert (again.slate, again.propensity) == (d.slate, d.propensity)


def test_a_start_explains_the_log_and_is_no_row_of_it() -> None:
    engine = make_engine(OLD, version="old", sha256="0ld")
    first = engine.announce(max_steps=20)
    engine.decide_many([ask(i) for i in range(6)])
    engine.swap(NEW, version="new", sha256="0ff")
    second = engine.announce(names=False)
    engine.events.append(b'{"type":"removed"}')
    engine.decide_many([ask(i) for i in range(6, 12)])
    assert starts_of(engine.events) == [first, second]
    assert (first.policy, first.policy_sha256, second.policy) == ("old", "0ld", "new")
    assert first.rules == second.rules == events_of(engine.events)[0][0].rules
    assert second.item_names is None
    shape = Shape.of(SERVING, engine.catalogue)
    assert Shape.of_start(first) == replace(shape, max_steps=20)
    assert Shape.of_start(second) == replace(shape, item_names=None)
    assert len(list(in_order(engine.events))) == 12
    assert replay(engine.events, MemorySessions(), responses=1) == 12


def test_lateness_and_waiting_are_of_each_request() -> None:
    late = [i % 3 == 1 for i in range(12)]
    waits = [1.5 * i for i in range(12)]
    requests = [ask(i) for i in range(12)]
    engine = make_engine(OLD)
    decisions = engine.decide_many(requests, waited_ms=waits, late=late)
    assert [d.fallback for d in decisions] == ["deadline" if one else None for one in late]
    assert [d.waited_ms for d in decisions] == waits
    assert events_of(engine.events)[0] == decisions
    assert engine.counts["fallbacks"] == 4
    plain = make_engine(OLD).decide_many(requests, waited_ms=waits)
    for d, same in zip(decisions, plain, strict=True):
        if d.fallback is None:
            assert core(d) == core(same)
        else:
            assert d.propensity == pytest.approx(1 / (8 * 7 * 6))
            assert (d.step, d.history_hash) == (same.step, same.history_hash)
    alone = [make_engine(OLD).decide_many([r], late=[True])[0] for r in requests[1::3]]
    assert [d.slate for d in alone] == [d.slate for d in decisions[1::3]]
    with pytest.raises(ContractError, match="waited_ms is not finite"):
        engine.decide_many(requests[:1], waited_ms=[float("nan")])
    for wrong in ({"late": [True]}, {"waited_ms": [1.0, 2.0]}):
        with pytest.raises(ValueError, match="zip"):
            engine.decide_many(requests, **wrong)  # type: ignore[arg-type]


def test_late_requests_do_not_ask_the_policy() -> None:
    class Slow(Shifted):
        def scores(self, obs: Observation) -> np.ndarray:
            raise AssertionError("the policy was asked")

    slow: Policy = ScorePolicy(Slow(), Exploration(temperature=1.0))
    decisions = make_engine(slow).decide_many([ask(i) for i in range(4)], late=[True] * 4)
    assert {d.fallback for d in decisions} == {"deadline"}


def test_each_request_of_a_batch_has_its_own_reason() -> None:
    """Late, of a user whom the policy fails, neither, and what the log could not keep."""

    class Picky(Shifted):
        def scores(self, obs: Observation) -> np.ndarray:
            if (obs.history_items[:, -1] == 7).any():
                raise RuntimeError("not that one")
            return super().scores(obs)

    class Full(MemoryLog):
        room = 3

        def append(self, event: bytes) -> int:
            if len(self.events) >= self.room:
                raise EventLogError("No space left on device")
            return super().append(event)

    picky: Policy = ScorePolicy(Picky(), Exploration(temperature=1.0))
    engine = make_engine(picky, Full())
    bad = (NAMES[7],)
    requests = [ask(0), ask(1, history=bad), ask(2, history=bad), ask(3), ask(4)]
    decisions = engine.decide_many(requests, late=[True, False, True, False, True])
    assert [d.fallback for d in decisions] == [
        "deadline", "RuntimeError: not that one", "deadline",
        "event log: No space left on device", "deadline",
    ]  # fmt: skip
    assert engine.counts == Counter(decisions=5, fallbacks=5, unlogged=2)
    assert events_of(engine.events)[0] == decisions[:3]
    engine.events.room = 9  # type: ignore[attr-defined]
    again = engine.decide_many(requests[2:4])  # the one was logged, the other was not
    assert [d.fallback for d in again] == ["deadline", None]
    assert again[0].slate == decisions[2].slate


def test_late_requests_of_a_dead_session_store_say_that_it_is_dead() -> None:
    class Lost(MemorySessions):
        def open(self, visits: Any, now: float) -> Any:
            raise ConnectionError("the store is gone")

    engine = make_engine(OLD, sessions=Lost())
    late, soon = engine.decide_many([ask(0), ask(1)], late=[True, False])
    assert late.fallback == soon.fallback == "sessions: the store is gone"
    assert engine.counts["unlogged"] == 2
    assert engine._keeper.retries.of(ask_visit(engine, ask(0))) is None  # what no log holds


def ask_visit(engine: Engine, request: Request) -> Any:
    return engine._door.admit(request).visit
