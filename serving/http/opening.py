"""A service of what a registry says: engine, event log, sessions, metrics, and a watcher."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from serving.answers import rules_of
from serving.engine import Engine
from serving.events.opening import open_events
from serving.explaining.explain import explain
from serving.hashes import rules_hash
from serving.http.limits import Limits
from serving.http.service import Service
from serving.metrics.metrics import Metrics
from serving.metrics.state import State
from serving.page.files import page_files
from serving.privacy.forgetting import forget_served
from serving.registry.memory import resident
from serving.registry.opening import open_engine
from serving.registry.registry import Registry
from serving.registry.watching import Watcher
from serving.restarting.reading import READ_BACK, read_back_log
from serving.restarting.writing import SnapshotWriter, snapshots_of
from serving.sessions.memory import MemorySessions
from serving.sessions.opening import open_sessions
from serving.sessions.restoring import Restored
from serving.signals.board import board_of

Body = dict[str, Any]
logger = logging.getLogger("serving")


def open_service(
    registry: Registry,
    events: str,
    *,
    sessions: str | None = None,
    writer: str = "main",
    idle: float = 1_800.0,
    read_back: float = READ_BACK,
    limits: Limits | None = None,
    token: str | None = None,
    max_steps: int | None = None,
    poll: float = 1.0,
) -> Service:
    """Load the registry's live version and make everything ready to be served; the service follows
    the registry's pointer.

    events, sessions: a folder or URL, and a URL, as `open_events` and `open_sessions` take them.
    idle: after so many seconds a session begins anew. read_back: for about so many seconds the end
        of the event log is read, sessions in memory are restored from it, and requests of it that
        are sent again are answered as before.
    limits, token, max_steps: as Service takes them. poll: s between looks at the registry.

    Raises what these raise; then everything is closed again.
    """
    log = open_events(events, writer=writer)
    try:
        store = open_sessions(sessions, idle=idle)
        engine = open_engine(registry, log, store)
        own = store if isinstance(store, MemorySessions) else None
        restored = read_back_log(engine, log, own, read_back, idle)
        watcher = Watcher(registry, engine, poll=poll, max_steps=max_steps)
        watcher.check()  # users of a rollout keep their arms over a restart
        snapshots = None if own is None else snapshots_of(engine, own, restored)
    except BaseException:
        log.close()
        raise
    return service_of(
        engine,
        registry,
        watcher,
        limits=limits,
        token=token,
        max_steps=max_steps,
        restored=restored,
        snapshots=snapshots,
    )


def service_of(
    engine: Engine,
    registry: Registry,
    watcher: Watcher,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    max_steps: int | None = None,
    restored: Restored | None = None,
    snapshots: SnapshotWriter | None = None,
) -> Service:
    """A service that explains, counts, follows the registry by its watcher, and writes snapshots
    of its sessions; its status says what was `restored` at the start."""
    metrics = Metrics(clock=engine.clock)

    def asked(body: Body) -> Body:
        return explain(
            engine, body, load=lambda version: registry.load(version, warmed=False).policy
        ).to_json()

    def status() -> Mapping[str, Any]:
        versions = [version.version for version in registry.versions()]
        found = None if restored is None else restored.to_json()
        watched = watcher.status()
        return {
            "versions": versions,
            "since": watched.since,
            "restored": found,
            "error": watched.error,
            "board": board_of(metrics, registry),
        }

    service = Service(
        engine,
        limits=limits,
        token=token,
        max_steps=max_steps,
        metrics=metrics,
        explain=asked,
        forget=lambda user: forget_served(engine, user).to_json(),
        page=page_files(),
        status=status,
        beside=(watcher,) if snapshots is None else (watcher, snapshots),
    )

    def state() -> State:
        watched = watcher.status()
        return State(
            policy=engine.version,
            sha256=engine.sha256,
            since=watched.since,
            rules=rules_hash(rules_of(engine.policy)),
            writer=engine.events.writer,
            number=engine.last_number,
            queue=len(service.worker.queue),
            swaps=watched.swaps,
            load_failures=watched.failures,
            unfollowed=watched.error is not None,
            memory=resident(),
        )

    metrics.state = state
    return service
