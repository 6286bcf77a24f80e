"""A snapshot and the events after it come to what all events come to."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from policies.baselines.uniform import uniform
from serving import Catalogue, Engine, MemorySessions, Outcome, Request, SegmentLog, replay
from serving.contracts.fields import ContractError
from serving.events.folder import SNAPSHOT, SegmentFolder
from serving.privacy.forgetting import forget_served
from serving.restarting import writing
from serving.restarting.reading import read_back_log
from serving.restarting.writing import SnapshotWriter, snapshots_of
from serving.sessions import restoring
from serving.sessions.restoring import Restored
from serving.sessions.snapshot import (
    Header,
    decode,
    encode,
    read_snapshot,
    write_header,
    write_part,
)
from tests.factories import make_serving
from tests.serving.factories import SECRET, names_of
from tests.serving.happenings import filled, happened, known, restored

A, USERS = 9, 12


def write_file(path: Path, parts: list[tuple[int, MemorySessions, list[str]]]) -> None:
    with zipfile.ZipFile(path, "w") as file:
        for nth, (number, store, names) in enumerate(parts):
            write_part(file, nth, number, store.read(names, encode))
        first = min(number for number, _, _ in parts)
        write_header(file, Header(writer="memory", first=first, meaning="m", others={}))


@pytest.mark.parametrize("chunk", [1, 64, 10_000])
def test_users_of_several_moments_and_the_events_after_each(
    tmp_path: Path, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half the users as of event 499 and half as of 699; a user who first came between them."""
    monkeypatch.setattr(restoring, "CHUNK", chunk)
    events = [*happened(900, seed=3)]
    stores = [MemorySessions(ttl=1e9) for _ in range(2)]
    for store, n in zip(stores, (500, 700), strict=True):
        replay(filled(events[:n]), store, responses=2)
    names = sorted(stores[1].names())
    write_file(tmp_path / "s", [(499, stores[0], names[::2]), (699, stores[1], names[1::2])])
    snapshot = read_snapshot(tmp_path / "s")
    assert snapshot is not None
    assert snapshot.after() == {"memory": 499}
    found, store = restored(filled(events), snapshot=snapshot)
    twin = MemorySessions(ttl=1e9)
    replay(filled(events), twin, responses=2)
    assert known(store) == known(twin)
    assert found.whole
    assert found.users == len(names)
    assert 200 < found.events < 400
    assert found.reached == {"memory": 899}


def test_a_part_comes_back_as_it_was() -> None:
    store = MemorySessions(ttl=1e9)
    replay(filled([*happened(300)]), store, responses=2)
    again = MemorySessions()
    again.put(decode(*store.read(store.names(), encode)))
    assert known(again) == known(store)
    assert list(known(again)) == list(known(store))
    assert store.read(["nobody"], lambda users: users) == {}


@pytest.mark.parametrize(
    "broken",
    [
        lambda arrays, texts: (arrays[:-4], texts),
        lambda arrays, texts: (arrays, texts[:-9]),
        lambda arrays, texts: (arrays, texts.replace(b'"u1"', b"1")),
        lambda arrays, texts: (arrays, texts.replace(b'"u1", ', b"")),
    ],
)
def test_a_damaged_part_is_refused(broken: Callable[..., tuple[bytes, bytes]]) -> None:
    store = MemorySessions(ttl=1e9)
    replay(filled([*happened(300)]), store, responses=2)
    with pytest.raises(ContractError, match="damaged"):
        decode(*broken(*store.read(store.names(), encode)))


def opened(folder: Path, names: list[str] | None = None) -> tuple[Engine, Restored]:
    """A server of a process of its own, on the events of a folder."""
    log = SegmentLog(folder)
    engine = Engine(
        uniform(make_serving(A, user_size=0)), Catalogue(names or names_of(A)), version="p@1",
        secret=SECRET, events=log, clock=lambda: 1_000.0,
    )  # fmt: skip
    assert isinstance(engine.sessions, MemorySessions)
    return engine, read_back_log(engine, log, engine.sessions, 60.0, 1_800.0)


def writer_of(engine: Engine, found: Restored) -> SnapshotWriter:
    assert isinstance(engine.sessions, MemorySessions)
    writer = snapshots_of(engine, engine.sessions, found)
    assert writer is not None
    return writer


def serve(engine: Engine, n: int, start: int = 0) -> None:
    for i in range(start, start + n):
        user = f"u{i % USERS}"
        decision = engine.decide(Request(request_id=f"r{i}", user=user, session="s"))
        reads = {"click": float(i)}
        told: dict[str, Any] = {"decision_id": decision.decision_id, "user": user}
        taken = decision.items[i % len(decision.items)]
        engine.outcome(
            Outcome(outcome_id=f"o{i}", kind="taken", item=taken, responses=reads, **told)
        )


def killed(engine: Engine) -> None:
    """As far as it can be in this process: nothing is flushed or sealed, the name is free."""
    log = engine.events
    assert isinstance(log, SegmentLog)
    assert log._lock is not None
    os.close(log._lock)
    log._lock = None


def test_a_killed_server_knows_every_history(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests come while the snapshot is written, one after each part."""
    monkeypatch.setattr(writing, "TOGETHER", 5)
    monkeypatch.setattr(restoring, "CHUNK", 8)
    monkeypatch.setattr(restoring, "REMEMBERED", 4)
    engine, found = opened(tmp_path)
    serve(engine, 100)
    numbers = iter(range(1_000, 2_000))
    with monkeypatch.context() as patched:
        patched.setattr(
            writing,
            "write_part",
            lambda *given: (write_part(*given), serve(engine, 2, next(numbers))),
        )
        assert writer_of(engine, found).write()
    serve(engine, 20, 3_000)
    expected, steps = known(engine.sessions), 2 * (100 + 3 * 2 + 20)  # type: ignore[arg-type]
    killed(engine)
    again, found = opened(tmp_path)
    assert known(again.sessions) == expected  # type: ignore[arg-type]
    assert found.whole
    assert found.users == USERS
    assert 40 <= found.events < 80 < steps
    assert found.reached == {"main": steps - 1}
    # the second life's own snapshot, without any event of its own, is of the same
    assert writer_of(again, found).write()
    killed(again)
    third, found = opened(tmp_path)
    assert known(third.sessions) == expected  # type: ignore[arg-type]
    assert found.events == 0
    killed(third)


def test_nothing_is_written_where_nothing_happened(tmp_path: Path) -> None:
    engine, found = opened(tmp_path)
    writer = writer_of(engine, found)
    assert not writer.write()
    serve(engine, 1)
    assert writer.write()
    assert not writer.write()
    engine.events.close()


def test_users_who_are_unseen_for_long_may_go_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of one part, while the part before is written."""
    monkeypatch.setattr(writing, "TOGETHER", 5)
    engine, found = opened(tmp_path)
    serve(engine, USERS)
    names = engine.sessions.names()  # type: ignore[attr-defined]

    def expiring(*given: Any) -> None:
        write_part(*given)
        engine.sessions.forget(names[5:10])

    monkeypatch.setattr(writing, "write_part", expiring)
    assert writer_of(engine, found).write()
    snapshot = read_snapshot(tmp_path / f"main{SNAPSHOT}")
    assert snapshot is not None
    assert list(snapshot.users) == names[:5] + names[10:]
    engine.events.close()


def test_the_last_snapshot_is_of_all(tmp_path: Path) -> None:
    engine, found = opened(tmp_path)
    with writer_of(engine, found):
        serve(engine, 30)
    expected = known(engine.sessions)  # type: ignore[arg-type]
    engine.events.close()
    again, found = opened(tmp_path)
    assert (found.events, found.users) == (0, USERS)
    assert known(again.sessions) == expected  # type: ignore[arg-type]
    again.events.close()


def test_who_is_forgotten_is_in_no_snapshot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one that is there, and in one that is being written."""
    monkeypatch.setattr(writing, "TOGETHER", 5)
    engine, found = opened(tmp_path)
    serve(engine, 40)
    writer, file = writer_of(engine, found), tmp_path / f"main{SNAPSHOT}"
    assert writer.write()
    assert file.stat().st_mode & 0o7 == 0
    forget_served(engine, "u3")
    assert not file.exists()
    serve(engine, 1)
    parts = iter([True])

    def forgetting(*given: Any) -> None:
        write_part(*given)
        if next(parts, False):
            forget_served(engine, "u4")

    monkeypatch.setattr(writing, "write_part", forgetting)
    assert writer.write()
    snapshot = read_snapshot(file)
    assert snapshot is not None
    gone = {engine.keys.user(name) for name in ("u3", "u4")}
    assert len(snapshot.users) == USERS - 2
    assert not gone & set(snapshot.users)
    key = engine.keys.user("u5").encode()
    SegmentFolder(tmp_path).erase(lambda event: key in event)  # another process
    assert not file.exists()
    engine.events.close()


def test_what_does_not_fit_is_not_used(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine, found = opened(tmp_path)
    serve(engine, 30)
    writer_of(engine, found).write()
    expected = known(engine.sessions)  # type: ignore[arg-type]
    engine.events.close()
    file = tmp_path / f"main{SNAPSHOT}"
    whole = file.read_bytes()
    other, found = opened(tmp_path, names_of(A)[::-1])
    assert found.users == 0
    assert known(other.sessions) == {}  # type: ignore[arg-type]
    other.events.close()
    for n in (0, 10, len(whole) - 10):
        file.write_bytes(whole[:n])
        again, found = opened(tmp_path)
        assert "is damaged" in caplog.text
        assert found.users == 0
        assert known(again.sessions) == expected  # type: ignore[arg-type]
        caplog.clear()
        again.events.close()
    file.write_bytes(whole)
    for segment in tmp_path.glob("main-*"):
        segment.unlink()
    empty, found = opened(tmp_path)
    assert "events that the log does not have" in caplog.text
    assert found.users == 0
    empty.events.close()


def test_bytes_that_changed_are_seen(tmp_path: Path) -> None:
    store = MemorySessions(ttl=1e9)
    replay(filled([*happened(300)]), store, responses=2)
    file = tmp_path / "s"
    write_file(file, [(299, store, store.names())])
    content = bytearray(file.read_bytes())
    at = int(np.random.default_rng(0).integers(200, 2_000))
    content[at] ^= 1
    file.write_bytes(bytes(content))
    with pytest.raises(ContractError, match="damaged"):
        read_snapshot(file)
