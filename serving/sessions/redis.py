"""Sessions on a Redis or Valkey server, which several processes share (extra `redis`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import numpy as np

from policies.validation import COUNT, POSITIVE
from serving.links.redis import RedisLink, Word
from serving.sessions.memory import DECISIONS, REQUESTS, SESSIONS
from serving.sessions.redis_scripts import APPLY, FORGET, OPEN, PEEK
from serving.sessions.store import F32, I32, Known, Seen, Taken, Visit

LONGEST = 10**14  # ms, of what a server counts as a time to live


class RedisSessions:
    """The limits of MemorySessions, kept by the server: a batch is one script in one round trip,
    and nothing of another process comes between.

    url: redis://[[user]:password@]host[:port][/database][?name=NAME]; all keys begin with NAME.
        Keys are the keyed hashes of users, and values hold no other id of a user.
    timeout, pause: seconds to wait for a reply; and after one that did not come, seconds in which
        calls fail at once. A call that failed may have been done: sent again, it counts once.

    Raises ValueError for a URL or limit that is none; the methods raise redis.RedisError and
    OSError (also its ConnectionError) while the server is away, and go on once it is back. What a
    restarted server remembers is by its own settings: users it lost begin anew, or `replay` tells
    it. One server, or one with replicas; a cluster's keys are in several places.
    """

    def __init__(
        self,
        url: str,
        *,
        ttl: float = 86_400.0,
        most: int = 1_000_000,
        length: int = 256,
        idle: float = 1_800.0,
        timeout: float = 0.5,
        pause: float = 0.5,
    ) -> None:
        POSITIVE.check("ttl", ttl)
        POSITIVE.check("idle", idle)
        COUNT.check("most", most)
        COUNT.check("length", length)
        self.ttl, self.most, self.length, self.idle = ttl, most, length, idle
        self._link = RedisLink(url, timeout=timeout, pause=pause)
        self._users = f"{self._link.name}:users"
        expires = min(math.ceil(1e3 * ttl), LONGEST)
        self._limits: tuple[Word, ...] = (repr(float(ttl)), expires, length, most)

    def __repr__(self) -> str:
        return f"RedisSessions({self._link!r})"

    def open(self, visits: Sequence[Visit], now: float) -> list[Seen]:
        values: list[Word] = [repr(float(now)), *self._limits, self.idle, REQUESTS, SESSIONS]
        for visit in visits:
            step = "" if visit.step is None else int(visit.step)
            values += (visit.session, visit.request_id, _short(visit.request_id), step)
            values += (visit.began or "", *self._packed(visit.items, visit.responses))
        users = [visit.user for visit in visits]
        seen = self._link.run(OPEN, self._keys(users), values) if users else []
        return [_seen(one, visit) for one, visit in zip(seen, visits, strict=True)]

    def apply(self, taken: Sequence[Taken], now: float) -> int:
        values: list[Word] = [repr(float(now)), *self._limits, DECISIONS]
        for one in taken:
            item = np.array([one.item], "<i4").tobytes()
            values += (_short(one.decision_id), item, np.array(one.responses, "<f4").tobytes())
        users = [one.user for one in taken]
        return int(self._link.run(APPLY, self._keys(users), values)) if users else 0

    def peek(self, users: Sequence[str]) -> list[Known | None]:
        known = self._link.run(PEEK, self._keys(users)[1:], ())
        return [None if one[2] is None else _known(one) for one in known]

    def forget(self, users: Sequence[str]) -> int:
        return int(self._link.run(FORGET, self._keys(users), ()))

    def close(self) -> None:
        """Drop the connection; a later call makes a new one."""
        self._link.close()

    def _keys(self, users: Sequence[str]) -> list[Word]:
        return [self._users, *(f"{self._link.name}:user:{user}" for user in users)]

    def _packed(self, items: I32, responses: F32) -> tuple[Word, ...]:
        """A given history as the server keeps it, its version and R."""
        if not len(items):
            return b"", b"", 0, responses.shape[1]
        ids = items[-self.length :].astype("<i4").tobytes()
        observed = responses[-self.length :].astype("<f4").tobytes()
        return ids, observed, len(items), responses.shape[1]


def _short(name: str) -> bytes:
    """8 bytes for the id of a request or decision: among the few hundred of a user, two that share
    theirs are not to be expected in 10^14 users."""
    return blake2b(name.encode(), digest_size=8).digest()


def _seen(reply: list[Any], visit: Visit) -> Seen:
    items, observed, version, updated, step, began = reply
    width = visit.responses.shape[1]
    known = _known([items, observed, version, updated, width])
    return Seen(*known, step, began.decode())


def _known(reply: list[Any]) -> Known:
    """From bytes of items and responses, the version, the time of the last change, and R."""
    items, observed, version, updated, width = reply
    responses = np.frombuffer(observed, "<f4").reshape(len(items) // 4, int(width))
    at = None if updated is None else float(updated)
    return Known(np.frombuffer(items, "<i4"), responses, int(version), at)
