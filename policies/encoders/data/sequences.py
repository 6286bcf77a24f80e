"""Interaction histories as one flat record, checked once, and the windows cut from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse


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
        _check_offsets(self.offsets, len(self.items))
        _check_items(self.items, self.offsets, self.n_items)
        for name, size in (("times", len(self.items)), ("rewards", len(self.items))):
            column = getattr(self, name)
            if column is not None and len(column) != size:
                raise ValueError(f"{name} has {len(column)} entries for {size} events")
        if self.users is not None and len(self.users) != len(self):
            raise ValueError(f"users has {len(self.users)} entries for {len(self)} sequences")
        if self.item_features is not None:
            _check_features(self.item_features, self.n_items)
        if self.times is not None:
            _check_times(self.times, self.offsets)

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
        """One list of item ids (0..n_items-1, oldest first) for each user."""
        parts = [np.asarray(one, dtype=np.int64) for one in lists]
        offsets = np.concatenate([[0], np.cumsum([len(p) for p in parts])]).astype(np.int64)
        return cls(
            items=_concatenated(parts, np.int64).astype(np.int32),
            offsets=offsets,
            n_items=int(n_items),
            times=None if times is None else _concatenated(times, np.float64),
            rewards=None if rewards is None else _concatenated(rewards, np.float32),
            users=None if users is None else np.asarray(users, dtype=np.int64),
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
        """One row per event, in any order; ties in time keep the order of the rows."""
        user, item = np.asarray(user, dtype=np.int64), np.asarray(item, dtype=np.int64)
        if user.shape != item.shape:
            raise ValueError(f"user has shape {user.shape}, item {item.shape}: one entry per event")
        times = None if time is None else np.asarray(time, dtype=np.float64)
        users, code = _user_codes(user)
        order = _group_by_user(code, len(users), _time_order(times, len(user)))
        lengths = np.bincount(code, minlength=len(users))
        rewards = None if reward is None else np.asarray(reward, dtype=np.float32)[order]
        return cls(
            items=item[order].astype(np.int32),
            offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            n_items=int(n_items),
            times=None if times is None else times[order],
            rewards=rewards,
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


def _concatenated(parts: Iterable[ArrayLike], dtype: type[np.generic]) -> NDArray[Any]:
    arrays = [np.asarray(p, dtype=dtype) for p in parts]
    return np.concatenate(arrays) if arrays else np.empty(0, dtype)


def _user_codes(user: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(distinct users in order, (T,) place of each event's user among them)."""
    if len(user) and user.min() >= 0 and user.max() < 16 * len(user):  # no sort is needed
        occurs = np.bincount(user) > 0
        return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[user]
    users, code = np.unique(user, return_inverse=True)
    return users, code


def _time_order(when: NDArray[np.float64] | None, count: int) -> NDArray[np.int64]:
    """(T,) rows in order of time; ties keep the order of the rows."""
    if when is None:
        return np.arange(count)
    if count and np.isfinite(when).all() and (when == np.floor(when)).all():
        since, span = (when - when.min()), int(when.max() - when.min()) + 1
        if span < (1 << 62) // count:  # distinct whole keys: any sort will do, the fastest does
            return np.argsort(since.astype(np.int64) * count + np.arange(count))
    return np.argsort(when, kind="stable")


def _group_by_user(
    code: NDArray[np.int64], users: int, order: NDArray[np.int64]
) -> NDArray[np.int64]:
    """`order` grouped by user, stable inside each: a counting sort in compiled code."""
    cells = (order, (code[order], np.arange(len(order))))
    rows: NDArray[np.int64] = sparse.coo_array(cells, shape=(users, len(order))).tocsr().data
    return rows


def _check_offsets(offsets: NDArray[np.int64], n_events: int) -> None:
    if offsets.ndim != 1 or not len(offsets) or offsets[0] != 0 or offsets[-1] != n_events:
        raise ValueError(f"offsets must run from 0 to the {n_events} events, one more than users")
    if (np.diff(offsets) < 0).any():
        raise ValueError(f"offsets fall after user {int(np.argmax(np.diff(offsets) < 0))}")


def _check_items(items: NDArray[np.int32], offsets: NDArray[np.int64], n_items: int) -> None:
    if n_items < 1:
        raise ValueError(f"a catalogue needs at least one item, n_items = {n_items}")
    wrong = np.flatnonzero((items < 0) | (items >= n_items))
    if wrong.size:
        at = int(wrong[0])
        user = int(np.searchsorted(offsets, at, side="right")) - 1
        raise ValueError(
            f"user {user}, event {at - int(offsets[user])}: item {items[at]} is outside "
            f"0..{n_items - 1} ({wrong.size} of {len(items)} events). Code items as 0..n_items-1, "
            "or pass the true n_items."
        )


def _check_features(features: NDArray[np.float32], n_items: int) -> None:
    if features.ndim != 2 or len(features) != n_items:
        raise ValueError(f"item_features has shape {features.shape} for {n_items} items")
    wrong = np.flatnonzero(~np.isfinite(features).all(axis=1))
    if wrong.size:
        raise ValueError(
            f"item_features of item {int(wrong[0])} are not finite ({wrong.size} of {n_items} "
            "items): fill what is not known, for instance with the column's mean"
        )


def _check_times(times: NDArray[np.float64], offsets: NDArray[np.int64]) -> None:
    if not np.isfinite(times).all():
        raise ValueError(f"times[{int(np.argmin(np.isfinite(times)))}] is not a finite number")
    falls = np.diff(times) < 0
    starts = offsets[(offsets > 0) & (offsets < len(times))]
    falls[starts - 1] = False
    if falls.any():
        at = int(np.argmax(falls)) + 1
        user = int(np.searchsorted(offsets, at, side="right")) - 1
        raise ValueError(
            f"user {user}: event {at - int(offsets[user])} is older than the one before it. "
            "Sort each user's events by time, or build with Sequences.from_events."
        )
