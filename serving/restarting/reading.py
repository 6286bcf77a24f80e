"""What a server knew before it was started again: from a snapshot, and from the event log."""

from __future__ import annotations

import logging
from pathlib import Path

from serving.contracts.fields import ContractError
from serving.engine import Engine
from serving.events.folder import SNAPSHOT
from serving.events.log import EventLog
from serving.events.segments import SegmentLog
from serving.sessions.memory import MemorySessions
from serving.sessions.restorable import Meaning
from serving.sessions.restoring import Restored, restore
from serving.sessions.snapshot import Snapshot, read_snapshot

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


def snapshot_file(log: EventLog) -> Path | None:
    """Where a log's writer keeps its snapshot: beside the events, so that whoever erases some of
    these removes it; None where the events are on a server."""
    return log.folder / f"{log.writer}{SNAPSHOT}" if isinstance(log, SegmentLog) else None


def meaning_of(engine: Engine) -> Meaning:
    """What numbers of items and keys of users mean now."""
    names = engine.serving.response_names
    return Meaning(engine.catalogue.names, names, engine.keys.fingerprint)


def read_back_log(
    engine: Engine, log: EventLog, store: MemorySessions | None, seconds: float, idle: float
) -> Restored:
    """Put what the event log says of the time for which an empty store remembers users into it, or
    as much of it as is read in `seconds`, and let requests that are sent again be answered as
    before; the latter alone, for `idle` seconds, where the store (None) is a server's own. Warns
    where it is not all, and where events of another catalogue or secret are left out."""
    now, meaning = engine.clock(), meaning_of(engine)
    lasts = idle if store is None else store.ttl
    restored = restore(
        log,
        store,
        responses=len(engine.serving.response_names),
        since=now - lasts,
        seconds=seconds,
        meaning=meaning,
        recall=engine.recall_event,
        snapshot=None if store is None else usable_snapshot(log, meaning),
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


def usable_snapshot(log: EventLog, meaning: Meaning) -> Snapshot | None:
    """The snapshot of a log's writer; None where there is none, or, with a warning, where it is
    damaged, of another catalogue or secret, or of more events than the log has."""
    file = snapshot_file(log)
    if file is None:
        return None
    try:
        found = read_snapshot(file)
    except ContractError as error:
        logger.warning("%s; sessions are restored from the event log alone", error)
        return None
    if found is None or found.header.meaning != meaning.fingerprint():
        return None  # what differs is said of the events
    if any(log.last(writer) < number for writer, number in found.after().items()):
        logger.warning("%s is of events that the log does not have; it is not used", file)
        return None
    return found
