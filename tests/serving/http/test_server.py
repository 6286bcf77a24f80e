"""The server answers over a real socket what the engine answers by itself."""

from __future__ import annotations

import pytest

from serving import Request
from serving.http.running import running, serve
from tests.serving.factories import events_of
from tests.serving.http.factories import Caller, outcome, request, tiny_engine, tiny_service


def test_a_decision_and_its_outcome_over_http() -> None:
    engine, alone = tiny_engine(), tiny_engine()
    with running(tiny_service(engine)) as url, Caller(url) as caller:
        assert caller.get("/health") == (200, {"status": "ok"})
        assert caller.get("/ready") == (200, {"status": "ready", "failing": []})
        status, answer = caller.post("/decide", request(1))
        expected = alone.decide(Request(**request(1)))
        assert status == 200
        assert answer["items"] == list(expected.items)
        assert answer["propensity"] == expected.propensity
        assert answer["decision_id"] == "r1"
        assert answer["step"] == 0
        assert answer["fallback"] is None
        taken = {"kind": "taken", "item": answer["items"][0], "responses": {"click": 1.0}}
        assert caller.post("/outcome", outcome(1, **taken)) == (200, {"kept": 1})
        again = caller.post("/decide", request(2, user="user 1"))[1]
        assert answer["items"][0] not in again["items"]
        assert caller.post("/outcome", [outcome(2), outcome(3)]) == (200, {"kept": 2})
    decisions, outcomes = events_of(engine.events)
    assert [d.decision_id for d in decisions] == ["r1", "r2"]
    assert [o.outcome_id for o in outcomes] == ["o1", "o2", "o3"]
    assert engine.events.closed  # type: ignore[attr-defined]


def test_a_service_that_cannot_log_does_not_start(caplog: pytest.LogCaptureFixture) -> None:
    engine = tiny_engine()
    engine.events.close()
    with (
        pytest.raises(OSError, match="could not start: the log is closed"),
        running(tiny_service(engine)),
    ):
        pass
    with pytest.raises(OSError, match="could not start: the log is closed"):
        serve(tiny_service(engine))
    assert "the log is closed" in caplog.text


def test_a_port_that_is_taken_is_named() -> None:
    with running(tiny_service()) as url:
        port = int(url.rpartition(":")[2])
        engine = tiny_engine()
        with pytest.raises(OSError, match=rf"127\.0\.0\.1:{port}: "):
            serve(tiny_service(engine), port=port)
    assert engine.events.closed  # type: ignore[attr-defined]
