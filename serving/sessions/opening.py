"""Session stores by URL."""

from __future__ import annotations

from serving.sessions.memory import MemorySessions
from serving.sessions.store import SessionStore


def open_sessions(
    url: str | None = None,
    *,
    ttl: float = 86_400.0,
    most: int = 1_000_000,
    length: int = 256,
    idle: float = 1_800.0,
) -> SessionStore:
    """In the memory of this process without a URL, or on the server of
    redis://[[user]:password@]host[:port][/database][?name=NAME] (rediss:// with TLS), with the
    limits of MemorySessions. A server is first asked by the first request.

    Raises ValueError for another URL or a limit that is not above 0, and ImportError, which names
    the extra, where the client is not installed.
    """
    if url is None:
        return MemorySessions(ttl=ttl, most=most, length=length, idle=idle)
    from serving.sessions.redis import RedisSessions

    return RedisSessions(url, ttl=ttl, most=most, length=length, idle=idle)
