"""What every event log promises (a new one joins EVENT_LOGS of the factories), and segments."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serving import EventLog, EventLogError, OutcomeEvent, SegmentLog
from serving.events.reading import in_order
from tests.serving.factories import EVENT_LOGS


@pytest.fixture(params=sorted(EVENT_LOGS))
def make(request: pytest.FixtureRequest) -> Iterator[Callable[[Path], EventLog]]:
    opened = list[EventLog]()

    def open_log(folder: Path) -> EventLog:
        opened.append(EVENT_LOGS[request.param](folder))
        return opened[-1]

    yield open_log
    for log in opened:
        log.close()


def event(i: int) -> bytes:
    return b'{"type":"test","i":%d}' % i


def all_of(log: EventLog) -> list[tuple[int, bytes]]:
    return [(e.number, e.event) for w in log.writers() for e in log.read(w)]


def test_events_come_back_as_they_were_in_order(
    make: Callable[[Path], EventLog], tmp_path: Path
) -> None:
    log = make(tmp_path)
    assert log.writers() == []
    odd = '{"type":"é \\" } {"}'.encode()
    events = [event(0), odd, *map(event, range(2, 3_000))]
    assert [log.append(e) for e in events] == list(range(3_000))
    assert log.writers() == [log.writer]
    assert all_of(log) == list(enumerate(events))
    log.flush()
    log.append(event(3_000))
    assert len(all_of(log)) == 3_001


def test_reading_goes_on_after_a_number(make: Callable[[Path], EventLog], tmp_path: Path) -> None:
    log = make(tmp_path)
    for i in range(500):
        log.append(event(i))
    for after in (-1, 0, 237, 498, 499, 1_000):
        rest = [e.number for e in log.read(log.writer, after)]
        assert rest == list(range(after + 1, 500))
    assert list(log.read("nobody")) == []


def test_the_last_number_is_known_also_of_events_that_are_gone(
    make: Callable[[Path], EventLog], tmp_path: Path
) -> None:
    log = make(tmp_path)
    assert (log.last(log.writer), log.last("nobody")) == (-1, -1)
    for i in range(700):
        log.append(event(i))
        if i % 100 == 0:
            assert log.last(log.writer) == i
    log.erase(lambda body: body == event(699))
    assert log.last(log.writer) == 699
    log.erase(lambda body: True)
    assert (log.last(log.writer), log.append(event(0)), log.last(log.writer)) == (699, 700, 700)


def test_a_closed_log_keeps_nothing_more(make: Callable[[Path], EventLog], tmp_path: Path) -> None:
    log = make(tmp_path)
    log.append(event(0))
    log.close()
    log.close()
    with pytest.raises(EventLogError, match="closed"):
        log.append(event(1))
    assert all_of(log) == [(0, event(0))]


# ---- segments


def segments(folder: Path, writer: str = "main", size: int = 200) -> SegmentLog:
    return SegmentLog(folder, writer=writer, segment_bytes=size)


def test_segments_are_sealed_and_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    for start in (0, 20, 40):
        log = segments(tmp_path)
        assert [log.append(event(i)) for i in range(start, start + 20)] == list(
            range(start, start + 20)
        )
        assert len(list(tmp_path.glob("*.open"))) == 1
        log.close()
        assert list(tmp_path.glob("*.open")) == []
    assert all_of(segments(tmp_path)) == [(i, event(i)) for i in range(60)]


def test_two_writers_do_not_mix_and_a_name_is_one_process(tmp_path: Path) -> None:
    a, b = segments(tmp_path, "a"), segments(tmp_path, "b")
    for i in range(30):
        (a if i % 3 else b).append(event(i))
    assert a.writers() == ["a", "b"]
    assert [e.event for e in a.read("b")] == [event(i) for i in range(0, 30, 3)]
    with pytest.raises(EventLogError, match=r"another process writes .* as 'a', or a log of this"):
        segments(tmp_path, "a")
    a.close()
    segments(tmp_path, "a").close()


@pytest.mark.parametrize("piece", [b"{", b'{"n":5,"event":{"type":"te', b'{"n":5,"event":{}}'])
def test_a_torn_last_record_is_dropped(piece: bytes, tmp_path: Path) -> None:
    code = f"""if True:
        import os
        from serving import SegmentLog
        log = SegmentLog({str(tmp_path)!r})
        for i in range(5):
            log.append(b'{{"type":"test","i":%d}}' % i)
        os.kill(os.getpid(), 9)
    """
    killed = subprocess.run([sys.executable, "-c", code], check=False)
    assert killed.returncode == -9
    (left,) = tmp_path.glob("*.open")
    with left.open("ab") as file:
        file.write(piece)
    log = SegmentLog(tmp_path)
    assert log.dropped_bytes == len(piece)
    assert log.append(event(5)) == 5
    assert all_of(log) == [(i, event(i)) for i in range(6)]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    log = segments(tmp_path, size=10_000)
    for i in range(9):
        log.append(event(i))
    log.close()
    (path,) = tmp_path.glob("*.jsonl")
    lines = path.read_bytes().splitlines(keepends=True)
    for broken in ([*lines[:4], *lines[5:]], [*lines[:4], b"\0" * 20 + b"\n", *lines[5:]]):
        path.write_bytes(b"".join(broken))
        with pytest.raises(EventLogError, match=rf"{path.name} is damaged: line 5"):
            all_of(_reader(path))


def _reader(path: Path) -> EventLog:
    """A log whose own writer is another one: it reads the folder and recovers nothing."""
    log = segments(path.parent, "reader")
    log.close()
    return log


def test_a_full_disk_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = segments(tmp_path, size=10_000)
    log.append(event(0))
    write, room = os.pwrite, [10]

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if not room:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[: room.pop()], offset)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        for _ in range(2):  # a short write, then none
            with pytest.raises(EventLogError, match="event 1 of main"):
                log.append(event(1))
            assert all_of(log) == [(0, event(0))]
    (path,) = tmp_path.glob("*.open")
    assert path.read_bytes().count(b"\n") == 1
    assert path.read_bytes().endswith(b"\n")
    assert log.append(event(1)) == 1
    assert all_of(log) == [(0, event(0)), (1, event(1))]


def test_what_is_appended_together_is_one_write_and_all_of_it_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = segments(tmp_path, size=10_000)
    writes, write = list[int](), os.pwrite

    def counted(descriptor: int, data: bytes, offset: int) -> int:
        room = len(data) if len(writes) != 1 else len(data) - 3  # the second one is cut short
        writes.append(room)
        return write(descriptor, data[:room], offset)

    monkeypatch.setattr(os, "pwrite", counted)
    assert log.append_many([]) == []
    assert writes == []
    assert log.append_many([event(0), event(1), event(2)]) == [0, 1, 2]
    with pytest.raises(EventLogError, match="event 3 of main"):
        log.append_many([event(3), event(4)])
    with pytest.raises(ValueError, match="a JSON object on one line"):
        log.append_many([event(3), b"{\n}"])
    assert all_of(log) == [(i, event(i)) for i in range(3)]
    assert log.append_many([event(5), event(6)]) == [3, 4]
    assert len(writes) == 3
    assert all_of(log)[3:] == [(3, event(5)), (4, event(6))]


def _broken(descriptor: int) -> None:
    raise OSError(errno.EIO, "Input/output error")


def test_an_event_that_could_not_be_synced_is_not_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SegmentLog(tmp_path, sync=0)
    log.append(event(0))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", _broken)
        with pytest.raises(EventLogError, match="event 1 of main"):
            log.append(event(1))
    assert all_of(log) == [(0, event(0))]
    assert log.append(event(2)) == 1


def test_a_sync_that_fails_beside_the_appends_is_told_by_a_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = SegmentLog(tmp_path, sync=1e-9)

    def until_it_fails() -> None:
        for i in range(1_000):
            log.append(event(i))
            time.sleep(0.001)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", _broken)
        with pytest.raises(EventLogError, match="Input/output error"):
            until_it_fails()
    kept = len(all_of(log))
    assert 0 < kept < 1_000
    assert log.append(event(kept)) == kept
    log.close()
    assert all_of(log) == [(i, event(i)) for i in range(kept + 1)]


def test_a_segment_that_was_taken_away_is_counted(tmp_path: Path) -> None:
    log = SegmentLog(tmp_path, segment_bytes=500)
    known: Any = {"user": "h", "item": None, "responses": (), "client_time": None}
    for i in range(40):
        event = OutcomeEvent(
            outcome_id=f"{i}", decision_id="d", kind="seen", value=1.0, time=float(i), **known
        )
        log.append(event.to_json())
    first, _, third, *_ = sorted(tmp_path.glob("*.jsonl"))
    first.unlink()  # as retention does: nothing between two that are there
    counts = Counter[str]()
    there = len(list(in_order(log, counts=counts)))
    assert counts["missing_events"] == 0
    third.unlink()
    rest = len(list(in_order(log, counts=counts)))
    assert 0 < counts["missing_events"] == there - rest


def test_what_is_no_event_is_not_written(tmp_path: Path) -> None:
    log = segments(tmp_path)
    for wrong in (b"", b"[]", b'{"a":\n1}'):
        with pytest.raises(ValueError, match="JSON object on one line"):
            log.append(wrong)
    with pytest.raises(ValueError, match="letters, digits"):
        segments(tmp_path, "a-b")
    assert all_of(log) == []
