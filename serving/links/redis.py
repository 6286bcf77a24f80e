"""One connection to a Redis or Valkey server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from typing import Any

from policies.validation import POSITIVE
from serving.links.pause import Pause
from serving.links.urls import server_of, shown

try:
    import redis
    from redis import ResponseError
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError as error:
    raise ImportError(
        "a redis:// URL needs the client of Redis: pip install 'longplay[redis]'"
    ) from error

__all__ = ["ERRORS", "RedisLink", "ResponseError", "Script", "Word"]
SCHEMES = ("redis", "rediss")
ERRORS = (redis.RedisError, OSError)  # all that a link raises
Word = bytes | str | int | float


class Script:
    """A Lua script: the server runs it as a whole, and knows it by its hash."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


class RedisLink:
    """A connection that is made when it is needed, and again after it broke; threads wait for each
    other.

    timeout: seconds for connecting and for each reply; then the connection is dropped, and the
        server may still do what it was told.
    pause: seconds after such a failure in which commands fail at once.

    Raises ValueError for a URL that is none. Nothing is sent twice by itself.
    """

    def __init__(self, url: str, *, timeout: float, pause: float) -> None:
        POSITIVE.check("timeout", timeout)
        self.url, self.name = server_of(url, SCHEMES)
        self.timeout, self.connections = timeout, 0  # how often one was made
        self._pool = redis.ConnectionPool.from_url(
            self.url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        self._connection: Any = self._pool.make_connection()
        self._lock, self._pause = threading.RLock(), Pause(pause)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({shown(self.url)!r}, name={self.name!r})"

    def command(self, *words: Word) -> Any:
        """The reply to a command; bytes stay bytes. Raises redis.ResponseError for an error that
        the server replied, and another one of ERRORS where its fate is not known."""
        with self._lock:
            self._pause.check()
            try:
                self._connect()
                self._connection.send_command(*words)
                return self._connection.read_response()
            except ResponseError:
                raise  # the connection is as it should be
            except BaseException:
                self._connection.disconnect()
                self._pause.begin()
                raise

    def run(self, script: Script, keys: Sequence[Word], values: Sequence[Word]) -> Any:
        """The reply of a script to its keys and values."""
        words = (len(keys), *keys, *values)
        with self._lock:
            try:
                return self.command("EVALSHA", script.sha, *words)
            except redis.exceptions.NoScriptError:  # a new server, or its scripts were flushed
                return self.command("EVAL", script.text, *words)

    def another(self) -> Any:
        """A connection beside this one, which its user closes."""
        return self._pool.make_connection()

    def close(self) -> None:
        """Drop the connection; a later command makes a new one."""
        with self._lock:
            self._connection.disconnect()

    def _connect(self) -> None:
        if self._connection.is_connected and self._gone():
            self._connection.disconnect()
        if not self._connection.is_connected:
            self._connection.connect()
            self.connections += 1

    def _gone(self) -> bool:
        """Whether the server closed the connection while nothing was asked."""
        try:
            said: bool = self._connection.can_read()
        except redis.ConnectionError:
            return True
        return said  # to no question of ours
