"""Sessions on a real server: several processes, kills and stalls, and what is kept there."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import redis

from policies.baselines.uniform import uniform
from serving import Engine, MemoryLog, MemorySessions, Outcome, Request, SessionStore
from serving.sessions.opening import open_sessions
from serving.sessions.redis import RedisSessions
from serving.sessions.store import Taken, Visit
from tests.factories import make_serving
from tests.serving.factories import make_engine, names_of
from tests.serving.servers import Server, fresh_server, shared

__all__ = ["fresh_server"]  # a fixture
R, C = 1, 8
on_redis = pytest.mark.parametrize("fresh_server", ["redis"], indirect=True)


def visit(user: str, session: str, request: str, items: Any = ()) -> Visit:
    ids = np.array(items, np.int32)
    return Visit(user, session, request, ids, np.zeros((len(ids), R), np.float32))


@pytest.fixture
def store() -> Iterator[RedisSessions]:
    made = RedisSessions(shared("redis").url())
    yield made
    made.close()


def test_it_says_what_the_store_in_memory_says() -> None:
    """Of 4,000 random visits and items taken: users, sessions, repeats, idle times and limits."""
    limits: dict[str, Any] = {"ttl": 20.0, "length": 5, "idle": 6.0}
    there, here = RedisSessions(shared("redis").url(), **limits), MemorySessions(**limits)
    rng, now = np.random.default_rng(0), 0.0

    def pick(letters: str) -> str:
        return letters[rng.integers(len(letters))]

    for _ in range(800):
        now += float(rng.choice([0.0, 0.5, 3.0, 9.0], p=[0.5, 0.3, 0.15, 0.05]))
        if rng.random() < 0.02:
            now += 0.25
            users = [pick("abcdefghijkl") for _ in range(3)]
            assert there.forget(users) == here.forget(users)
        visits = [
            visit(pick("abcdefghijkl"), pick("stuvwxyz0123"), f"{rng.integers(60)}", items)
            for items in ([], [4, 2], [1] * 7)
        ]
        seen = [sessions.open(visits, now) for sessions in (there, here)]
        taken = [
            Taken(pick("abcdefghijkl"), f"{rng.integers(40)}", int(rng.integers(99)), (0.1,))
            for _ in range(2)
        ]
        assert there.apply(taken, now) == here.apply(taken, now)
        for one, two in zip(*seen, strict=True):
            np.testing.assert_array_equal(one.items, two.items)
            np.testing.assert_array_equal(one.responses, two.responses)
            assert one[2:] == two[2:]
    there.close()


def test_processes_that_share_a_server_lose_no_update() -> None:
    url, n = shared("redis").url(), 150

    def serve(writer: int) -> list[int]:
        own: SessionStore = RedisSessions(url)
        steps = []
        for i in range(n):
            assert own.apply([Taken("u", f"{writer} {i}", i, (1.0,))] * 2, float(i)) == 1
            steps += [s.step for s in own.open([visit("u", "s", f"{writer} {i}")], float(i))]
        return steps

    with ThreadPoolExecutor(4) as pool:
        steps = [step for part in pool.map(serve, range(4)) for step in part]
    assert sorted(steps) == list(range(4 * n))  # each request of the session has its own
    seen = RedisSessions(url).open([visit("u", "s", "last")], 1e3)[0]
    assert (seen.version, seen.step, len(seen.items)) == (4 * n, 4 * n, 256)


def test_scripts_that_a_server_does_not_know_any_more_are_sent_again(
    store: RedisSessions,
) -> None:
    store.apply([Taken("u", "a", 5, (1.0,))], 0.0)
    redis.Redis.from_url(store._link.url).script_flush()
    assert store.open([visit("u", "s", "r")], 1.0)[0].items.tolist() == [5]


# ---- an engine over it


SERVING = make_serving(30, slate_size=3, n_candidates=C, history_length=4, user_size=0)


def engine_on(store: SessionStore) -> Engine:
    return make_engine(uniform(SERVING), sessions=store)


def ask(i: int, **fields: Any) -> Request:
    given = {"request_id": f"r{i}", "user": "ann@example.org", "session": "her session"}
    return Request(candidates=tuple(names_of(C)), **given | fields)


def took(engine: Engine, i: int) -> None:
    said = {"outcome_id": f"o{i}", "decision_id": f"r{i}", "user": "ann@example.org"}
    engine.outcome(Outcome(kind="taken", item="item-2", responses={"click": 1.0}, **said))


def test_nothing_is_asked_where_there_is_nothing_to_ask() -> None:
    away = RedisSessions("redis://127.0.0.1:1")
    assert (away.open([], 0.0), away.apply([], 0.0)) == ([], 0)


@on_redis
def test_a_killed_server_is_stood_in_for_and_gives_everything_back(fresh_server: Server) -> None:
    store = RedisSessions(fresh_server.url(), timeout=0.3, pause=0.0)
    engine = engine_on(store)
    for i in range(5):
        assert engine.decide(ask(i)).fallback is None
        took(engine, i)
    for nth, (away, back) in enumerate(
        [(fresh_server.kill, fresh_server.start), (fresh_server.stall, fresh_server.go_on)]
    ):
        away()
        lost = engine.decide(ask(10 + nth))
        assert str(lost.fallback).startswith("sessions: ")
        assert (lost.step, engine.counts["unlogged"]) == (-1, nth + 1)
        with pytest.raises((redis.RedisError, OSError)):
            took(engine, 4)
        assert engine.failing == {"sessions"}
        back()
        took(engine, 4)  # sent again, it counts once
        decision = engine.decide(ask(20 + nth))
        assert (decision.fallback, decision.history_version) == (None, 5)
        assert decision.began == "r0"
        assert decision.step >= 5 + nth
        assert engine.failing == set()
    fresh_server.kill()
    fresh_server.start()  # while nobody asked: nobody notices
    assert engine.decide(ask(30)).fallback is None
    assert isinstance(engine.events, MemoryLog)
    store.close()


def test_a_server_that_failed_is_not_waited_for_by_every_request(
    monkeypatch: pytest.MonkeyPatch, store: RedisSessions
) -> None:
    patient = RedisSessions(store._link.url, pause=3_600.0)
    asked = []

    def connect() -> None:
        asked.append(1)
        raise redis.TimeoutError("no answer")

    monkeypatch.setattr(patient._link._connection, "connect", connect)
    engine = engine_on(patient)
    answers = [engine.decide(ask(i)).fallback or "" for i in range(20)]
    assert "no answer" in answers[0]
    assert all("failed less than 3600.0 s ago" in answer for answer in answers[1:])
    assert len(asked) == 1


def test_what_is_kept_is_small_and_names_nobody(store: RedisSessions) -> None:
    engine = engine_on(store)
    for i in range(300):
        engine.decide(ask(i))
        took(engine, i)
    server = redis.Redis.from_url(store._link.url)
    keys = list(server.scan_iter(f"{store._link.name}:*"))
    assert len(keys) == 2
    (user,) = (key for key in keys if b":user:" in key)
    held = server.hgetall(user)
    assert (len(held[b"i"]), len(held[b"r"])) == (4 * 256, 4 * 256 * R)
    assert sum(map(len, held.values())) < 5_000
    assert 0 < server.pttl(user) <= 86_400_000
    for said in (b"ann", b"example", b"her session"):
        assert all(said not in part for part in (*keys, *held.values()))


def test_stores_are_opened_by_url() -> None:
    assert isinstance(open_sessions(None, length=3), MemorySessions)
    with pytest.raises(ValueError, match="length"):
        open_sessions(None, length=0)
    opened = open_sessions(shared("redis").url(), length=3)
    assert opened.open([visit("u", "s", "r", [1, 2, 3, 4])], 0.0)[0].items.tolist() == [2, 3, 4]
    with pytest.raises(ValueError, match=r"give redis://\[\[user\]:password@\]host") as caught:
        open_sessions("nats://ann:hidden@h")
    assert "hidden" not in str(caught.value)
    assert "hidden" not in repr(open_sessions("redis://ann:hidden@h"))
