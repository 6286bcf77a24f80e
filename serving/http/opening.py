"""A service of what a registry says: engine, event log, sessions, metrics, and a watcher."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from serving.answers import rules_of
from serving.contracts.decisions import Decision
from serving.engine import Engine
from serving.events.log import EventLog
from serving.events.opening import open_events
from serving.events.reading import in_order
from serving.explaining.explain import explain
from serving.hashes import rules_hash
from serving.http.limits import Limits
from serving.http.service import Service
from serving.metrics.metrics import Metrics
from serving.metrics.state import State
from serving.page.files import page_files
from serving.privacy.forgetting import forget_served
from serving.registry.opening import open_engine
from serving.registry.registry import Registry
from serving.registry.watching import Watcher
from serving.sessions.opening import open_sessions
from serving.sessions.replay import replay
from serving.sessions.restorable import restorable
from serving.sessions.store import SessionStore

Body = dict[str, Any]
READ_BACK = 50_000  # events of each writer
ITEMS = (
    "the event log has decisions of another catalogue or other responses: their histories are not "
    "restored, and these users begin anew"
)
SERVER = (
    "; but the server of sessions still holds their items by the old numbers: give --sessions a "
    "URL with another ?name= at this restart"
)
SECRET = (
    "the event log has users under another secret (LONGPLAY_SECRET, or the registry's): every one "
    "of them is new, and to forget one takes the old secret, too"
)
logger = logging.getLogger("serving")


def open_service(
    registry: Registry,
    events: str,
    *,
    sessions: str | None = None,
    writer: str = "main",
    idle: float = 1_800.0,
    read_back: int = READ_BACK,
    limits: Limits | None = None,
    token: str | None = None,
    max_steps: int | None = None,
    poll: float = 1.0,
) -> Service:
    """Load the registry's live version and make everything ready to be served; the service follows
    the registry's pointer.

    events, sessions: a folder or URL, and a URL, as `open_events` and `open_sessions` take them.
    idle: after so many seconds a session begins anew. read_back: sessions in memory are restored
        from so many of the last events of each writer, and requests among these that are sent again
        are answered as before.
    limits, token, max_steps: as Service takes them. poll: s between looks at the registry.

    Raises what these raise; then everything is closed again.
    """
    log = open_events(events, writer=writer)
    try:
        store = open_sessions(sessions, idle=idle)
        engine = open_engine(registry, log, store)
        restore(engine, log, store if sessions is None else None, read_back)
        watcher = Watcher(registry, engine, poll=poll, max_steps=max_steps)
    except BaseException:
        log.close()
        raise
    return service_of(engine, registry, watcher, limits=limits, token=token, max_steps=max_steps)


def restore(engine: Engine, log: EventLog, store: SessionStore | None, most: int) -> int:
    """Put what the last `most` events of each writer say into an empty store, and let requests that
    are sent again be answered as before; the latter alone where the store (None) is a server's own.
    Returns the number of events. Those of another catalogue or secret are left out, with a warning.
    """
    last = {writer: max(-1, log.last(writer) - most) for writer in log.writers()}
    names = engine.serving.response_names
    found = restorable(
        log,
        last,
        names=engine.catalogue.names,
        response_names=names,
        keyed_by=engine.keys.fingerprint,
    )
    if found.items:
        logger.warning(ITEMS if store is not None else ITEMS + SERVER)
    if found.secret:
        logger.warning(SECRET)
    if store is not None:
        return replay(log, store, responses=len(names), after=found.after, recall=engine.recall)
    n = 0
    for event in in_order(log, found.after):
        n += 1
        if isinstance(event, Decision):
            engine.recall(event)
    return n


def service_of(
    engine: Engine,
    registry: Registry,
    watcher: Watcher,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    max_steps: int | None = None,
) -> Service:
    """A service that explains, counts, and follows the registry by its watcher."""
    metrics = Metrics(clock=engine.clock)

    def asked(body: Body) -> Body:
        return explain(
            engine, body, load=lambda version: registry.load(version, warmed=False).policy
        ).to_json()

    def status() -> Mapping[str, Any]:
        versions = [version.version for version in registry.versions()]
        return {"versions": versions, "since": watcher.status().since}

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
        beside=watcher,
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
        )

    metrics.state = state
    return service
