"""Business rules about what may be shown: which items, and which slates.

`Banned` and `Repeats` close items for a user; `Cap` and `Quota` look at the slate as it grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from policies.base import Observation
from policies.sequential import Term, Walk

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


class Rule(Protocol):
    """What may be shown. Members are arrays over the catalogue (A,)."""

    @property
    def name(self) -> str: ...

    def closed(self, obs: Observation, items: I32) -> Bool:
        """(B, C) of candidates items (B, C) that must not be shown to the user at all."""

    def term(self, items: I32) -> Term | None:
        """What the rule says while a slate grows; None = nothing."""

    def broken(self, obs: Observation, slate: I32) -> I64:
        """(B,) how often a slate of item ids (B, K) breaks the rule, counted afresh from it."""

    def missing(self, slate: I32) -> I64:
        """(B,) places that the rule wanted and could not have."""


@dataclass(frozen=True, slots=True, eq=False)
class Banned:
    """Items that nobody may be shown."""

    name: str
    items: Bool  # (A,)

    def closed(self, obs: Observation, items: I32) -> Bool:
        return _of(self.items, items)

    def term(self, items: I32) -> None:
        return None

    def broken(self, obs: Observation, slate: I32) -> I64:
        return count(_of(self.items, slate))

    def missing(self, slate: I32) -> I64:
        return np.zeros(len(slate), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """No item of a group that the user's history holds `times` times or more.

    Groups of one item each and times = 1: nothing is shown again. Larger: a frequency cap.
    Where fewer than `spare` candidates would stay open, those last met longest ago open again.
    """

    name: str
    group: I32  # (A,)
    times: int = 1
    spare: int = 0

    def closed(self, obs: Observation, items: I32) -> Bool:
        met, last = self._met(obs, items)
        closed = met >= self.times
        if self.spare:
            usable = items >= 0 if obs.eligible is None else (items >= 0) & obs.eligible
            _reopen(closed, usable, last, self.spare)
        return closed

    def _met(self, obs: Observation, items: I32) -> tuple[I32, I32]:
        """(B, C) how often the history holds an item's group, and the place of its last event."""
        seen = obs.history_items  # (B, H)
        past = np.where(seen >= 0, self.group[np.maximum(seen, 0)], -1)
        now = np.where(items >= 0, self.group[np.maximum(items, 0)], -2)
        met, last = np.zeros((2, *items.shape), np.int32)
        for place, event in enumerate(past.T):  # H comparisons of (B, C), never (B, C, H)
            same = now == event[:, None]
            met += same
            if self.spare:
                last[same] = place
        return met, last

    def term(self, items: I32) -> None:
        return None

    def broken(self, obs: Observation, slate: I32) -> I64:
        if not self.spare:
            return count(self.closed(obs, slate))
        offer = offered(obs, len(self.group))  # what opens again depends on all that is offered
        closed = self.closed(obs, offer)
        shown = (((offer == item[:, None]) & closed).any(axis=1) for item in slate.T)
        return count(np.stack([*shown], axis=1) & (slate >= 0))

    def missing(self, slate: I32) -> I64:
        return np.zeros(len(slate), np.int64)


def _reopen(closed: Bool, usable: Bool, last: I32, least: int) -> None:
    """Open the usable columns (B, C) that were met longest ago, until a row has `least`."""
    lacks = least - count(usable & ~closed)
    rows = np.flatnonzero(lacks > 0)
    age = np.where(usable & closed, last, np.iinfo(np.int32).max)[rows]
    rank = age.argsort(axis=1, kind="stable").argsort(axis=1)
    closed[rows] &= (rank >= lacks[rows, None]) | ~usable[rows]


@dataclass(frozen=True, slots=True, eq=False)
class Cap:
    """At most `most` items of a group in one slate."""

    name: str
    group: I32  # (A,)
    most: int

    def closed(self, obs: Observation, items: I32) -> Bool:
        return np.full(items.shape, self.most <= 0)

    def term(self, items: I32) -> Term:
        group = np.where(items >= 0, self.group[np.maximum(items, 0)], -1)
        return _CapTerm(group, self.most)

    def broken(self, obs: Observation, slate: I32) -> I64:
        group = np.where(slate >= 0, self.group[np.maximum(slate, 0)], -1)
        same = (group[:, :, None] == group[:, None, :]) & (group >= 0)[:, :, None]
        above = np.tril(same, -1).sum(axis=2)  # (B, K): of its group above it
        return count((above >= self.most) & (group >= 0))

    def missing(self, slate: I32) -> I64:
        return np.zeros(len(slate), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Quota:
    """At least and at most so many members in one slate: sponsors, providers, fresh items.

    `least` is kept wherever enough members may be shown; the rest is `missing`, not broken.
    """

    name: str
    members: Bool  # (A,)
    least: int = 0
    most: int | None = None

    def closed(self, obs: Observation, items: I32) -> Bool:
        return _of(self.members, items) & (self.most == 0)

    def term(self, items: I32) -> Term:
        return _QuotaTerm(_of(self.members, items), self.least, self.most)

    def broken(self, obs: Observation, slate: I32) -> I64:
        shown = count(_of(self.members, slate))
        return shown * 0 if self.most is None else np.maximum(shown - self.most, 0)

    def missing(self, slate: I32) -> I64:
        return np.maximum(self.least - count(_of(self.members, slate)), 0)


@dataclass(frozen=True, slots=True, eq=False)
class _CapTerm:
    group: I32  # (B, C)
    most: int

    def start(self, places: int) -> Walk:
        return _CapWalk(self.group, self.most, np.zeros(self.group.shape, np.int32))


@dataclass(slots=True, eq=False)
class _CapWalk:
    group: I32
    most: int
    count: I32  # (B, C) placed so far of each column's group

    def logits(self) -> F64:
        return np.where(self.count >= self.most, -np.inf, 0.0)

    def wants(self) -> None:
        return None

    def push(self, column: I64) -> None:
        placed = self.group[np.arange(len(column)), np.maximum(column, 0)]
        self.count += (self.group == placed[:, None]) & (column >= 0)[:, None]


@dataclass(frozen=True, slots=True, eq=False)
class _QuotaTerm:
    members: Bool  # (B, C)
    least: int
    most: int | None

    def start(self, places: int) -> Walk:
        return _QuotaWalk(self, np.zeros(len(self.members), np.int64))


@dataclass(slots=True, eq=False)
class _QuotaWalk:
    term: _QuotaTerm
    count: I64  # (B,) members placed

    def logits(self) -> F64:
        t = self.term
        out = np.zeros(t.members.shape)
        if t.most is not None:
            out[t.members & (self.count >= t.most)[:, None]] = -np.inf
        return out

    def wants(self) -> tuple[Bool, I64]:
        return self.term.members, self.term.least - self.count

    def push(self, column: I64) -> None:
        member = self.term.members[np.arange(len(column)), np.maximum(column, 0)]
        self.count += member & (column >= 0)


KINDS: dict[str, tuple[type[Any], str]] = {
    "banned": (Banned, "items"),
    "repeats": (Repeats, "group"),
    "cap": (Cap, "group"),
    "quota": (Quota, "members"),
}


def offered(obs: Observation, n_items: int) -> I32:
    """Item ids (B, C) of the columns; -1 = empty."""
    if obs.candidates is not None:
        return obs.candidates
    return np.broadcast_to(np.arange(n_items, dtype=np.int32), (len(obs), n_items))


def count(where: Bool) -> I64:
    """(B,) true places of (B, K)."""
    total: I64 = where.sum(axis=1)
    return total


def _of(members: Bool, items: I32) -> Bool:
    return members[np.maximum(items, 0)] & (items >= 0)


def written(rule: Any) -> tuple[dict[str, Any], NDArray[Any]]:
    """A rule as plain values and its one array."""
    for kind, (cls, array) in KINDS.items():
        if type(rule) is cls:
            names = [name for name in cls.__slots__ if name != array]
            return {"kind": kind, **{n: getattr(rule, n) for n in names}}, getattr(rule, array)
    raise ValueError(f"{type(rule).__name__} is no rule of policies.rules.KINDS")


def read(about: dict[str, Any], array: NDArray[Any]) -> Rule:
    cls, name = KINDS[about["kind"]]
    rest = {k: v for k, v in about.items() if k != "kind"}
    rule: Rule = cls(**rest, **{name: array})
    return rule
