"""One connection to a NATS server, from threads that know nothing of its event loop."""

from __future__ import annotations

import asyncio
import logging
import math
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from policies.validation import POSITIVE
from serving.links.pause import Pause, ServerAwayError
from serving.links.urls import server_of, shown

try:
    from nats import errors
    from nats.aio.client import Client
    from nats.aio.msg import Msg
    from nats.errors import NoRespondersError
    from nats.js import JetStreamContext, api
    from nats.js import errors as js_errors
except ImportError as error:
    raise ImportError(
        "a nats:// URL needs the client of NATS: pip install 'longplay[nats]'"
    ) from error

__all__ = ["ERRORS", "Msg", "NatsLink", "NoRespondersError", "api", "js_errors"]
SCHEMES = ("nats", "tls")
ERRORS = (errors.Error, OSError)  # all that a link raises; a TimeoutError is an OSError
T = TypeVar("T")
logger = logging.getLogger("serving")


class NatsLink:
    """A connection in a thread with an event loop of its own; it comes back by itself after the
    server did. What was being sent when it broke may be sent then.

    timeout: seconds for connecting and for each call; the server may still do what it was told.
    pause: seconds after a call that failed so in which calls fail at once.

    Raises ValueError for a URL that is none, and one of ERRORS where the server does not answer.
    """

    def __init__(self, url: str, *, timeout: float, pause: float) -> None:
        POSITIVE.check("timeout", timeout)
        self.url, self.name = server_of(url, SCHEMES)
        self.timeout, self._pause = timeout, Pause(pause)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._thread.start()
        self.client, self._failure = Client(), ""  # what it said last of its connection
        try:
            self.call(self._connect(), wait=4 * timeout, connected=False)
        except TimeoutError as error:
            self.close()
            said = f"no connection to {shown(self.url)} in {4 * timeout} s: {self._failure}"
            raise TimeoutError(said) from error
        except BaseException:
            self.close()
            raise
        self.stream: JetStreamContext = self.client.jetstream(timeout=timeout)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown(self.url)!r}, name={self.name!r})"

    def call(
        self, work: Coroutine[Any, Any, T], *, wait: float | None = None, connected: bool = True
    ) -> T:
        """What a coroutine returns in the loop, within `wait` seconds (two timeouts by default)."""
        try:
            self._pause.check()
            if connected and not self.client.is_connected:
                raise ServerAwayError(f"no connection to {shown(self.url)}")
        except ServerAwayError:
            work.close()
            raise
        task = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return task.result(2 * self.timeout if wait is None else wait)
        except TimeoutError as error:
            task.cancel()
            self._pause.begin()
            raise TimeoutError(str(error) or "no answer in time") from error

    def close(self) -> None:
        """Drop the connection and end the thread."""
        if not self._loop.is_running():
            return
        closing = asyncio.run_coroutine_threadsafe(self.client.close(), self._loop)
        try:
            closing.result(self.timeout)
        except TimeoutError:
            closing.cancel()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _connect(self) -> None:
        async def failed(error: Exception) -> None:
            self._failure = f"{type(error).__name__}: {error}"
            logger.debug("nats: %s", self._failure)  # each call that it breaks says so by itself

        await self.client.connect(
            [self.url],
            name="longplay",
            connect_timeout=max(1, math.ceil(self.timeout)),
            reconnect_time_wait=0.1,  # type: ignore[arg-type]  # seconds, also parts of one
            max_reconnect_attempts=-1,
            ping_interval=5,
            error_cb=failed,
        )
