"""An engine that serves what a registry says."""

from __future__ import annotations

import time
from collections.abc import Callable

from serving.engine import Engine
from serving.events.log import EventLog
from serving.registry.registry import Registry
from serving.sessions.store import SessionStore


def open_engine(
    registry: Registry,
    events: EventLog,
    sessions: SessionStore | None = None,
    *,
    version: str = "live",
    tables: bool = True,
    clock: Callable[[], float] = time.time,
) -> Engine:
    """An engine of the registry's live version, or of another one, loaded, checked and warm. With
    `Watcher(registry, engine).start()` it follows the registry; `engine.announce()` says in the
    event log what it serves, so that the log can be joined by itself.

        registry = Registry("registry")
        version = registry.add("saved/softmax", catalogue=Catalogue.from_file("items.txt"))
        registry.promote(version, why="the first one")
        engine = open_engine(registry, SegmentLog("events"))
        decision = engine.decide(Request(request_id="r1", user="ann", session="s1"))

    Raises what `Registry.load` raises.
    """
    release = registry.load(version)
    return Engine(
        release.policy,
        release.catalogue,
        version=release.version,
        sha256=release.sha256,
        secret=registry.secret(),
        events=events,
        sessions=sessions,
        retrieval=release.retrieval,
        fallback=release.fallback,
        tables=tables,
        clock=clock,
    )
