"""Event logs by folder or URL."""

from __future__ import annotations

from serving.events.log import EventLog
from serving.events.segments import SegmentLog


def open_events(where: str, *, writer: str = "main") -> EventLog:
    """In a folder, or on the server of redis://[[user]:password@]host[:port][/database][?name=NAME]
    or nats://[[user]:password@]host[:port][?name=NAME] (rediss://, tls:// with TLS).

    Raises ValueError for another URL or a writer that is none, EventLogError where the log cannot
    be opened or another process writes in the writer's name, and ImportError, which names the
    extra, where the client is not installed.
    """
    scheme, separator, _ = where.partition("://")
    if not separator:
        return SegmentLog(where, writer=writer)
    if scheme in ("nats", "tls"):
        from serving.events.nats import NatsLog

        return NatsLog(where, writer=writer)
    from serving.events.redis_streams import RedisLog

    return RedisLog(where, writer=writer)
