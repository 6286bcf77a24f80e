"""The server on a socket: in this thread until a signal ends it, or in one of its own."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from serving.http.app import make_app
from serving.http.service import Service

GRACE = 10  # s that answers under way have after a signal


def serve(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve until SIGTERM or SIGINT; then accept nothing more, answer what waits, and close the
    event log. `ready` is told the URL once requests are answered; port 0 takes a free one.

    Raises OSError where the port is taken, and ImportError without uvicorn.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn repeats it when all is closed
    listening = _listening(host, port)
    server = _server(service, lambda: ready(_url(listening)))
    server.run([listening])


@contextmanager
def running(service: Service, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """The URL of a server in a thread; it ends with the context, as after SIGTERM."""
    listening = _listening(host, port)
    there = threading.Event()
    server = _server(service, there.set)
    thread = threading.Thread(target=server.run, args=([listening],), name="serving-http")
    thread.start()
    try:
        while not there.wait(0.05):
            if not thread.is_alive():
                raise RuntimeError("the server did not start; its log says why")
        yield _url(listening)
    finally:
        server.should_exit = True
        thread.join()


def _server(service: Service, ready: Callable[[], None]) -> Any:
    try:
        import uvicorn
    except ImportError as error:
        raise ImportError("the server needs uvicorn: pip install 'longplay[serve]'") from error

    class Server(uvicorn.Server):
        """Says when it is ready."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            await asyncio.get_running_loop().run_in_executor(None, service.warm.wait)
            ready()

    return Server(
        uvicorn.Config(
            make_app(service),
            lifespan="on",
            ws="none",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
        )
    )


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise OSError(error.errno, f"{host}:{port}: {error.strerror}") from error
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
