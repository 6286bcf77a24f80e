"""Keep-alive connections to one server, as cheap as they can be: the generator shares its cores."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Done = Callable[[int, bytes, float], None]  # status (0 = no answer), body, time.perf_counter()


@dataclass(slots=True, eq=False)
class _Exchange:
    message: bytes
    done: Done
    again: bool = True  # may be sent once more, where a connection was closed between requests


class Client:
    """Sends requests at once, over as many connections as are busy, up to `most`; beyond, requests
    wait here, which `waited` counts. Must be used inside a running event loop.

    A request that met a connection which the server had closed meanwhile is sent once more on
    another one; `resent` counts those. Needs the extra `serve` (httptools).
    """

    def __init__(
        self, host: str, port: int, *, token: str | None = None, most: int = 1_000
    ) -> None:
        try:
            import httptools
        except ImportError as error:
            raise ImportError("traffic needs httptools: pip install 'longplay[serve]'") from error
        self._parser: Callable[[Any], Any] = httptools.HttpResponseParser
        self._host, self._port, self._most = host, port, most
        bearer = "" if token is None else f"Authorization: Bearer {token}\r\n"
        self._head = (
            f"HTTP/1.1\r\nHost: {host}:{port}\r\n{bearer}"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()
        self._free: list[_Connection] = []  # the last one used is taken first
        self._open = 0  # connections, those that are being made among them
        self._waiting = deque[_Exchange]()
        self._making = set[asyncio.Task[None]]()
        self.in_flight = self.waited = self.resent = 0
        self.closed = False

    def post(self, path: str, body: bytes, done: Done) -> None:
        """Send a request now; `done` is called once, with its answer or with status 0."""
        message = b"POST %b %b%d\r\n\r\n%b" % (path.encode(), self._head, len(body), body)
        self.in_flight += 1
        self._give(_Exchange(message, done))

    def close(self) -> None:
        """Close all connections; what is not answered is done with status 0."""
        self.closed = True
        for task in self._making:
            task.cancel()
        for connection in self._free:
            connection.close()

    def _give(self, exchange: _Exchange) -> None:
        while self._free:
            connection = self._free.pop()
            if connection.alive:
                connection.send(exchange)
                return
        self._waiting.append(exchange)
        self._connect()

    def _connect(self) -> None:
        if self._open >= self._most:
            self.waited += 1
            return
        self._open += 1
        task = asyncio.get_running_loop().create_task(self._made())
        self._making.add(task)
        task.add_done_callback(self._making.discard)

    async def _made(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: _Connection(self, self._parser), self._host, self._port
            )
        except OSError:
            self._open -= 1
            if self._waiting:
                self.finish(self._waiting.popleft(), 0, b"")
            if self._waiting and self._open < self._most:
                self._connect()

    def ready(self, connection: _Connection) -> None:
        """The connection has nothing to do."""
        if self._waiting:
            connection.send(self._waiting.popleft())
        elif self.closed:
            connection.close()
        else:
            self._free.append(connection)

    def lost(self, exchange: _Exchange | None, again: bool) -> None:
        """A connection is gone, and with it what it was sent."""
        self._open -= 1
        if exchange is not None and again and exchange.again and not self.closed:
            exchange.again = False
            self.resent += 1
            self._give(exchange)
        elif exchange is not None:
            self.finish(exchange, 0, b"")
        if self._waiting and self._open < self._most and not self.closed:
            self._connect()

    def finish(self, exchange: _Exchange, status: int, body: bytes) -> None:
        """An exchange is over."""
        self.in_flight -= 1
        exchange.done(status, body, time.perf_counter())


class _Connection(asyncio.Protocol):
    """One request at a time."""

    def __init__(self, client: Client, parser: Callable[[Any], Any]) -> None:
        self._client, self._parser = client, parser(self)
        self._exchange: _Exchange | None = None
        self._body = b""
        self._used, self._answering = False, False
        self.alive = True

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._client.ready(self)

    def send(self, exchange: _Exchange) -> None:
        self._exchange, self._body, self._answering = exchange, b"", False
        self._transport.write(exchange.message)

    def close(self) -> None:
        self.alive = False
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        import httptools

        self._answering = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        exchange, self._exchange = self._exchange, None
        status = self._parser.get_status_code()
        self._used = True
        if not self._parser.should_keep_alive():
            self.close()
        if exchange is not None:
            self._client.finish(exchange, status, self._body)
        if self.alive:
            self._client.ready(self)

    def connection_lost(self, error: Exception | None) -> None:
        self.alive = False
        exchange, self._exchange = self._exchange, None
        self._client.lost(exchange, again=self._used and not self._answering)
