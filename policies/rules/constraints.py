"""Slate constraints: business rules about which items and which slates may be shown.

`Banned` and `Repeats` close items for a user; `Cap` and `Quota` look at the slate as it grows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from policies.observation import Observation, Serving, candidate_items
from policies.rules.members import among, groups_of, members_of
from policies.rules.slate_states import CapState, QuotaState
from policies.slates.sequential import Adjustment
from policies.validation import whole

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

    def adjustment(self, items: I32) -> Adjustment | None:
        """What the rule adds at each place of slates of candidates items (B, C); None = nothing."""

    def broken(self, obs: Observation, slate: I32) -> I64:
        """(B,) how often a slate of item ids (B, K) breaks the rule, counted afresh from it."""

    def missing(self, slate: I32) -> I64:
        """(B,) places that the rule required and that could not be filled so."""


@dataclass(frozen=True, slots=True, eq=False)
class Banned:
    """Items that nobody may be shown."""

    name: str
    items: Bool  # (A,)

    def __post_init__(self) -> None:
        _set(self, items=_flags(self, self.items))

    def closed(self, obs: Observation, items: I32) -> Bool:
        return members_of(self.items, items)

    def adjustment(self, items: I32) -> None:
        return None

    def broken(self, obs: Observation, slate: I32) -> I64:
        return count(members_of(self.items, slate))

    def missing(self, slate: I32) -> I64:
        return np.zeros(len(slate), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """No item of a group that the user's history holds `times` times or more.

    Groups of one item each and times = 1: nothing that the history holds is shown again.
    Larger: a cap on how often. Where fewer than `spare` candidates would stay open, of those that
    the rules before this one in the same `constrained` leave, those taken longest ago open again;
    rules that look at the slate are not counted.
    """

    name: str
    group: I32  # (A,), -1 = of no group
    times: int = 1
    spare: int = 0

    def __post_init__(self) -> None:
        times, spare = _whole(self, "times", self.times, 1), _whole(self, "spare", self.spare, 0)
        _set(self, group=_groups(self, self.group), times=times, spare=spare)

    def closed(self, obs: Observation, items: I32) -> Bool:
        closed, last = self._consumed(obs, items)
        if self.spare:
            usable = items >= 0 if obs.eligible is None else (items >= 0) & obs.eligible
            _reopen(closed, usable, last, self.spare)
        return closed

    def _consumed(self, obs: Observation, items: I32) -> tuple[Bool, I32]:
        """(B, C) whether the history holds an item's group too often, and where it does last."""
        past = groups_of(self.group, obs.history_items)  # (B, H)
        now = groups_of(self.group, items)
        if self.times == 1 and not self.spare:
            held = among(now, past)
            if held is not None:
                return held, np.zeros((0, 0), np.int32)
        now = np.where(now >= 0, now, -2)
        small = past.shape[1] < 256  # bytes are added in a fifth of the time
        times = np.zeros(items.shape, np.uint8 if small else np.int32)
        last = np.zeros(items.shape, np.int32)
        for place, event in enumerate(past.T):  # H comparisons of (B, C), never (B, C, H)
            same = now == event[:, None]
            times += same.view(np.uint8)
            if self.spare:
                last[same] = place
        return times >= self.times, last

    def adjustment(self, items: I32) -> None:
        return None

    def broken(self, obs: Observation, slate: I32) -> I64:
        broken, _ = self._consumed(obs, slate)
        if self.spare:  # what opens again depends on all that is offered
            items = candidate_items(obs, len(self.group))
            free = ~self.closed(obs, items)
            for place, item in enumerate(slate.T):
                broken[:, place] &= ~((items == item[:, None]) & free).any(axis=1)
        return count(broken)

    def missing(self, slate: I32) -> I64:
        return np.zeros(len(slate), np.int64)


def _reopen(closed: Bool, usable: Bool, last: I32, least: int) -> None:
    """Open the usable columns (B, C) consumed longest ago, until `least` of a row are open."""
    lacks = least - count(usable & ~closed)
    rows = np.flatnonzero(lacks > 0)
    age = np.where(usable & closed, last, np.iinfo(np.int32).max)[rows]
    rank = age.argsort(axis=1, kind="stable").argsort(axis=1)
    closed[rows] &= (rank >= lacks[rows, None]) | ~usable[rows]


@dataclass(frozen=True, slots=True, eq=False)
class Cap:
    """At most `most` items of a group in one slate."""

    name: str
    group: I32  # (A,), -1 = of no group
    most: int

    def __post_init__(self) -> None:
        _set(self, group=_groups(self, self.group), most=_whole(self, "most", self.most, 0))

    def closed(self, obs: Observation, items: I32) -> Bool:
        return (groups_of(self.group, items) >= 0) & (self.most == 0)

    def adjustment(self, items: I32) -> Adjustment:
        return partial(CapState, groups_of(self.group, items), self.most)

    def broken(self, obs: Observation, slate: I32) -> I64:
        group = groups_of(self.group, slate)
        same = (group[:, :, None] == group[:, None, :]) & (group >= 0)[:, :, None]
        above = np.tril(same, -1).sum(axis=2)  # (B, K): of its group above it
        return count((above >= self.most) & (group >= 0))

    def missing(self, slate: I32) -> I64:
        return np.zeros(len(slate), np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Quota:
    """At least and at most so many members in one slate: sponsors, providers, fresh items.

    Slates are filled from the top: once all places left are required, members stand there if any
    may still be shown. What is lacking then is `missing`, not broken.
    """

    name: str
    members: Bool  # (A,)
    least: int = 0
    most: int | None = None

    def __post_init__(self) -> None:
        _set(self, members=_flags(self, self.members), least=_whole(self, "least", self.least, 0))
        if self.most is not None:
            _set(self, most=_whole(self, "most", self.most, self.least))

    def closed(self, obs: Observation, items: I32) -> Bool:
        return members_of(self.members, items) & (self.most == 0)

    def adjustment(self, items: I32) -> Adjustment:
        return partial(QuotaState, members_of(self.members, items), self.least, self.most)

    def broken(self, obs: Observation, slate: I32) -> I64:
        shown = count(members_of(self.members, slate))
        return shown * 0 if self.most is None else np.maximum(shown - self.most, 0)

    def missing(self, slate: I32) -> I64:
        return np.maximum(self.least - count(members_of(self.members, slate)), 0)


KINDS: dict[str, tuple[type[Any], str]] = {
    "banned": (Banned, "items"),
    "repeats": (Repeats, "group"),
    "cap": (Cap, "group"),
    "quota": (Quota, "members"),
}


def check_fits(rule: Rule, serving: Serving) -> None:
    """Raise ValueError for a rule of another catalogue, or one that cannot hold for these sizes."""
    about, array = to_parts(rule)
    if array.shape != (serving.n_items,):
        raise ValueError(
            f"rule {rule.name!r} has entries for {len(array)} items and the catalogue has "
            f"{serving.n_items}: give one entry for every item"
        )
    for what, most, holds in (
        ("times", serving.history_length, "a history holds"),
        ("least", serving.slate_size, "a slate has places for"),
    ):
        if about.get(what, 0) > most:
            raise ValueError(f"rule {rule.name!r}: {what} is {about[what]}, and {holds} {most}")


def count(where: Bool) -> I64:
    """(B,) true places of (B, K)."""
    total: I64 = where.sum(axis=1)
    return total


def _set(rule: Rule, **checked: Any) -> None:
    """Put checked values into a frozen rule."""
    for name, value in checked.items():
        object.__setattr__(rule, name, value)


def _whole(rule: Rule, what: str, value: Any, least: int) -> int:
    whole(least).check(f"{what} of rule {rule.name!r}", value)
    return int(value)


def _flags(rule: Rule, values: Any) -> Bool:
    flags = np.asarray(values)
    if flags.ndim != 1 or flags.dtype != np.bool_:
        raise ValueError(
            f"rule {rule.name!r} needs True or False for every item, got {flags.dtype} of shape "
            f"{flags.shape}: np.isin(np.arange(n_items), ids) makes them of a list of ids"
        )
    return flags


def _groups(rule: Rule, values: Any) -> I32:
    groups = np.asarray(values)
    whole = groups.ndim == 1 and groups.dtype.kind in "iu"
    if not whole or groups.min(initial=0) < -1 or groups.max(initial=0) > np.iinfo(np.int32).max:
        raise ValueError(
            f"rule {rule.name!r} needs the group's number, 0..2**31-1 or -1 = none, for every "
            f"item, got {groups.dtype} of shape {groups.shape} from {groups.min(initial=0)} to "
            f"{groups.max(initial=0)}: np.unique(names, return_inverse=True)[1] "
            "numbers names"
        )
    return groups.astype(np.int32)


def to_parts(rule: Any) -> tuple[dict[str, Any], NDArray[Any]]:
    """A rule as plain values and its one array, for a saved policy."""
    for kind, (cls, array) in KINDS.items():
        if type(rule) is cls:
            names = [name for name in cls.__slots__ if name != array]
            return {"kind": kind, **{n: getattr(rule, n) for n in names}}, getattr(rule, array)
    raise ValueError(f"{type(rule).__name__} is none of the rules {', '.join(KINDS)}")


def same_rules(some: tuple[Rule, ...], others: tuple[Rule, ...]) -> bool:
    """Whether both are the same rules in the same order, by what they hold."""
    return len(some) == len(others) and all(
        a is b or _same(a, b) for a, b in zip(some, others, strict=True)
    )


def _same(a: Rule, b: Rule) -> bool:
    kinds = [kind for kind, _ in KINDS.values()]
    if type(a) is not type(b) or type(a) not in kinds:
        return False
    (about, array), (other, its) = to_parts(a), to_parts(b)
    return about == other and np.array_equal(array, its)


def from_parts(about: dict[str, Any], array: NDArray[Any]) -> Rule:
    """The rule that gave these parts."""
    cls, name = KINDS[about["kind"]]
    rest = {k: v for k, v in about.items() if k != "kind"}
    rule: Rule = cls(**rest, **{name: array})
    return rule
