"""Events that are taken out of a log: what every log promises, and segments under kills."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from serving import EventLog, EventLogError, SegmentLog
from serving.events.folder import SegmentFolder
from serving.events.log import REMOVED
from serving.events.reading import in_order
from tests.serving.factories import EVENT_LOGS


@pytest.fixture(params=sorted(EVENT_LOGS))
def make(request: pytest.FixtureRequest) -> Callable[[Path], EventLog]:
    return EVENT_LOGS[request.param]


def event(i: int) -> bytes:
    return b'{"type":"test","i":%d,"user":"%s"}' % (i, b"ab"[i % 3 == 0 :][:1])


def of_b(event: bytes) -> bool:
    return b'"user":"b"' in event


def there(log: EventLog | SegmentFolder) -> list[tuple[int, bytes]]:
    """What a log holds, without what stands for removed events."""
    entries = [e for writer in log.writers() for e in log.read(writer)]
    return [(e.number, e.event) for e in entries if e.event != REMOVED]


def test_erased_events_are_gone_and_all_others_stay(
    make: Callable[[Path], EventLog], tmp_path: Path
) -> None:
    log, n = make(tmp_path), 4_000
    for i in range(n):
        log.append(event(i))
    asked = Counter[bytes]()

    def matches(event: bytes) -> bool:
        asked[event] += 1
        return of_b(event)

    kept = [(i, event(i)) for i in range(n) if i % 3]
    assert log.erase(matches) == n - len(kept)
    assert asked == Counter(map(event, range(n)))  # each of them once
    assert there(log) == kept
    assert log.append(event(n)) == n  # numbers go on
    assert there(log) == [*kept, (n, event(n))]
    log.flush()
    assert log.erase(matches) == 0
    assert [e.number for e in log.read(log.writer, 3_000) if of_b(e.event)] == []


def test_a_log_of_which_everything_was_erased_goes_on(
    make: Callable[[Path], EventLog], tmp_path: Path
) -> None:
    log = make(tmp_path)
    assert log.erase(of_b) == 0  # of an empty one
    assert [log.append(event(i)) for i in range(9)] == list(range(9))
    assert log.erase(lambda event: True) == 9
    assert log.append(event(9)) == 9
    assert there(log) == [(9, event(9))]


def test_tombstones_are_counted_and_not_missing(tmp_path: Path) -> None:
    log = EVENT_LOGS["segments"](tmp_path)
    for i in range(10):
        log.append(event(i))
    log.erase(lambda event: True)
    counts = Counter[str]()
    assert list(in_order(log, counts=counts)) == []
    assert counts["erased_events"] == 10
    assert counts["missing_events"] == 0


# ---- segments


def filled(folder: Path, n: int = 60, writer: str = "main") -> SegmentLog:
    log = SegmentLog(folder, writer=writer, segment_bytes=580)
    for i in range(n):
        log.append(event(i))
    return log


def test_a_reader_in_the_middle_sees_all_numbers(tmp_path: Path) -> None:
    log = filled(tmp_path)
    reading = SegmentFolder(tmp_path).read("main")
    first = [next(reading).number for _ in range(5)]
    log.erase(of_b)
    assert first + [entry.number for entry in reading] == list(range(60))


def test_an_open_segment_of_a_live_writer_is_left_and_a_dead_ones_is_not(tmp_path: Path) -> None:
    alive = filled(tmp_path, 61, "alive")
    dead = filled(tmp_path, 61, "dead")
    os.close(dead._lock)  # type: ignore[arg-type]  # as the end of its process does
    folder = SegmentFolder(tmp_path)
    folder.erase(of_b)
    assert [e.number for e in folder.read("dead") if of_b(e.event)] == []
    (still_open,) = (s for s in folder.segments() if s.path.suffix == ".open")
    assert still_open.writer == "alive"
    left = [e.number for e in folder.read("alive") if of_b(e.event)]
    assert still_open.first == 54
    assert left == list(range(54, 61, 3))
    assert alive.append(event(61)) == 61
    assert alive.erase(of_b) == 3  # its own process seals it first
    assert alive.append(event(62)) == 62
    assert [n for n, _ in there(folder)] == [n for last in (63, 61) for n in range(last) if n % 3]


def test_appends_go_on_while_events_are_erased(tmp_path: Path) -> None:
    log = filled(tmp_path, 300)
    begun, done = threading.Event(), threading.Event()

    def slow(event: bytes) -> bool:
        begun.set()
        assert done.wait(10)
        return of_b(event)

    eraser = threading.Thread(target=log.erase, args=[slow])
    eraser.start()
    assert begun.wait(10)
    assert [log.append(event(i)) for i in range(300, 400)] == list(range(300, 400))
    done.set()
    eraser.join()
    assert [n for n, e in there(log) if not of_b(e)] == [i for i in range(400) if i % 3]


def test_two_erase_at_once_and_neither_brings_back_what_the_other_took(tmp_path: Path) -> None:
    filled(tmp_path, 400).close()
    wanted = [lambda e, d=d: e.split(b",")[1].endswith(b"%d" % d) for d in range(4)]
    threads = [
        threading.Thread(target=SegmentFolder(tmp_path).erase, args=[matches]) for matches in wanted
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [n for n, _ in there(SegmentFolder(tmp_path))] == [i for i in range(400) if i % 10 > 3]


def test_a_damaged_segment_is_named_and_stays(tmp_path: Path) -> None:
    filled(tmp_path).close()
    broken = sorted(tmp_path.glob("*.jsonl"))[1]
    broken.write_bytes(broken.read_bytes().replace(b'"n":', b'"m":', 1))
    before = broken.read_bytes()
    with pytest.raises(EventLogError, match=f"{broken.name} is damaged"):
        SegmentFolder(tmp_path).erase(of_b)
    assert broken.read_bytes() == before


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere is no folder of events"):
        SegmentFolder(tmp_path / "nowhere")


KILLED = """if True:
    import os, shutil, sys
    from pathlib import Path
    from serving import SegmentLog
    from serving.events.folder import SegmentFolder
    from serving.events.log import REMOVED
    from tests.serving.test_erasing import event, filled, of_b, there

    STEPS = "open write fsync fdatasync ftruncate rename replace unlink close".split()

    def killed_at(nth, work):
        pid = os.fork()
        if pid:
            return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -9
        left = [nth]
        def counted(step):
            def call(*args, **rest):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), 9)
                return step(*args, **rest)
            return call
        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        work()
        os._exit(0)

    top = Path(sys.argv[1])
    pid = os.fork()  # what a killed process left: two sealed segments and an open one
    if not pid:
        filled(top / "base", 25)
        os._exit(0)
    os.waitpid(pid, 0)
    assert len(list((top / "base").glob("*.open"))) == 1
    everything = [(i, event(i)) for i in range(25)]
    kept = [(n, e) for n, e in everything if not of_b(e)]
    nth, seen = 0, set()
    while True:
        folder = SegmentFolder(shutil.copytree(top / "base", top / str(nth)))
        ended = not killed_at(nth, lambda: folder.erase(of_b))
        now = there(folder)
        assert [n for n, e in now if not of_b(e)] == [n for n, _ in kept], nth
        assert set(now) <= set(everything), nth
        for _, _, path in folder.segments():  # each one old or new as a whole
            removed = path.read_bytes().count(REMOVED)
            assert removed == 0 or not of_b(path.read_bytes()), (nth, path)
        seen.add(len(now))
        log = SegmentLog(folder.folder, segment_bytes=580)  # the server is started again
        assert log.append(event(25)) == 25, nth
        log.erase(of_b)
        log.close()
        assert there(log) == [*kept, (25, event(25))], nth
        assert list(folder.folder.glob(".*.partial")) == [], nth
        nth += 1
        if ended:
            break
    print(nth, len(seen))
"""


def test_a_kill_at_any_step_leaves_each_segment_old_or_new(tmp_path: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    steps, states = map(int, run.stdout.split())
    assert steps > 20
    assert states >= 4  # nothing erased, and one segment more each time
