"""Interaction histories as one flat record, checked once, and the windows cut from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.encoders.data.checks import (
    ITEMS,
    OFFSETS,
    USERS,
    catalogue_size,
    check_features,
    check_items,
    check_length,
    check_offsets,
    check_order,
    rewards32,
)
from policies.encoders.data.columns import instants, order_keys, seconds, whole_numbers
from policies.encoders.data.order import group_by_user, time_order, user_codes


@dataclass(frozen=True, slots=True)
class Sequences:
    """U users' item ids in time order; user u owns `items[offsets[u]:offsets[u + 1]]`.

    Validated on construction, so users of a `Sequences` need not check it again.
    """

    items: NDArray[np.int32]  # (T,)    item ids 0..A-1
    offsets: NDArray[np.int64]  # (U+1,)  0 = offsets[0] <= ... <= offsets[U] = T
    n_items: int  # A, the size of the catalogue
    times: NDArray[np.float64] | None = None  # (T,) seconds, not decreasing inside a user
    rewards: NDArray[np.float32] | None = None  # (T,) rating, watch time, ...
    users: NDArray[np.int64] | None = None  # (U,) the caller's own user codes
    item_features: NDArray[np.float32] | None = None  # (A, F) in networks' initial item vectors

    def __post_init__(self) -> None:
        put: Callable[[str, Any], None] = partial(object.__setattr__, self)
        put("n_items", catalogue_size(self.n_items))
        items = whole_numbers("items", self.items, ITEMS)
        put("offsets", whole_numbers("offsets", self.offsets, OFFSETS).astype(np.int64, copy=False))
        check_offsets(self.offsets, len(items))
        check_items(items, self.offsets, self.n_items)
        put("items", items.astype(np.int32, copy=False))
        if self.times is not None:
            times = instants("times", self.times)
            check_length("times", times, len(items), "events")
            check_order(order_keys(times), self.offsets)
            put("times", seconds(times))
        if self.rewards is not None:
            put("rewards", rewards32("rewards", self.rewards))
            check_length("rewards", self.rewards, len(items), "events")
        if self.users is not None:
            put("users", whole_numbers("users", self.users, USERS).astype(np.int64, copy=False))
            check_length("users", self.users, len(self), "sequences")
        if self.item_features is not None:
            with np.errstate(over="ignore"):  # what overflows is refused as not finite
                put("item_features", np.asarray(self.item_features, np.float32))
            check_features(self.item_features, self.n_items)

    @classmethod
    def from_lists(
        cls,
        lists: Iterable[Sequence[int] | NDArray[np.integer[Any]]],
        *,
        n_items: int,
        times: Iterable[ArrayLike] | None = None,
        rewards: Iterable[ArrayLike] | None = None,
        users: ArrayLike | None = None,
    ) -> Sequences:
        """One list of item ids (0..n_items-1, oldest first) for each user.

        `times` and `rewards` are lists of the same lengths. Raises ValueError naming the first
        entry that breaks a rule.
        """
        parts = [whole_numbers(f"lists[{u}]", one, ITEMS) for u, one in enumerate(lists)]
        lengths = [len(p) for p in parts]
        return cls(
            items=_concatenated("items", parts, np.int64),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            n_items=n_items,
            times=None if times is None else _beside("times", times, lengths, instants),
            rewards=None if rewards is None else _beside("rewards", rewards, lengths, rewards32),
            users=None if users is None else whole_numbers("users", users, USERS),
        )

    @classmethod
    def from_events(
        cls,
        user: ArrayLike,
        item: ArrayLike,
        *,
        n_items: int,
        time: ArrayLike | None = None,
        reward: ArrayLike | None = None,
    ) -> Sequences:
        """One row per event, in any order; ties in time keep the order of the rows.

        user and item: whole numbers. time: seconds, or dates, which become seconds since 1970;
        whole numbers and dates are put in order exactly, whatever their unit. Raises ValueError
        naming the first row that breaks a rule.
        """
        user, item = whole_numbers("user", user, USERS), whole_numbers("item", item, ITEMS)
        check_length("user", user, len(item), "events")
        when = None if time is None else instants("time", time)
        rewards = None if reward is None else rewards32("reward", reward)
        for name, column in (("time", when), ("reward", rewards)):
            if column is not None:
                check_length(name, column, len(item), "events")
        keys = None if when is None else order_keys(when)
        users, code = user_codes(user.astype(np.int64, copy=False))
        order = group_by_user(code, len(users), time_order(keys, len(user)))
        lengths = np.bincount(code, minlength=len(users))
        return cls(
            items=item[order],
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            n_items=n_items,
            times=None if when is None else when[order],
            rewards=None if rewards is None else rewards[order],
            users=users,
        )

    def __len__(self) -> int:
        """The number of users U."""
        return len(self.offsets) - 1

    def __getitem__(self, user: int) -> NDArray[np.int32]:
        """The items of one user, oldest first."""
        if not -len(self) <= user < len(self):
            raise IndexError(f"user {user} of {len(self)}")
        user %= len(self)
        return self.items[self.offsets[user] : self.offsets[user + 1]]

    def __iter__(self) -> Iterator[NDArray[np.int32]]:
        return (self[u] for u in range(len(self)))

    @property
    def n_events(self) -> int:
        """The number of events T."""
        return len(self.items)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Events of each user, (U,)."""
        return np.diff(self.offsets)

    @property
    def owner(self) -> NDArray[np.int64]:
        """The user of each event, (T,)."""
        return np.repeat(np.arange(len(self)), self.lengths)

    @property
    def repeats(self) -> int:
        """The number of events whose item their user had before."""
        pairs = np.sort(self.owner * self.n_items + self.items)
        return int((pairs[1:] == pairs[:-1]).sum())

    def counts(self) -> NDArray[np.int64]:
        """How often each item occurs, (A,)."""
        return np.bincount(self.items, minlength=self.n_items)

    def take(self, users: ArrayLike) -> Sequences:
        """The named users (positions or a mask), in the order given."""
        rows = np.arange(len(self))[np.asarray(users)]
        return self.cut(self.offsets[rows], self.offsets[rows + 1], rows)

    def cut(
        self, start: NDArray[np.int64], stop: NDArray[np.int64], rows: NDArray[np.int64]
    ) -> Sequences:
        """New sequences: the slices `items[start[i]:stop[i]]`, owned by user rows[i]."""
        lengths = stop - start
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        at = np.arange(offsets[-1]) + np.repeat(start - offsets[:-1], lengths)
        users = np.arange(len(self)) if self.users is None else self.users
        return Sequences(
            items=self.items[at],
            offsets=offsets,
            n_items=self.n_items,
            times=None if self.times is None else self.times[at],
            rewards=None if self.rewards is None else self.rewards[at],
            users=users[rows],
            item_features=self.item_features,
        )

    def histories(self, length: int) -> NDArray[np.int32]:
        """The last `length` items of each user, (U, length), left-padded with -1."""
        at = self.offsets[1:, None] - np.arange(length, 0, -1)
        inside = at >= self.offsets[:-1, None]
        if not self.n_events:
            return np.full(at.shape, -1, dtype=np.int32)
        return np.where(inside, self.items[np.maximum(at, 0)], np.int32(-1))

    def windows(self, length: int, *, rng: np.random.Generator | None = None) -> Sequences:
        """Pieces of at most `length` events over each WHOLE history, newest piece first.

        Neighbouring pieces share one event, so that every event but a user's first is the target
        of exactly one piece. With `rng` the cuts of each user are moved at random, as far as that
        takes no further piece; without it the newest piece is full. Pieces of one event are left
        out.

        Raises:
            ValueError: length < 2.
        """
        if length < 2:
            raise ValueError(f"windows of {length} events hold no target: length must be >= 2")
        stride = length - 1
        pieces = np.maximum(1, -(-(self.lengths - 1) // stride))  # (U,)
        slack = pieces * stride - (self.lengths - 1)  # (U,) how much shorter the newest may be
        share = np.zeros(len(self)) if rng is None else rng.random(len(self))
        shift = (share * (slack + 1)).astype(np.int64)
        rows = np.repeat(np.arange(len(self)), pieces)
        rank = np.arange(len(rows)) - (np.cumsum(pieces) - pieces)[rows]  # 0 = newest of its user
        stop = self.offsets[rows + 1] + shift[rows] - rank * stride
        start = np.maximum(stop - length, self.offsets[rows])
        stop = np.minimum(stop, self.offsets[rows + 1])
        keep = stop - start >= 2
        return self.cut(start[keep], stop[keep], rows[keep])


def _concatenated(name: str, parts: list[NDArray[Any]], dtype: Any = None) -> NDArray[Any]:
    filled = [p for p in parts if len(p)]
    if not filled:
        return np.empty(0, np.int64)
    try:
        return np.concatenate(filled, dtype=dtype)
    except TypeError:
        raise ValueError(f"{name} mix dates and numbers: use one of them throughout") from None


def _beside(
    name: str,
    parts: Iterable[ArrayLike],
    lengths: list[int],
    checked: Callable[[str, ArrayLike], NDArray[Any]],
) -> NDArray[Any]:
    """A column given as one list for each user, as long as the user's list of items."""
    arrays = [checked(f"{name}[{u}]", part) for u, part in enumerate(parts)]
    check_length(name, arrays, len(lengths), "lists of items")
    for u, (array, length) in enumerate(zip(arrays, lengths, strict=True)):
        check_length(f"{name}[{u}]", array, length, "events of the user")
    return _concatenated(name, arrays)
