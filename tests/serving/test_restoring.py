"""Sessions of a long log are restored as a replay of all of it would, or from its end alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serving import Decision, MemoryLog, MemorySessions, OutcomeEvent, SegmentLog, replay
from serving.contracts import skimming
from serving.contracts.fields import ContractError
from serving.contracts.starts import Start
from serving.events.log import REMOVED, Entry
from serving.sessions import restoring
from serving.sessions.restoring import Restored, restore

USERS = 40


def decision(n: int, user: int, step: int, began: int, **fields: Any) -> Decision:
    """The n-th event; a session's first one brings a history of two items."""
    known: dict[str, Any] = {
        "decision_id": f"d{n}",
        "time": 100.0 + n // 3,  # batches of three
        "user": f"u{user}",
        "session": f"s{user}",
        "began": f"d{began}",
        "step": step,
        "slate": (1, 2),
        "items": ("one", "two"),
        "propensity": 0.25,
        "position_propensity": (0.5, 0.5),
        "candidates": (1, 2, 3),
        "candidate_propensity": (0.5, 0.25, 0.25),
        "context": (),
        "policy": "p",
        "rules": "r",
        "history_version": 0,
        "history_hash": "h",
        "history_age": None,
        "prior_items": () if step else (user, 3),
        "prior_responses": () if step else ((1.0, 0.5), (0.0, 2.0)),
        "unknown_items": 0,
        "fallback": None,
        "worked_ms": 1.0,
    }
    return Decision(**known | fields)


def taken(n: int, user: int, of: int) -> OutcomeEvent:
    return OutcomeEvent(
        outcome_id=f"o{n}",
        decision_id=f"d{of}",
        user=f"u{user}",
        kind="taken" if n % 5 else "liked",
        item=n % 7,
        value=1.0,
        responses=(1.0, n / 8) if n % 5 else (),
        client_time=None,
        time=100.0 + n // 3,
    )


def happened(n_events: int, seed: int = 0) -> Iterator[bytes]:
    """Decisions and outcomes of users, with starts and events that were erased between them."""
    rng = np.random.default_rng(seed)
    steps, began, last = dict[int, int](), dict[int, int](), dict[int, int]()
    for n in range(n_events):
        user = int(rng.integers(USERS))
        if n % 101 == 0:
            yield Start(
                time=100.0 + n // 3, policy="p", policy_sha256="", rules="r", n_items=9,
                slate_size=2, history_length=4, response_names=("a", "b"), item_names=None,
                max_steps=None,
            ).to_json()  # fmt: skip
        elif n % 37 == 0:
            yield REMOVED
        elif user in last and rng.random() < 0.4:
            yield taken(n, user, last[user]).to_json()
        else:
            if user not in steps or rng.random() < 0.1:
                steps[user], began[user] = -1, n
            steps[user] += 1
            last[user] = n
            yield decision(n, user, steps[user], began[user]).to_json()


def known(store: MemorySessions) -> dict[str, Any]:
    """All that a store remembers, in its order."""
    return {
        name: (
            user.items.tolist(), user.responses.tolist(), user.version, user.touched, user.updated,
            [(key, s.began, s.last, s.steps, s.of_request) for key, s in user.sessions.items()],
            [*user.taken],
        )
        for name, user in store._users.items()
    }  # fmt: skip


def restored(log: Any, **settings: Any) -> tuple[Restored, MemorySessions]:
    store = MemorySessions(ttl=1e9)
    given = {"responses": 2, "since": 0.0, "seconds": 1e9}
    return restore(log, store, **given | settings), store


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restoring, "CHUNK", 64)


@pytest.mark.parametrize("installed", [True, False])
def test_a_store_is_restored_as_a_whole_replay_would(
    tmp_path: Path, small_chunks: None, monkeypatch: pytest.MonkeyPatch, installed: bool
) -> None:
    """Several segments, the last of them half written, starts and erased events between."""
    if installed:
        pytest.importorskip("msgspec")
    else:
        monkeypatch.setattr(skimming, "_decoders", dict)
    with_end = SegmentLog(tmp_path, segment_bytes=50_000)
    for event in happened(900):
        with_end.append(event)
    files = sorted(tmp_path.glob("main-*"))
    assert len(files) > 3
    assert files[-1].suffix == ".open"
    with files[-1].open("ab") as file:
        file.write(b'{"n":900,"event":{"schema":1,"type":"deci')
    twin, recalled = MemorySessions(ttl=1e9), list[Decision]()
    n = replay(with_end, twin, responses=2, recall=recalled.append)
    again = list[Decision]()
    found, store = restored(
        with_end, recall=lambda _, event: again.append(Decision.from_json(event))
    )
    assert found == Restored(n, 100.0, whole=True)
    assert known(store) == known(twin)
    assert len(known(store)) == USERS
    assert again == recalled
    with_end.close()


class Several:
    """Logs of one writer each, read as one; says what was read."""

    def __init__(self, **logs: MemoryLog) -> None:
        self.logs, self.asked = logs, list[int]()

    def writers(self) -> list[str]:
        return sorted(self.logs)

    def last(self, writer: str) -> int:
        return self.logs[writer].last(self.logs[writer].writer)

    def read(self, writer: str, after: int = -1) -> Iterator[Entry]:
        self.asked.append(after)
        return self.logs[writer].read(self.logs[writer].writer, after)


def filled(events: list[bytes]) -> MemoryLog:
    log = MemoryLog()
    log.events = events
    return log


def test_writers_are_read_back_equally_far(small_chunks: None) -> None:
    events = [*happened(900, seed=1)]
    log = Several(a=filled(events[::2]), b=filled(events[1::2]))
    twin = MemorySessions(ttl=1e9)
    replay(log, twin, responses=2)  # type: ignore[arg-type]
    found, store = restored(log)
    assert found.whole
    assert known(store) == known(twin)
    ticks = iter(range(100))
    part, _ = restored(log, seconds=8.5, timer=lambda: float(next(ticks)))  # 0 + half of it: 4
    assert not part.whole
    assert sorted(log.asked[-4:]) == [321, 321, 385, 385], "two chunks of each, not four of one"


def test_reading_ends_with_the_time_that_it_may_take(small_chunks: None) -> None:
    events = [*happened(900)]
    ticks = iter(range(100))
    part, store = restored(filled(events), seconds=8.5, timer=lambda: float(next(ticks)))
    assert not part.whole
    assert part.since == 100.0 + (900 - 4 * 64) // 3
    twin = MemorySessions(ttl=1e9)
    replay(filled(events[-4 * 64 :]), twin, responses=2)
    assert known(store) == known(twin)


def test_what_is_too_old_is_not_opened(tmp_path: Path, small_chunks: None) -> None:
    """An old segment could be damaged, and nobody would see."""
    log = SegmentLog(tmp_path, segment_bytes=50_000)
    for event in happened(900):
        log.append(event)
    sorted(tmp_path.glob("main-*"))[0].write_bytes(b"damaged\n")
    found, store = restored(log, since=350.0)
    assert found.whole
    assert found.since is not None
    assert 350.0 - 64 / 3 <= found.since < 350.0, "to the chunk in which the time lies"
    assert known(store)
    log.close()


def test_an_empty_log_restores_nothing() -> None:
    assert restored(MemoryLog())[0] == Restored(0, None, whole=True)
    assert restored(filled([REMOVED]))[0] == Restored(0, None, whole=True)


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (lambda event: event.replace(b'"step":0', b'"step":"0"'), "step"),
        (lambda event: event.replace(b'"user":"u1",', b""), "user"),
        (lambda event: event.replace(b'"schema":1', b'"schema":2'), "schema"),
        (lambda event: event[:40], "JSON"),
    ],
)
def test_an_event_that_is_none_is_named(broken: Callable[[bytes], bytes], named: str) -> None:
    event = decision(0, 1, 0, 0).to_json()
    assert skimming.skim(event) == skimming.Opened(
        "d0", 100.0, "u1", "s1", "d0", 0, (1, 3), ((1.0, 0.5), (0.0, 2.0))
    )
    with pytest.raises(ContractError, match=named):
        skimming.skim(broken(event))
