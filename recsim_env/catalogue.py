"""What can be served and to whom: item records and, from real data, a population of users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsim_env.columns import (
    MOST_TOPICS,
    as_flags,
    as_ids,
    as_numbers,
    as_reals,
    check_memory,
    check_rows,
    check_whole,
)
from recsim_env.eligibility import Group, eligible_items
from recsim_env.population import Population

__all__ = ["NEVER", "Catalogue", "Population"]

NEVER = 2**31 - 1  # tick at which an item that stays retires
FIRST = -(2**31)  # tick from which on an item may be there
ENDLESS = 2**63 - 1  # NEVER in the calendar of compiled code, which counts in int64
MOST_WEIGHT = float(np.finfo(np.float32).max)  # of popularity


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Catalogue:
    """A items of T topics; item ids are the rows 0..A-1.

    Raises ValueError naming the column and the row that break a rule.
    """

    topics: NDArray[np.int32]  # (A,) 0..T-1, the topic that an item belongs to
    vectors: NDArray[np.float32]  # (A, D) point in the space of interests
    quality: NDArray[np.float32]  # (A,) hidden until consumed; 0..1, or the topic's mean
    length: NDArray[np.float32]  # (A,) minutes, > 0
    clickbait: NDArray[np.float32]  # (A,) 0..1, appeal that consumption does not honour
    popularity: NDArray[np.float32]  # (A,) >= 0, weight with which a candidate generator offers it
    n_topics: int
    names: tuple[str, ...] | None = None
    since: NDArray[np.int32] | None = None  # (A,) the item may be served from this tick on
    until: NDArray[np.int32] | None = None  # (A,) and before this one; a tick is a step of a slot
    groups: tuple[Group, ...] = ()  # of users, where not everybody may be served everything
    eligible: NDArray[np.bool_] | None = None  # (G, A) what each of them may be served
    columns: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    # (A, ...) each, by name: what a user model (`calibrated`) or a policy's rule reads of an item

    def __post_init__(self) -> None:
        check_whole("n_topics", self.n_topics, 1, "at least one topic", MOST_TOPICS)
        topics = as_ids("topics", self.topics, 0, int(self.n_topics), None)
        n = len(topics)
        kept: dict[str, Any] = {"topics": topics, "n_topics": int(self.n_topics)}
        for name in ("quality", "length", "clickbait"):
            kept[name] = as_reals(name, getattr(self, name), n)
        kept["vectors"] = as_reals("vectors", self.vectors, n, ndim=2)
        kept["popularity"] = as_reals("popularity", self.popularity, n, most=MOST_WEIGHT)
        for name, wrong, rule in (
            ("length", kept["length"] <= 0, "must be above 0 minutes"),
            ("popularity", kept["popularity"] < 0, "must not be negative"),
        ):
            check_rows(name, wrong, rule, kept[name])
        for name, column in self.columns.items():
            rows = np.shape(column)[0] if np.ndim(column) else 0
            if rows != n:
                raise ValueError(f"column {name!r} has {rows} rows for {n} items")
        if (self.since is None) != (self.until is None):
            raise ValueError("give both since and until, or neither")
        if self.since is not None and self.until is not None:
            kept |= {
                name: as_ids(name, getattr(self, name), FIRST, NEVER + 1, n)
                for name in ("since", "until")
            }
            check_rows(
                "until", kept["until"] <= kept["since"], "must come after since", kept["until"]
            )
        if (len(self.groups) == 0) != (self.eligible is None):
            raise ValueError("give groups and eligible together: catalogue.with_groups makes both")
        if self.eligible is not None:
            kept["eligible"] = as_flags("eligible", self.eligible, (len(self.groups), n))
            if not np.isfinite(np.sum([group.share for group in self.groups], dtype=np.float64)):
                raise ValueError("the shares of the groups add up to no finite number: give less")
        if self.names is not None and len(self.names) != n:
            raise ValueError(f"{len(self.names)} names for {n} items: give one each, or None")
        for name, value in kept.items():
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return len(self.topics)

    @classmethod
    def of(
        cls,
        topics: NDArray[np.integer],
        *,
        vectors: NDArray[np.floating] | None = None,
        quality: NDArray[np.floating] | None = None,
        length: NDArray[np.floating] | None = None,
        clickbait: NDArray[np.floating] | None = None,
        popularity: NDArray[np.floating] | None = None,
        n_topics: int | None = None,
        names: tuple[str, ...] | None = None,
        columns: Mapping[str, NDArray[Any]] | None = None,
    ) -> Catalogue:
        """A catalogue from the columns at hand: what is left out is plain.

        Plain means vectors = one-hot topics, quality .5, length 4 minutes, clickbait 0 and equal
        popularity.
        """
        given = as_numbers("topics", topics)
        if given.dtype.kind not in "iu" or given.ndim != 1 or not len(given):
            raise ValueError(
                f"topics are {given.dtype} {given.shape}: give whole numbers (A,), A at least 1"
            )
        width = int(given.max()) + 1 if n_topics is None else n_topics
        check_whole("n_topics", width, 1, "at least one topic", MOST_TOPICS)
        codes = as_ids("topics", given, 0, width, None)

        def column(given: Any, plain: float) -> Any:
            return np.full(len(codes), plain, np.float32) if given is None else given

        return cls(
            topics=codes,
            vectors=one_hot(codes, width) if vectors is None else vectors,
            quality=column(quality, 0.5),
            length=column(length, 4.0),
            clickbait=column(clickbait, 0.0),
            popularity=column(popularity, 1.0),
            n_topics=width,
            names=names,
            columns=columns or {},
        )

    @property
    def windows(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First tick and tick after the last of every item (A,) each; (0,) if all always serve.

        What retires at tick NEVER does so at no tick that an int64 holds.
        """
        if self.since is None or self.until is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        until = np.where(self.until == NEVER, ENDLESS, self.until.astype(np.int64))
        return self.since.astype(np.int64), until

    @property
    def ruled(self) -> bool:
        """Whether some item may not be served to somebody at some time: masks say which."""
        return self.since is not None or self.eligible is not None

    @property
    def rules(self) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        """Eligibility (G, A) and cumulated shares (G,) of the groups; (0, 0) and (0,) of none."""
        if self.eligible is None:
            return np.zeros((0, 0), np.bool_), np.zeros(0)
        shares = np.cumsum([group.share for group in self.groups])
        return np.ascontiguousarray(self.eligible), shares / shares[-1]

    def open_to(self, groups: NDArray[np.integer], ticks: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Which items (n, A) may be served to users of these groups (n,) at these ticks (n,)."""
        allowed = np.ones((len(ticks), len(self)), np.bool_)
        since, until = self.windows
        if since.size:
            allowed &= (since <= ticks[:, None]) & (ticks[:, None] < until)
        return allowed if self.eligible is None else allowed & self.eligible[groups]

    def fewest_open(self, among: NDArray[np.bool_] | None = None) -> int:
        """The fewest items, all or `among` these (A,), that may be served to any one user at any
        one tick from 0 on."""
        some = np.ones(len(self), np.bool_) if among is None else among
        groups = some[None] if self.eligible is None else self.eligible & some
        return min(self._fewest_of(items) for items in groups)

    def _fewest_of(self, items: NDArray[np.bool_]) -> int:
        since, until = self.windows
        if since.size == 0:
            return int(items.sum())
        since, until = since[items], until[items]
        ticks = np.unique(np.concatenate([[0], since, until]))
        ticks = ticks[(ticks >= 0) & (ticks < ENDLESS)]
        opened = np.searchsorted(np.sort(since), ticks, side="right")
        closed = np.searchsorted(np.sort(until), ticks, side="right")
        return int((opened - closed).min())

    def with_windows(self, since: NDArray[np.integer], until: NDArray[np.integer]) -> Catalogue:
        """The same items, each served only from tick `since` until before `until`."""
        given = {"since": as_numbers("since", since), "until": as_numbers("until", until)}
        whole: dict[str, Any] = {}
        for name, ticks in given.items():
            check_rows(name, ~(ticks == np.round(ticks)), "must be a whole tick", ticks)
            check_rows(name, np.abs(ticks, dtype=np.float64) > NEVER, "is beyond NEVER", ticks)
            whole[name] = ticks.astype(np.int64)
        return replace(self, **whole)

    def with_groups(
        self,
        groups: Sequence[Group],
        *,
        min_age: ArrayLike | None = None,
        regions: ArrayLike | None = None,
        sponsored: ArrayLike | None = None,
    ) -> Catalogue:
        """The same items for users of these groups, each served what `eligible_items` allows."""
        flags = {"min_age": min_age, "regions": regions, "sponsored": sponsored}
        allowed = eligible_items(groups, len(self), **flags)
        return replace(self, groups=tuple(groups), eligible=allowed)

    def one_hot_items(self) -> NDArray[np.float32]:
        """Items as features (A, A): for small catalogues whose items have no others."""
        return one_hot(np.arange(len(self)), len(self))

    def one_hot_topics(self) -> NDArray[np.float32]:
        """Topics as features (A, T)."""
        return one_hot(self.topics, self.n_topics)


def one_hot(codes: NDArray[np.integer], width: int) -> NDArray[np.float32]:
    """Codes (A,) below `width` as rows (A, width) of one 1 each."""
    fewer = "have fewer items, or topics numbered from 0 without gaps"
    check_memory("a table of items and topics", len(codes) * float(width), fewer)
    table = np.zeros((len(codes), width), np.float32)
    table[np.arange(len(codes)), codes] = 1.0
    return table
