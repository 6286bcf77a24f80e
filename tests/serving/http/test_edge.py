"""Answers of the server say how long they are valid, and a cache in front of it holds to that."""

from __future__ import annotations

from dataclasses import replace

import pytest

from serving import Outcome, Request
from serving.edge.cache import EdgeCache
from serving.edge.calls import http_calls
from serving.http.running import running
from tests.serving.factories import events_of
from tests.serving.http.factories import PATIENT, Caller, request, tiny_engine, tiny_service


def test_a_cache_before_a_server() -> None:
    engine, now = tiny_engine(), [0.0]
    limits = replace(PATIENT, valid_s=30.0)
    with running(tiny_service(engine, limits=limits)) as url:
        cache = EdgeCache(http_calls(url), lambda asked: (), clock=lambda: now[0])
        shown = [cache.slate(Request(request_id=f"r{n}", user="u", session="s")) for n in range(3)]
        assert [one.source for one in shown] == ["fresh", "repeat", "repeat"]
        cache.outcome(Outcome(outcome_id="o", decision_id="r0", user="u", kind="liked"))
        assert cache.slate(Request(request_id="r3", user="u", session="s")).source == "fresh"
        now[0] += 31.0
        assert cache.slate(Request(request_id="r4", user="u", session="s")).source == "fresh"
        assert cache.flush() == 2
        bad = Request(request_id="r9", user="v", session="s", candidates=("no such item",))
        with pytest.raises(ValueError, match=r"/decide was refused with 422: .*no such item"):
            cache.slate(bad)
        assert cache.counts["errors"] == 0
    decisions, outcomes = events_of(engine.events)
    assert [d.decision_id for d in decisions] == ["r0", "r3", "r4"]
    assert sorted(o.kind for o in outcomes) == ["liked", "shown", "shown"]
    gone = cache.slate(Request(request_id="r5", user="u", session="s"))  # the server has ended
    assert gone.source == "repeat"
    now[0] += 31.0
    assert cache.slate(Request(request_id="r6", user="u", session="s")).source == "stale"


def test_nothing_is_valid_for_longer_unless_it_is_said() -> None:
    with running(tiny_service()) as url, Caller(url) as caller:
        assert caller.post("/decide", request(1))[1]["valid_s"] == 0.0
    with pytest.raises(ValueError, match="valid_s"):
        replace(PATIENT, valid_s=-1.0)
