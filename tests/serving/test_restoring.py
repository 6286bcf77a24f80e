"""Sessions of a long log are restored as a replay of all of it would, or from its end alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serving import Decision, MemoryLog, MemorySessions, SegmentLog, replay
from serving.contracts import skimming
from serving.contracts.fields import ContractError
from serving.events.log import REMOVED, Entry
from serving.sessions import restoring
from serving.sessions.restoring import Restored
from tests.serving.happenings import USERS, decision, filled, happened, known, restored


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
    assert found == Restored(n, 100.0, whole=True, reached={"main": 899})
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
    assert restored(filled([REMOVED]))[0] == Restored(0, None, whole=True, reached={"memory": 0})


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
