"""A user is forgotten: in the session store, and in the event log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from serving.contracts.fields import parse_json, text
from serving.engine import Engine
from serving.events.log import REMOVED, Erasable
from serving.events.reading import START
from serving.keys import Keys
from serving.sessions.store import SessionStore

JOINED = (
    "Not touched: decision logs that were joined before, and copies. There the column user is {key}"
)
OTHERS = (
    "The log was written under another secret {n} times of {all}: what it holds of the user from "
    "then has another key and is still there. Do this again with that secret (LONGPLAY_SECRET or "
    "--secret-file)"
)
LEFT = (
    "{n} events of the user are still there, in what {writers} writes to at this moment: let that "
    "process forget the user (POST /forget), or do this again later"
)


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What was removed, and what remains."""

    user: str  # keyed hash, by which joined logs know the user
    sessions: int | None  # users that the session store knew, 0 or 1; None = no store was named
    erased: Mapping[str, int] | None  # events by type; None = no event log was named
    remaining: Mapping[str, int]  # events by the writer that has them open
    starts: int = 0  # of a server, in the event log
    other_secrets: int = 0  # of these, under another secret: its events of the user are not found

    def to_json(self) -> dict[str, Any]:
        return asdict(self) | {"notes": list(self.notes())}

    def notes(self) -> tuple[str, ...]:
        """What a person has to know or do."""
        notes = [JOINED.format(key=self.user)]
        if self.other_secrets:
            notes.insert(0, OTHERS.format(n=self.other_secrets, all=self.starts))
        if self.remaining:
            writers = " and ".join(self.remaining)
            notes.insert(0, LEFT.format(n=sum(self.remaining.values()), writers=writers))
        return tuple(notes)

    def text(self) -> str:
        """Lines for a person."""
        told = []
        if self.sessions is not None:
            told.append(f"sessions: {'removed' if self.sessions else 'nothing was known'}")
        if self.erased is not None:
            by_type = ", ".join(f"{kind} {n:,}" for kind, n in sorted(self.erased.items()))
            told.append(f"events erased: {sum(self.erased.values()):,} ({by_type or 'none'})")
        return "\n".join([*told, *self.notes()])


def forget(
    user: str,
    *,
    keys: Keys,
    events: Erasable | None = None,
    sessions: SessionStore | None = None,
) -> Forgotten:
    """Remove a user, by the caller's id, from a session store and from what an event log has
    sealed; done again, it removes what has come since. A session store in a server's memory is
    reached by `forget_served` in its process alone.

    Raises ContractError for an id that is none, and what the log or the store raises.
    """
    key = keys.user(text("user", user))
    known = None if sessions is None else sessions.forget([key])
    return _erased(keys, key, known, events)


def forget_served(engine: Engine, user: str) -> Forgotten:
    """The same in the process of an engine: its open segment is sealed and rewritten, too."""
    known = engine.forget(text("user", user))
    return _erased(engine.keys, engine.keys.user(user), known, engine.events)


def _erased(keys: Keys, key: str, sessions: int | None, events: Erasable | None) -> Forgotten:
    if events is None:
        return Forgotten(key, sessions, None, {})
    is_theirs, erased, starts = _of_user(key), Counter[str](), list[str]()

    def matches(event: bytes) -> bool:
        if START in event[:64]:
            starts.append(str(parse_json(event).get("keyed_by", "")))
        found = is_theirs(event)
        if found:
            erased[str(parse_json(event).get("type"))] += 1
        return found

    events.erase(matches)
    remaining = Counter(
        writer
        for writer in events.writers()
        for entry in events.read(writer)
        if entry.event != REMOVED and is_theirs(entry.event)
    )
    others = sum(keyed_by not in ("", keys.fingerprint) for keyed_by in starts)
    return Forgotten(key, sessions, dict(erased), dict(remaining), len(starts), others)


def _of_user(key: str) -> Callable[[bytes], bool]:
    """Whether an event's user has the key; JSON is read only where the key stands in it."""
    written = key.encode()
    return lambda event: written in event and parse_json(event).get("user") == key
