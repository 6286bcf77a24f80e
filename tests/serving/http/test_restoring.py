"""After a restart: what was answered is answered again, and histories are of the same items."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from policies.baselines.uniform import uniform
from serving import Catalogue, Engine, EventLogError, MemoryLog, MemorySessions, Outcome, Request
from serving.restarting.reading import read_back_log
from serving.sessions import restoring
from tests.factories import make_serving
from tests.serving.factories import SECRET, make_engine, names_of

ITEMS = names_of(9)


def opened(log: MemoryLog, names: list[str] = ITEMS, **settings: object) -> Engine:
    """A server of a process of its own: it announces, and its sessions are empty."""
    serving = make_serving(9, user_size=0)
    given = {"version": "p@1", "secret": SECRET, "events": log, "clock": lambda: 1_000.0}
    return Engine(uniform(serving), Catalogue(names), **given | settings)  # type: ignore[arg-type]


def restore(engine: Engine, log: MemoryLog, store: Any = None) -> int:
    return read_back_log(engine, log, store, 60.0, 1_800.0).events


def visited(engine: Engine, user: str, nth: int = 0) -> str:
    """A user takes an item; its name."""
    decision = engine.decide(Request(request_id=f"{user}{nth}", user=user, session="s"))
    known = {"outcome_id": f"o{user}{nth}", "decision_id": decision.decision_id, "user": user}
    reads = {"click": 1.0}
    engine.outcome(Outcome(kind="taken", item=decision.items[0], responses=reads, **known))  # type: ignore[arg-type]
    return decision.items[0]


def histories(engine: Engine, *users: str) -> list[list[str] | None]:
    known = engine.sessions.peek([engine.keys.user(user) for user in users])
    names = engine.catalogue.names
    return [None if one is None else [names[i] for i in one.items] for one in known]


@pytest.mark.parametrize("chunk", [1, 2, 1_000])
@pytest.mark.parametrize("said", [True, False])
def test_numbers_of_another_catalogue_become_nobodys_history(
    said: bool, chunk: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The catalogue was turned round at a restart, as a watcher says to do it; with and without a
    start in the log that names the items."""
    monkeypatch.setattr(restoring, "CHUNK", chunk)
    log, turned = MemoryLog(), ITEMS[::-1]
    first = opened(log)
    first.announce(names=said)
    visited(first, "ann")
    second = opened(log, turned)
    assert restore(second, log, second.sessions) == 0
    assert "of another catalogue" in caplog.text
    assert histories(second, "ann") == [None]
    second.announce()
    taken = visited(second, "bob")
    third = opened(log, turned)
    assert restore(third, log, third.sessions) == 2
    assert histories(third, "ann", "bob") == [None, [taken]]


def test_the_same_catalogue_is_restored_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    log = MemoryLog()
    first = opened(log)
    first.announce()
    taken = [visited(first, "ann"), visited(first, "bob")]
    second = opened(log)
    assert restore(second, log, second.sessions) == 4
    assert histories(second, "ann", "bob") == [[one] for one in taken]
    assert caplog.text == ""


@pytest.mark.parametrize("chunk", [1_000, 1])
def test_another_secret_is_told(
    chunk: int, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(restoring, "CHUNK", chunk)
    log = MemoryLog()
    first = opened(log)
    first.announce()
    visited(first, "ann")
    second = opened(log, secret=b"another secret of a server")
    assert restore(second, log, second.sessions) == 0
    assert histories(second, "ann") == [None]
    assert "every one of them is new" in caplog.text
    assert SECRET.hex() not in str(log.events)


def test_a_catalogue_too_long_for_an_event_does_not_keep_a_server_from_starting() -> None:
    """NATS takes events of 1 MB at most."""

    class Short(MemoryLog):
        def append(self, event: bytes) -> int:
            if len(event) > 300:
                raise EventLogError("the event is too long")
            return super().append(event)

    engine = opened(Short())
    assert len(engine.announce().to_json()) <= 300
    assert b'"item_names":null' in engine.events.events[0]  # type: ignore[attr-defined]
    engine.events.close()
    with pytest.raises(EventLogError, match="closed"):
        engine.announce()


def test_a_request_is_answered_again_where_sessions_are_a_servers(tmp_path: Path) -> None:
    """A store outlives the process; the user took an item and the version changed meanwhile. The
    log would hold two slates under one id, and the outcomes of one would be the other's."""
    log, store, serving = MemoryLog(), MemorySessions(), make_serving(9, user_size=0)
    first = make_engine(uniform(serving), log, sessions=store)
    asked = [Request(request_id=f"r{n}", user="ann", session="s") for n in range(20)]
    slates = [one.items for one in first.decide_many(asked)]
    second = make_engine(uniform(serving), log, sessions=store, version="policy@2")
    assert restore(second, log) == 20
    assert [one.items for one in second.decide_many(asked)] == slates
    assert second.counts["retries"] == 20
