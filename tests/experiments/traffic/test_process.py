"""A server's process, and a disk that is full for a while."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experiments.traffic.benchmark.backing import Backing, Kind, find_binary
from experiments.traffic.benchmark.disk import FILLER, small_disk
from experiments.traffic.benchmark.process import ServerProcess
from serving import EventLogError, SegmentLog
from tests.serving.servers import missing

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print("some other line", f"serving on http://127.0.0.1:{server.server_port}", sep="\\n", flush=True)
print("an alarm", file=sys.stderr, flush=True)
server.serve_forever()
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "a_server.py").write_text(SERVER)
    (tmp_path / "no_server.py").write_text("raise SystemExit('the port is taken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "a_server"


def test_a_server_is_started_measured_killed_and_started_again(module: str, tmp_path: Path) -> None:
    with ServerProcess([module], tmp_path / "errors") as server:
        first = server.pid
        assert server.url.startswith("http://127.0.0.1:")
        assert server.cpu() > 0
        assert server.memory() > 5
        assert server.cold_start > 0
        server.kill()
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        server.start()
        assert server.pid != first
    assert server.said().count("an alarm") == 2
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


def test_one_that_does_not_start_says_why(module: str, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="ended before it served:\nthe port is taken"):
        ServerProcess(["no_server"], tmp_path / "errors").start()


@pytest.mark.parametrize("limited", [False, True])
def test_a_full_disk_takes_no_event_and_then_does(
    limited: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if limited:
        monkeypatch.setattr(os, "geteuid", lambda: 1)  # as one who may not mount
    elif os.geteuid():
        pytest.skip("only root may mount a file system")
    folder = tmp_path / "events"
    folder.mkdir()
    with small_disk(folder) as disk:
        log = SegmentLog(folder)
        event = b'{"some":"%s"}' % (b"x" * 5_000)
        log.append(event)
        disk.fill(os.getpid())
        try:
            with pytest.raises(EventLogError):
                log.append(event)  # of more than a page
        finally:
            disk.free(os.getpid())
        kept = log.append(event)
        assert [entry.number for entry in log.read("main")] == list(range(kept + 1))
        assert not (folder / FILLER).exists()
        log.close()


@pytest.mark.parametrize("kind", ["redis", "nats"])
def test_a_store_listens_where_it_did_after_it_was_killed(kind: Kind, tmp_path: Path) -> None:
    binary = find_binary(kind)
    if binary is None:
        missing(f"no {kind} server on this machine")
    backing = Backing(kind, binary, tmp_path / "data")
    backing.start()
    try:
        url = backing.url
        backing.kill()
        backing.start()
        assert backing.url == url
    finally:
        backing.kill()
