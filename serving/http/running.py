"""The server on a socket: in this thread until a signal ends it, or in one of its own."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from serving.http.app import make_app
from serving.http.service import Service

GRACE = 10  # s that answers under way have after a signal
IDLE = 75  # s after which a connection without a request is closed


def serve(
    service: Service,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    seconds: float | None = None,
    ready: Callable[[str], None] = print,
) -> None:
    """Serve until SIGTERM or SIGINT, or for some seconds; then accept nothing more, answer what
    waits, and close the event log. `ready` is told the URL once requests are answered; port 0 takes
    a free one.

    Raises OSError where the port is taken or the event log keeps nothing, and ImportError without
    uvicorn.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn repeats it when all is closed
    try:
        listening = _listening(host, port)
    except OSError:
        service.stop()
        raise
    server = _server(service, lambda: ready(_url(listening)), seconds)
    try:
        server.run([listening])
    except SystemExit:  # uvicorn's, where the service does not start
        raise OSError(f"the server could not start: {service.failed}") from service.failed
    finally:
        listening.close()


@contextmanager
def running(service: Service, *, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """The URL of a server in a thread; it ends with the context, as after SIGTERM.

    Raises what `serve` raises.
    """
    listening = _listening(host, port)
    there = threading.Event()
    server = _server(service, there.set)
    run = _quietly(server.run)
    thread = threading.Thread(target=run, args=([listening],), name="serving-http")
    thread.start()
    try:
        while not there.wait(0.05):
            if not thread.is_alive():
                raise OSError(f"the server could not start: {service.failed}")
        yield _url(listening)
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


def check_installed() -> None:
    """Raise ImportError, which names the extra, where the server's parts are not installed."""
    try:
        import prometheus_client  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        said = f"the server needs {error.name}: pip install 'longplay[serve]'"
        raise ImportError(said) from error


def _server(service: Service, ready: Callable[[], None], seconds: float | None = None) -> Any:
    check_installed()
    import uvicorn

    class Server(uvicorn.Server):
        """Says when it is ready, and ends when it was told to."""

        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if seconds is not None:
                asyncio.get_running_loop().call_later(seconds, setattr, self, "should_exit", True)
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
            timeout_keep_alive=IDLE,
        )
    )


def _quietly(run: Callable[[list[socket.socket]], None]) -> Callable[[list[socket.socket]], None]:
    """Without the exit of a server that does not start."""

    def quiet(sockets: list[socket.socket]) -> None:
        with suppress(SystemExit):
            run(sockets)

    return quiet


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
