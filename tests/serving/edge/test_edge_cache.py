"""A cache shows the same decision again, never a new one, and never for longer than it may."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import Any

import numpy as np
import pytest

from serving import Engine, JoinRule, MemoryLog, Outcome, Request, Shape, join
from serving.edge.cache import EdgeCache, EdgeRule, Shown
from serving.edge.calls import http_calls
from serving.http.messages import Slate
from tests.serving.factories import events_of
from tests.serving.http.factories import tiny_engine


class Server:
    """An engine behind `call`, which can be told to fail, or to wait before it answers."""

    def __init__(self, valid_s: float, **engine: Any) -> None:
        self.time, self.valid_s, self.fails = 1_000.0, valid_s, False
        self.engine: Engine = tiny_engine(clock=lambda: self.time, **engine)
        self.calls, self.asked = Counter[str](), threading.Event()
        self.goes_on = threading.Event()
        self.goes_on.set()

    def call(self, path: str, body: bytes) -> bytes:
        self.calls[path] += 1
        if self.fails:
            raise TimeoutError("no answer")
        if path == "/decide":
            decision = self.engine.decide(Request.from_json(body))
            self.asked.set()
            assert self.goes_on.wait(5)
            slate = Slate.of_decision(decision, valid_s=self.valid_s)
            return json.dumps(slate.body()).encode()
        given = json.loads(body)
        many = given if isinstance(given, list) else [given]
        self.engine.outcomes([Outcome.from_json(one) for one in many])
        return b"{}"

    def cache(self, **rule: Any) -> EdgeCache:
        return EdgeCache(
            self.call, lambda request: ("item-0",), clock=lambda: self.time, rule=EdgeRule(**rule)
        )


def ask(nth: int, user: str = "ann", **given: Any) -> Request:
    return Request(request_id=f"r{nth}", user=user, session=f"of {user}", **given)


def liked(shown: Shown, nth: int, user: str = "ann") -> Outcome:
    assert shown.decision_id is not None
    return Outcome(outcome_id=f"o{nth}", decision_id=shown.decision_id, user=user, kind="liked")


def test_a_repeat_is_the_same_decision() -> None:
    server = Server(valid_s=10.0)
    cache = server.cache()
    first = cache.slate(ask(0))
    server.time += 9.9
    again = cache.slate(ask(1))
    assert (first.source, again.source) == ("fresh", "repeat")
    assert (again.items, again.decision_id) == (first.items, "r0")
    other = ("item-1", "item-2")  # another question
    assert cache.slate(ask(2, candidates=other)).source == "fresh"
    server.time += 10.0
    assert cache.slate(ask(3, candidates=other)).decision_id == "r3"
    assert cache.flush() == 1
    decisions, outcomes = events_of(server.engine.events)
    assert [d.decision_id for d in decisions] == ["r0", "r2", "r3"]
    assert [(o.decision_id, o.kind) for o in outcomes] == [("r0", "shown")]
    assert +cache.counts == {"fresh": 3, "repeats": 1}


def test_an_outcome_ends_validity_also_of_an_answer_under_way() -> None:
    server = Server(valid_s=100.0)
    cache = server.cache()
    first = cache.slate(ask(0))
    cache.outcome(liked(first, 0))
    assert cache.counts["invalidated"] == 1
    server.asked.clear()
    server.goes_on.clear()
    found: list[Shown] = []
    thread = threading.Thread(target=lambda: found.append(cache.slate(ask(1))))
    thread.start()
    assert server.asked.wait(5)  # decided, and not yet received
    cache.outcome(liked(first, 1))
    server.goes_on.set()
    thread.join()
    assert found[0].source == "fresh"
    assert cache.slate(ask(2)).decision_id == "r2"  # r1 did not see the outcome
    assert cache.slate(ask(3)).decision_id == "r2"


def test_where_the_server_fails_it_is_stale_then_the_fallback() -> None:
    server = Server(valid_s=10.0)
    cache = server.cache(stale_s=5.0, retry_s=2.0)
    cache.slate(ask(0))
    server.fails = True
    server.time += 9.0
    assert cache.slate(ask(1)).source == "repeat"
    server.time += 1.0
    stale = cache.slate(ask(2))
    assert (stale.source, stale.decision_id) == ("stale", "r0")
    server.time += 1.0
    assert cache.slate(ask(3)).source == "stale"
    assert server.calls["/decide"] == 2  # the server is left alone for a while
    server.time += 4.0
    gone = cache.slate(ask(4))
    assert (gone.source, gone.decision_id, gone.items) == ("fallback", None, ("item-0",))
    assert +cache.counts == {"fresh": 1, "repeats": 1, "stale": 2, "fallbacks": 1, "errors": 2}
    assert cache.flush() == 0
    server.fails = False
    assert cache.flush() == 3  # exposures are reported once the server is back
    server.time += 2.0
    assert cache.slate(ask(5)).source == "fresh"


def test_what_may_not_be_cached_is_not() -> None:
    never = Server(valid_s=0.0).cache()
    assert [never.slate(ask(n)).source for n in range(2)] == ["fresh"] * 2
    failing = Server(valid_s=10.0)
    failing.engine.decide_many = lambda requests, **_: Engine.decide_many(  # type: ignore[method-assign]
        failing.engine, requests, late=[True] * len(requests)
    )
    cache = failing.cache()
    assert [cache.slate(ask(n)).source for n in range(2)] == ["fresh"] * 2
    assert failing.calls["/decide"] == 2  # answers of the server's fallback are not kept


def test_memory_is_bounded() -> None:
    server = Server(valid_s=10.0)
    cache = server.cache(users=3, unsent=2, report=100)
    for nth in range(5):
        cache.slate(ask(nth, user=f"user {nth}"))
    assert cache.counts["evicted"] == 2
    assert cache.slate(ask(9, user="user 0")).source == "fresh"
    for nth in range(10, 14):
        assert cache.slate(ask(nth, user="user 4")).source == "repeat"
    assert cache.flush() == 2
    assert cache.counts["unreported"] == 2


def test_a_herd_asks_once() -> None:
    server = Server(valid_s=10.0)
    cache = server.cache(wait_s=20.0)
    server.goes_on.clear()
    found: list[Shown] = []
    threads = [
        threading.Thread(target=lambda n=n: found.append(cache.slate(ask(n)))) for n in range(20)
    ]
    for thread in threads:
        thread.start()
    assert server.asked.wait(5)
    server.goes_on.set()
    assert cache.slate(ask(99, user="bob")).source == "fresh"
    for thread in threads:
        thread.join()
    assert server.calls["/decide"] == 2  # one for ann, one for bob
    assert len({shown.decision_id for shown in found}) == 1
    assert Counter(shown.source for shown in found) == {"fresh": 1, "repeat": 19}


def test_one_that_waits_too_long_is_not_held() -> None:
    server = Server(valid_s=10.0)
    cache = server.cache(wait_s=0.01)
    server.goes_on.clear()
    thread = threading.Thread(target=lambda: cache.slate(ask(0)))
    thread.start()
    assert server.asked.wait(5)
    assert cache.slate(ask(1)).source == "fallback"
    assert cache.counts["timeouts"] == 1
    server.goes_on.set()
    thread.join()


RULE = JoinRule(window=600.0, idle=1_800.0, reward={"liked": 1.0})


def joined_log(repeats: bool, seed: int) -> tuple[Any, Counter[str]]:
    """30 users ask up to 6 times, with outcomes in between; with `repeats`, also once more."""
    server = Server(valid_s=50.0, events=MemoryLog())
    cache = server.cache(report=3)
    rng, again = np.random.default_rng(seed), np.random.default_rng(seed + 1)
    for nth in range(30):
        for step in range(int(rng.integers(1, 7))):
            server.time += 100.0
            user = f"user {nth}"
            shown = cache.slate(ask(1_000 * nth + step, user=user))
            for more in range(int(again.integers(0, 4)) if repeats else 0):
                assert cache.slate(ask(10**6 + more, user=user)).source == "repeat"
            likes = rng.random(2) < (0.5, 0.3)
            given = {"decision_id": shown.decision_id, "user": user, "item": shown.items[0]}
            for kind, happens in zip(("taken", "liked"), likes, strict=True):
                if happens:
                    responses = {"click": 1.0} if kind == "taken" else None
                    name = f"{shown.decision_id}/{kind}"
                    cache.outcome(Outcome(outcome_id=name, kind=kind, responses=responses, **given))
    cache.flush()
    decisions, outcomes = events_of(server.engine.events)
    shape = Shape.of(server.engine.serving, server.engine.catalogue)
    found = join(decisions, outcomes, RULE, shape)
    assert found.log is not None
    return found.log, found.counts


def test_the_joined_log_is_that_without_repeats() -> None:
    (plain, none), (cached, some) = joined_log(False, 3), joined_log(True, 3)
    assert some["repeats"] > 50
    assert none["repeats"] == 0
    assert cached.hash() == plain.hash()
    for name, column in plain.columns().items():
        np.testing.assert_array_equal(cached.columns()[name], column)
    assert some["unrewarded_outcomes"] == none["unrewarded_outcomes"] == 0


def test_an_answer_that_is_none_is_an_error_and_blocks_nobody() -> None:
    answers = [b'{"status": "ok"}', b'{"items": ["a"], "decision_id": "r1", "valid_s": 9}']
    cache = EdgeCache(lambda path, body: answers.pop(0), lambda _: (), clock=lambda: 0.0)
    with pytest.raises(ValueError, match="no items"):
        cache.slate(ask(0))
    assert cache.slate(ask(1)).source == "fresh"


def test_repeats_that_are_refused_are_counted_and_spoil_no_slate() -> None:
    server = Server(valid_s=10.0)

    def call(path: str, body: bytes) -> bytes:
        if path == "/outcome":
            raise ValueError("refused with 422")
        return server.call(path, body)

    rule = EdgeRule(report=2)
    cache = EdgeCache(call, lambda _: (), clock=lambda: server.time, rule=rule)
    assert [cache.slate(ask(n)).source for n in range(3)] == ["fresh", "repeat", "repeat"]
    server.time += 11.0
    assert cache.slate(ask(3)).source == "fresh"  # it reports what waits
    assert cache.counts["refused"] == 2
    assert cache.flush() == 0


def test_bad_settings_name_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="shown"):
        JoinRule(reward={"shown": 1.0})
    with pytest.raises(ValueError, match="users"):
        EdgeRule(users=0)
    with pytest.raises(ValueError, match="http"):
        http_calls("file:///etc/passwd")


def test_by_a_clock_that_went_back_nothing_is_valid_and_the_server_is_asked() -> None:
    server = Server(valid_s=10.0)
    cache = server.cache(retry_s=5.0)
    cache.slate(ask(0))
    server.time -= 500.0
    assert cache.slate(ask(1)).source == "fresh"
    server.time -= 500.0
    server.fails = True
    assert cache.slate(ask(2)).source == "fallback"
    server.fails = False
    server.time -= 500.0
    assert cache.slate(ask(3)).source == "fresh"


@pytest.mark.parametrize(
    "changed",
    [
        {"items": "abc"}, {"items": None}, {"items": [1]}, {"decision_id": None},
        {"valid_s": None}, {"valid_s": "x"}, {"valid_s": 10**400},
    ],
)  # fmt: skip
def test_an_answer_that_is_none_is_refused(changed: dict[str, Any]) -> None:
    body = json.dumps({"items": ["a"], "decision_id": "d", "valid_s": 5.0} | changed).encode()
    cache = EdgeCache(lambda *_: body, lambda _: ("a",), clock=lambda: 0.0)
    for nth in range(2):
        with pytest.raises(ValueError, match=next(iter(changed))):
            cache.slate(ask(nth))
