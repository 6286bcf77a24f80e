"""A server follows the arms of its registry: users keep theirs while the weight grows, over a
restart too, and a shadow is asked when nobody waits."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies import Exploration, Repeats, ScorePolicy, constrained, save
from policies.baselines.popularity import Popularity
from serving import Catalogue, Registry, SegmentLog
from serving.arms import arm_point
from serving.contracts.events import read_event
from serving.contracts.shadows import ShadowEvent
from serving.events.reading import starts_of
from serving.http.limits import Limits
from serving.http.opening import open_service
from serving.http.running import running
from serving.keys import Keys
from tests.factories import make_serving
from tests.serving.factories import events_of, names_of
from tests.serving.http.factories import N_ITEMS, Caller, request

PATIENT = Limits(deadline_ms=1e6, longest_deadline_ms=1e6, user_requests=1e6)
USERS = 40
ROLLOUT = {"rollout": "try", "salt": "salt"}


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """Three versions of which the first is live."""
    found = Registry(tmp_path / "registry")
    for nth in range(3):
        serving = make_serving(N_ITEMS, user_size=0)
        counts = np.exp(np.random.default_rng(nth).normal(size=N_ITEMS))
        policy = ScorePolicy(Popularity(serving, counts), Exploration(temperature=1.0))
        rule = Repeats("seen", np.arange(N_ITEMS, dtype=np.int32))
        save(constrained(policy, rule), tmp_path / f"policy {nth}")
        found.add(tmp_path / f"policy {nth}", catalogue=Catalogue(names_of(N_ITEMS)))
    found.promote(versions_of(found)[0])
    return found


def versions_of(registry: Registry) -> list[str]:
    return [one.version for one in registry.versions()]


def until(caller: Caller, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The status, once it is what is wanted."""
    deadline = time.monotonic() + 30
    while True:
        status: dict[str, Any] = caller.get("/status")[1]
        if wanted(status):
            return status
        assert time.monotonic() < deadline, status
        time.sleep(0.01)


def policies(caller: Caller, numbers: itertools.count[int]) -> list[str]:
    """Which version answers each user."""
    return [
        caller.post("/decide", request(next(numbers), user=f"user {i}"))[1]["policy"]
        for i in range(USERS)
    ]


def test_users_keep_their_arms_as_the_pointer_moves(registry: Registry, tmp_path: Path) -> None:
    a, b, _ = versions_of(registry)
    keys = Keys(registry.secret())
    points = np.array([arm_point("salt", keys.user(f"user {i}")) for i in range(USERS)])

    def expected(weight: float) -> list[str]:
        return [b if point < weight else a for point in points]

    numbers, events = itertools.count(), str(tmp_path / "events")
    service = open_service(registry, events, poll=0.01, limits=PATIENT)
    with running(service) as url, Caller(url) as caller:
        status = caller.get("/status")[1]
        assert [status[name] for name in ("policy", "canary", "weight", "shadow", "error")] == [
            a, None, None, None, None,
        ]  # fmt: skip
        assert policies(caller, numbers) == [a] * USERS
        registry.canary(b, weight=0.2, **ROLLOUT)
        for weight in (0.2, 0.6):
            registry.weigh(weight)
            status = until(caller, lambda now, weight=weight: now["weight"] == weight)  # type: ignore[misc]
            assert (status["policy"], status["canary"], status["rollout"]) == (a, b, "try")
            assert policies(caller, numbers) == expected(weight)
    service = open_service(registry, events, poll=30.0, limits=PATIENT)  # nobody looks any more
    with running(service) as url, Caller(url) as caller:
        assert policies(caller, numbers) == expected(0.6), "from the first request on"
    service = open_service(registry, events, poll=0.01, limits=PATIENT)
    with running(service) as url, Caller(url) as caller:
        registry.rollback(why="complaints")
        until(caller, lambda now: now["canary"] is None)
        assert policies(caller, numbers) == [a] * USERS
        registry.canary(b, weight=0.6, rollout="again", salt="salt")
        until(caller, lambda now: now["canary"] == b)
        registry.promote("canary")
        until(caller, lambda now: now["policy"] == b and now["canary"] is None)
        assert policies(caller, numbers) == [b] * USERS
    log = SegmentLog(Path(events), writer="reader")
    decisions, _ = events_of(log)
    assert len(decisions) == next(numbers)
    assert {(d.arm, d.policy) for d in decisions} == {
        ("live", a), ("control", a), ("canary", b), ("live", b),
    }  # fmt: skip
    assert {d.rollout for d in decisions} == {"", "try@0.2", "try@0.6"}
    assert {(start.policy, start.canary) for start in starts_of(log)} == {
        (a, None), (a, b), (b, None),
    }  # fmt: skip
    log.close()


def test_a_shadow_is_asked_when_nobody_waits(registry: Registry, tmp_path: Path) -> None:
    a, b, _ = versions_of(registry)
    registry.shadow(b)
    service = open_service(registry, str(tmp_path / "events"), poll=30.0, limits=PATIENT)
    engine = service.engine
    shadow = engine.served.shadow
    assert shadow is not None
    engine.set_shadow(shadow.answers.policy, version=b, sha256=shadow.sha256, share=1.0)
    with running(service) as url, Caller(url) as caller:
        assert caller.get("/status")[1]["shadow"] == b
        for n in range(30):
            status, answer = caller.post("/decide", request(n))
            assert (status, answer["policy"]) == (200, a)
        deadline = time.monotonic() + 30
        while engine.counts["shadow_asked"] < 30:
            assert time.monotonic() < deadline, engine.counts
            time.sleep(0.01)
    log = SegmentLog(tmp_path / "events", writer="reader")
    events = [read_event(e.event) for w in log.writers() for e in log.read(w)]
    asked = [event for event in events if isinstance(event, ShadowEvent)]
    assert {event.decision_id for event in asked} == {f"r{n}" for n in range(30)}
    assert {(event.policy, event.live_policy, event.error) for event in asked} == {(b, a, None)}
    assert all(0 < event.total_variation < 1 for event in asked)  # type: ignore[operator]
    log.close()
