"""A service of what a registry says: engine, event log, sessions, metrics, and a watcher."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from serving.answers import rules_of
from serving.engine import Engine
from serving.events.log import EventLog
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
from serving.sessions.memory import MemorySessions
from serving.sessions.opening import open_sessions
from serving.sessions.restorable import Meaning
from serving.sessions.restoring import Restored, restore

Body = dict[str, Any]
READ_BACK = 5.0  # s
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
    )


def read_back_log(
    engine: Engine, log: EventLog, store: MemorySessions | None, seconds: float, idle: float
) -> Restored:
    """Put what the event log says of the time for which an empty store remembers users into it, or
    as much of it as is read in `seconds`, and let requests that are sent again be answered as
    before; the latter alone, for `idle` seconds, where the store (None) is a server's own. Warns
    where it is not all, and where events of another catalogue or secret are left out."""
    now, names = engine.clock(), engine.serving.response_names
    lasts = idle if store is None else store.ttl
    restored = restore(
        log,
        store,
        responses=len(names),
        since=now - lasts,
        seconds=seconds,
        meaning=Meaning(engine.catalogue.names, names, engine.keys.fingerprint),
        recall=engine.recall_event,
    )
    if restored.left_out.items:
        logger.warning(ITEMS if store is not None else ITEMS + SERVER)
    if restored.left_out.secret:
        logger.warning(SECRET)
    if store is not None and restored.since is not None and not restored.whole:
        logger.warning(
            "sessions are restored from the last %.0f s of the event log, %d events, and users are "
            "remembered for %.0f s: histories lack what was taken before; give read_back more than "
            "%g s, or keep sessions on Redis",
            now - restored.since,
            restored.events,
            lasts,
            seconds,
        )
    return restored


def service_of(
    engine: Engine,
    registry: Registry,
    watcher: Watcher,
    *,
    limits: Limits | None = None,
    token: str | None = None,
    max_steps: int | None = None,
    restored: Restored | None = None,
) -> Service:
    """A service that explains, counts, and follows the registry by its watcher; its status says
    what was `restored` at the start."""
    metrics = Metrics(clock=engine.clock)

    def asked(body: Body) -> Body:
        return explain(
            engine, body, load=lambda version: registry.load(version, warmed=False).policy
        ).to_json()

    def status() -> Mapping[str, Any]:
        versions = [version.version for version in registry.versions()]
        found = None if restored is None else restored._asdict()
        return {"versions": versions, "since": watcher.status().since, "restored": found}

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
            unfollowed=watched.error is not None,
            memory=resident(),
        )

    metrics.state = state
    return service
