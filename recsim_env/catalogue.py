"""What can be served and to whom: item records and, from real data, a population of users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recsim_env.eligibility import Group, eligible_items

NEVER = 2**31 - 1  # tick at which an item that stays retires


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
        n = len(self.topics)
        for name in ("vectors", "quality", "length", "clickbait", "popularity"):
            column = getattr(self, name)
            if len(column) != n:
                raise ValueError(f"{name} has {len(column)} rows and topics {n}: one row per item")
            self._validate(name, ~np.isfinite(column).reshape(n, -1).all(1), "must be finite")
        outside = (self.topics < 0) | (self.topics >= self.n_topics)
        self._validate("topics", outside, f"must lie in 0..{self.n_topics - 1}")
        self._validate("length", self.length <= 0, "must be above 0 minutes")
        self._validate("popularity", self.popularity < 0, "must not be negative")
        for name, column in self.columns.items():
            if len(column) != n:
                raise ValueError(f"column {name!r} has {len(column)} rows for {n} items")
        if (self.since is None) != (self.until is None):
            raise ValueError("give both since and until, or neither")
        if self.since is not None and self.until is not None:
            self._validate("until", self.until <= self.since, "must come after since")
        if (len(self.groups) == 0) != (self.eligible is None):
            raise ValueError("give groups and eligible together: catalogue.with_groups makes both")
        if self.eligible is not None and self.eligible.shape != (len(self.groups), n):
            raise ValueError(
                f"eligible is {self.eligible.shape} for {len(self.groups)} groups and {n} items"
            )
        if self.names is not None and len(self.names) != n:
            raise ValueError(f"{len(self.names)} names for {n} items: give one each, or None")

    def _validate(self, column: str, bad: NDArray[np.bool_], rule: str) -> None:
        if bad.any():
            i = int(np.argmax(bad))
            value = f"{column}[{i}] = {getattr(self, column)[i]}"
            raise ValueError(f"{value} {rule} ({bad.sum()} of {len(bad)} items)")

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
        given = np.asarray(topics)
        if given.dtype.kind not in "iu" or given.ndim != 1 or not len(given):
            raise ValueError(
                f"topics are {given.dtype} {given.shape}: give whole numbers (A,), A at least 1"
            )
        codes = np.ascontiguousarray(given, dtype=np.int32)
        n, width = len(codes), int(n_topics or codes.max() + 1)

        def column(given: NDArray[np.floating] | None, plain: float) -> NDArray[np.float32]:
            full = np.full(n, plain, np.float32)
            return full if given is None else np.ascontiguousarray(given, dtype=np.float32)

        one_hot = np.eye(width, dtype=np.float32)[np.clip(codes, 0, width - 1)]
        return cls(
            topics=codes,
            vectors=one_hot if vectors is None else np.ascontiguousarray(vectors, np.float32),
            quality=column(quality, 0.5),
            length=column(length, 4.0),
            clickbait=column(clickbait, 0.0),
            popularity=column(popularity, 1.0),
            n_topics=width,
            names=names,
            columns=columns or {},
        )

    @property
    def windows(self) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """First tick and tick after the last of every item (A,) each; (0,) if all always serve."""
        if self.since is None or self.until is None:
            return np.zeros(0, np.int32), np.zeros(0, np.int32)
        return self.since, self.until

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

    def fewest_open(self) -> int:
        """The fewest items that may be served to any one user at any one tick from 0 on."""
        everyone = np.ones((1, len(self)), np.bool_)
        groups = everyone if self.eligible is None else self.eligible
        return min(self._fewest_of(items) for items in groups)

    def _fewest_of(self, items: NDArray[np.bool_]) -> int:
        since, until = self.windows
        if since.size == 0:
            return int(items.sum())
        since, until = since[items], until[items]
        ticks = np.unique(np.concatenate([[0], since, until]))
        ticks = ticks[(ticks >= 0) & (ticks < NEVER)]
        opened = np.searchsorted(np.sort(since), ticks, side="right")
        closed = np.searchsorted(np.sort(until), ticks, side="right")
        return int((opened - closed).min())

    def with_windows(self, since: NDArray[np.integer], until: NDArray[np.integer]) -> Catalogue:
        """The same items, each served only from tick `since` until before `until`."""
        return replace(self, since=since.astype(np.int32), until=until.astype(np.int32))

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
        return np.eye(len(self), dtype=np.float32)

    def one_hot_topics(self) -> NDArray[np.float32]:
        """Topics as features (A, T)."""
        return np.eye(self.n_topics, dtype=np.float32)[self.topics]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """U users to draw sessions from: their interests and what they consumed before.

    `first_items` is padded on the LEFT with -1, most recent last, as histories are.
    """

    interests: NDArray[np.float32]  # (U, D)
    first_items: NDArray[np.int32] | None = None  # (U, H0)
    first_responses: NDArray[np.float32] | None = None  # (U, H0, R)
    traits: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # what else a model reads

    def __post_init__(self) -> None:
        n = len(self.interests)
        if n == 0:
            raise ValueError("a population needs at least one user, got interests of shape (0, D)")
        bad = ~np.isfinite(self.interests).all(1)
        if bad.any():
            raise ValueError(f"interests[{int(np.argmax(bad))}] is not finite")
        for name, trait in self.traits.items():
            if np.asarray(trait).dtype.kind == "f" and not np.isfinite(trait).all():
                raise ValueError(f"trait {name!r} holds a number that is not finite")
        if self.first_items is None:
            if self.first_responses is not None:
                raise ValueError("first_responses came without first_items; give both or neither")
            return
        if self.first_items.ndim != 2 or len(self.first_items) != n:
            raise ValueError(
                f"first_items has {len(self.first_items)} rows for {n} users, shape "
                f"{self.first_items.shape}: one row each, (U, H0)"
            )
        if self.first_items.dtype.kind not in "iu":
            raise ValueError(
                f"first_items are {self.first_items.dtype}: item ids are whole numbers, -1 = none"
            )
        known = self.first_items >= 0
        gap = known[:, :-1] & ~known[:, 1:]
        if gap.any():
            row = int(np.argmax(gap.any(1)))
            raise ValueError(f"first_items[{row}] has a -1 after an item; pad with -1 on the left")
        if self.first_responses is not None:
            shape = self.first_responses.shape[:2]
            if shape != self.first_items.shape:
                raise ValueError(
                    f"first_responses {shape} and first_items {self.first_items.shape} must agree"
                )
            bad = ~np.isfinite(self.first_responses).reshape(n, -1).all(1)
            if bad.any():
                raise ValueError(f"first_responses[{int(np.argmax(bad))}] are not finite")

    def check_catalogue(self, n_items: int) -> None:
        """Raise ValueError where a first history holds an item outside a catalogue."""
        if self.first_items is None:
            return
        outside = ((self.first_items < -1) | (self.first_items >= n_items)).any(1)
        if outside.any():
            row = int(np.argmax(outside))
            raise ValueError(
                f"first_items[{row}] = {self.first_items[row].tolist()} leaves the catalogue: ids "
                f"are -1 (none) or 0..{n_items - 1} ({outside.sum()} of {len(self)} users)"
            )

    def __len__(self) -> int:
        return len(self.interests)

    def first_histories(
        self, length: int, n_responses: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The last H = `length` items (U, H) and responses (U, H, R), padded on the left."""
        items = np.full((len(self), length), -1, np.int32)
        responses = np.zeros((len(self), length, n_responses), np.float32)
        if self.first_items is None:
            return items, responses
        h = min(length, self.first_items.shape[1])
        if h:
            items[:, length - h :] = self.first_items[:, -h:]
        if h and self.first_responses is not None:
            r = self.first_responses.shape[2]
            if r != n_responses:
                raise ValueError(f"first_responses has {r} responses, this world {n_responses}")
            responses[:, length - h :] = self.first_responses[:, -h:]
        return items, responses
