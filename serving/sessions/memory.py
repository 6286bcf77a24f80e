"""Sessions in the memory of one process."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from policies.validation import COUNT, POSITIVE
from serving.sessions.store import F32, I32, Known, Seen, Taken, Visit

REQUESTS = 16  # of a session, whose steps are remembered: a retry comes soon
SESSIONS = 8  # of a user that are open at a time
DECISIONS = 256  # of a user, of which it is remembered that an item was taken

T = TypeVar("T")


@dataclass(slots=True)
class UserSession:
    """One session of a user."""

    began: str  # request_id of its step 0
    last: float  # s, of the last request
    steps: int = 0
    of_request: dict[str, int] = field(default_factory=dict)  # of the last requests, oldest first

    def step(self, visit: Visit, now: float) -> int:
        self.last = max(now, self.last)
        if visit.request_id not in self.of_request:
            step = self.steps if visit.step is None else visit.step
            self.of_request[visit.request_id] = step
            self.steps = max(self.steps, step + 1)
            _forget(self.of_request, REQUESTS)
        return self.of_request[visit.request_id]


@dataclass(slots=True)
class User:
    """All that is remembered of one."""

    items: I32  # (n,) oldest first
    responses: F32  # (n, R)
    version: int  # items ever taken
    touched: float  # s, of the last request or outcome
    updated: float | None = None  # s, when the history last changed
    sessions: dict[str, UserSession] = field(default_factory=dict)  # the last one used stands last
    taken: dict[str, None] = field(default_factory=dict)  # decisions, oldest first

    def session(self, visit: Visit, now: float, idle: float) -> UserSession:
        found = self.sessions.pop(visit.session, None)
        goes_on = found is not None and (
            now <= found.last + idle or visit.request_id in found.of_request
            if visit.began is None
            else visit.began == found.began
        )
        if found is None or not goes_on:
            found = UserSession(visit.began or visit.request_id, now)
        self.sessions[visit.session] = found  # the last one used stands last
        _forget(self.sessions, SESSIONS)
        return found


class MemorySessions:
    """Users are forgotten `ttl` seconds after their last request or outcome, and the ones longest
    unseen when there are more than `most`. `length` items of each history are kept. A session
    without a request for `idle` seconds begins anew. Threads wait for each other.

    Raises ValueError for a limit that is not above 0.
    """

    def __init__(
        self,
        *,
        ttl: float = 86_400.0,
        most: int = 1_000_000,
        length: int = 256,
        idle: float = 1_800.0,
    ) -> None:
        POSITIVE.check("ttl", ttl)
        POSITIVE.check("idle", idle)
        COUNT.check("most", most)
        COUNT.check("length", length)
        self.ttl, self.most, self.length, self.idle = ttl, most, length, idle
        self._lock = threading.Lock()
        self._users: OrderedDict[str, User] = OrderedDict()  # the last one seen stands last

    def __len__(self) -> int:
        return len(self._users)

    def open(self, visits: Sequence[Visit], now: float) -> list[Seen]:
        with self._lock:
            self._expire(now)
            return [self._open(visit, now) for visit in visits]

    def apply(self, taken: Sequence[Taken], now: float) -> int:
        with self._lock:
            self._expire(now)
            return sum(self._apply(one, now) for one in taken)

    def peek(self, users: Sequence[str]) -> list[Known | None]:
        with self._lock:
            return [_known(self._users.get(user)) for user in users]

    def forget(self, users: Sequence[str]) -> int:
        with self._lock:
            return sum(self._users.pop(user, None) is not None for user in users)

    def names(self) -> list[str]:
        """Everybody who is remembered, the one longest unseen first."""
        with self._lock:
            return [*self._users]

    def read(self, users: Sequence[str], work: Callable[[dict[str, User]], T]) -> T:
        """What `work` makes of those of the users who are remembered; it changes nothing, and
        nothing changes meanwhile."""
        with self._lock:
            found = ((name, self._users.get(name)) for name in users)
            return work({name: user for name, user in found if user is not None})

    def put(self, users: Mapping[str, User]) -> None:
        """Remember these users, who were seen later than all others."""
        with self._lock:
            for name, user in users.items():
                user.items = user.items[-self.length :]
                user.responses = user.responses[-self.length :]
                self._users.pop(name, None)
                self._users[name] = user
            _forget(self._users, self.most)

    def _open(self, visit: Visit, now: float) -> Seen:
        user = self._user(visit.user, visit.items, visit.responses, now)
        session = user.session(visit, now, self.idle)
        step = session.step(visit, now)
        return Seen(user.items, user.responses, user.version, user.updated, step, session.began)

    def _apply(self, one: Taken, now: float) -> bool:
        responses = np.array([one.responses], np.float32)
        user = self._user(one.user, np.zeros(0, np.int32), responses[:0], now)
        if one.decision_id in user.taken:
            return False
        user.taken[one.decision_id] = None
        _forget(user.taken, DECISIONS)
        user.items = np.append(user.items, np.int32(one.item))[-self.length :]
        user.responses = np.concatenate([user.responses, responses])[-self.length :]
        user.version, user.updated = user.version + 1, now
        return True

    def _user(self, key: str, items: I32, responses: F32, now: float) -> User:
        user = self._users.get(key)
        if user is None:
            kept = items[-self.length :], responses[-self.length :]
            user = self._users[key] = User(*kept, version=len(items), touched=now)
            _forget(self._users, self.most)
        self._users.move_to_end(key)
        user.touched = max(now, user.touched)  # a clock may go back
        return user

    def _expire(self, now: float) -> None:
        while self._users and next(iter(self._users.values())).touched + self.ttl < now:
            self._users.popitem(last=False)


def _known(user: User | None) -> Known | None:
    return None if user is None else Known(user.items, user.responses, user.version, user.updated)


def _forget(entries: MutableMapping[str, Any], most: int) -> None:
    """The oldest entries beyond `most` go."""
    while len(entries) > most:
        del entries[next(iter(entries))]
