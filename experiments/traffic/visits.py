"""What users will do: who asks at each due time, and what will come of what is shown to them.

All of it is drawn before the first request is sent, from one seed.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from experiments.traffic.schedule import F64
from policies.validation import COUNT, POSITIVE, SHARE

I64 = NDArray[np.int64]
Bool = NDArray[np.bool_]
WAITS = 20.0  # times as long as others: a late outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """Users and what they do. Sessions have geometric lengths; in all of them one request follows
    another after `think` seconds on average. Raises ValueError for what cannot be."""

    users: int = 20_000
    think: float = 2.0  # s between two requests of a session
    session_length: float = 10.0  # requests, on average
    taken: float = 0.6  # share of slates of which an item is taken
    liked: float = 0.3  # share of items taken that are liked
    delay: float = 0.5  # s from the answer to its outcomes, on average (exponential)
    late: float = 0.01  # share of outcomes that take twenty times as long
    duplicates: float = 0.02  # share of outcomes that are sent twice

    def __post_init__(self) -> None:
        COUNT.check("users", self.users)
        POSITIVE.check("think", self.think)
        POSITIVE.check("delay", self.delay)
        for name in ("taken", "liked", "late", "duplicates"):
            SHARE.check(name, getattr(self, name))
        if not self.session_length >= 1:
            raise ValueError(f"session_length must be at least 1, got {self.session_length}")


@dataclass(frozen=True, slots=True, eq=False)
class Visits:
    """N requests in the order in which they are due."""

    due: F64  # (N,) s
    user: I64  # (N,)
    session: I64  # (N,) numbered as they begin
    step: I64  # (N,) of the session
    last: Bool  # (N,) the user leaves after it

    def __len__(self) -> int:
        return len(self.due)


@dataclass(frozen=True, slots=True, eq=False)
class Reactions:
    """What will come of each answer."""

    taken: Bool  # (N,)
    place: I64  # (N,) of the item that is taken, the upper ones more often
    liked: Bool  # (N,)
    value: F64  # (N,) 0..1, of all responses to the item
    delay: F64  # (N,) s from the answer
    again: F64  # (N,) s from there until the same is sent once more; NaN = it is not


def visits_at(due: F64, behaviour: Behaviour, rng: np.random.Generator) -> Visits:
    """Users take turns, as many as ask within `think` seconds; who leaves makes room for one of
    the others, drawn uniformly."""
    n = len(due)
    span = max(float(due[-1] - due[0]), 1e-9) if n else 1.0
    active = min(max(1, round(behaviour.think * n / span)), behaviour.users, max(n, 1))
    leaves = rng.random(n) < 1 / behaviour.session_length
    draws = rng.integers(behaviour.users, size=n + active)
    here = set[int]()
    turns = deque[tuple[int, int, int]]()
    begun = 0

    def begin() -> tuple[int, int, int]:
        nonlocal begun
        user = int(draws[begun])
        while user in here:
            user = (user + 1) % behaviour.users
        here.add(user)
        begun += 1
        return user, begun - 1, 0

    rows = np.empty((n, 3), np.int64)
    for i in range(n):
        user, session, step = turns.popleft() if i >= active else begin()
        rows[i] = user, session, step
        if leaves[i]:
            here.discard(user)
            turns.append(begin())
        else:
            turns.append((user, session, step + 1))
    return Visits(due, rows[:, 0], rows[:, 1], rows[:, 2], leaves)


def reactions_to(
    n: int, slate_size: int, behaviour: Behaviour, rng: np.random.Generator
) -> Reactions:
    """Draw what comes of N answers; place p is taken in proportion to 1 / (1 + p)."""
    chance = 1 / np.arange(1, slate_size + 1)
    taken = rng.random(n) < behaviour.taken
    slow = np.where(rng.random(n) < behaviour.late, WAITS, 1.0)
    twice = rng.random(n) < behaviour.duplicates
    return Reactions(
        taken=taken,
        place=rng.choice(slate_size, size=n, p=chance / chance.sum()),
        liked=taken & (rng.random(n) < behaviour.liked),
        value=np.round(rng.random(n), 3),
        delay=rng.exponential(behaviour.delay, n) * slow,
        again=np.where(twice, rng.exponential(behaviour.delay, n), np.nan),
    )
