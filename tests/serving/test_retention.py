"""Retention: whole segments go when they are old, and numbers go on."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from serving import MemoryLog, OutcomeEvent, SegmentLog
from serving.events.folder import Retired, SegmentFolder
from serving.events.reading import in_order
from serving.privacy.retention import retire


def event(time: float) -> bytes:
    return OutcomeEvent(
        outcome_id=f"{time}", decision_id='"time":9', user="h", kind="seen", item=None, value=1.0,
        responses=(), client_time=1e9, time=time,
    ).to_json()  # fmt: skip


def filled(folder: Path, n: int = 100, writer: str = "main") -> SegmentLog:
    """About five events of a second each in a segment; the last one is open."""
    log = SegmentLog(folder, writer=writer, segment_bytes=5 * len(event(50.0)))
    for i in range(n):
        assert log.append(event(float(i))) == i
    return log


def numbers(log: SegmentFolder | SegmentLog, writer: str = "main") -> list[int]:
    return [entry.number for entry in log.read(writer)]


def test_old_segments_go_and_young_ones_stay(tmp_path: Path) -> None:
    log = filled(tmp_path)
    firsts = [s.first for s in SegmentFolder(tmp_path).segments()]
    keeps = max(first for first in firsts if first <= 52)  # the segment that holds 52
    retired = retire(log, before=52.0)
    assert retired == Retired(keeps, firsts.index(keeps))
    assert numbers(log) == list(range(keeps, 100))
    counts = Counter[str]()
    assert len(list(in_order(log, counts=counts))) == 100 - keeps
    assert counts["missing_events"] == 0
    assert SegmentFolder(tmp_path).next_after_retired("main") == keeps
    assert retire(log, before=52.0) == Retired(0, 0)
    assert log.append(event(100.0)) == 100


def test_what_goes_while_it_is_read_is_not_missing(tmp_path: Path) -> None:
    log, counts = filled(tmp_path), Counter[str]()
    reading = in_order(SegmentFolder(tmp_path), counts=counts)
    assert next(reading).time == 0.0
    gone = retire(log, before=52.0).events
    rest = [event.time for event in reading]
    assert rest[-1] == 99.0
    assert counts["missing_events"] == 0
    assert counts["erased_events"] == 99 - len(rest) > 20
    assert len(rest) >= 99 - gone


def test_a_clock_that_went_back_keeps_what_follows(tmp_path: Path) -> None:
    """The one young event in an old stretch keeps its segment, and those after it: numbers stay
    without a gap."""
    log = SegmentLog(tmp_path, segment_bytes=5 * len(event(50.0)))
    for i in range(60):
        log.append(event(1_000.0 if i == 31 else float(i)))
    retire(log, before=500.0)
    left = numbers(log)
    assert left == list(range(left[0], 60))
    assert 20 < left[0] <= 31


@pytest.mark.parametrize("reopened", [False, True])
def test_numbers_go_on_when_nothing_is_left(reopened: bool, tmp_path: Path) -> None:
    log = filled(tmp_path, 42)
    log.close()
    folder = SegmentFolder(tmp_path)
    assert retire(folder, before=1e9).events == 42
    assert folder.writers() == []
    log = SegmentLog(tmp_path)
    if reopened:  # twice, without an event between
        log.close()
        log = SegmentLog(tmp_path)
    assert log.append(event(42.0)) == 42
    assert numbers(log) == [42]


def test_what_is_open_stays_until_it_is_sealed(tmp_path: Path) -> None:
    alive, dead = filled(tmp_path, 8, "alive"), filled(tmp_path, 8, "dead")
    os.close(dead._lock)  # type: ignore[arg-type]  # as the end of its process does
    folder = SegmentFolder(tmp_path)
    assert retire(folder, before=1e9).events == 8 + 5  # all of the dead one's
    assert numbers(folder, "alive") == [5, 6, 7]
    alive.segment_seconds = 1e-9  # it is open for long now
    assert retire(alive, before=1e9).events == 3
    assert alive.append(event(8.0)) == 8


def test_a_segment_is_sealed_after_its_time(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, segment_seconds=1e-9)
    for i in range(3):
        log.append(event(float(i)))
    assert [s.first for s in SegmentFolder(tmp_path).segments()] == [0, 1, 2]
    with pytest.raises(ValueError, match="segment_seconds"):
        SegmentLog(tmp_path, writer="b", segment_seconds=0)


def test_a_kill_between_two_removals_loses_no_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    filled(tmp_path, 20).close()
    steps = [0]
    for name in ("fsync", "replace", "unlink"):
        step = getattr(os, name)

        def counted(*args: object, _step: object = step, **rest: object) -> object:
            steps[0] -= 1
            if steps[0] < 0:
                raise Killed
            return _step(*args, **rest)  # type: ignore[operator]

        monkeypatch.setattr(os, name, counted)
    for nth in range(100):
        steps[0] = nth % 9
        try:
            SegmentFolder(tmp_path).retire(before=1e9)
        except Killed:
            left = numbers(SegmentFolder(tmp_path))
            assert left == list(range(20 - len(left), 20))  # from the front alone
        else:
            break
    assert nth > 5
    steps[0] = 1_000
    assert SegmentLog(tmp_path).append(event(20.0)) == 20


def test_a_log_without_segments_says_where_it_is_set() -> None:
    with pytest.raises(ValueError, match="MemoryLog has no segments: set how long"):
        retire(MemoryLog(), before=0.0)
