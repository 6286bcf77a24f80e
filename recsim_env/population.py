"""Users to draw sessions from: their interests, what they consumed before, and their traits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.columns import as_numbers, as_reals, check_rows


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """U users to draw sessions from: their interests and what they consumed before.

    `first_items` is padded on the LEFT with -1, most recent last, as histories are.

    Raises ValueError naming the array and the row that break a rule.
    """

    interests: NDArray[np.float32]  # (U, D)
    first_items: NDArray[np.int32] | None = None  # (U, H0)
    first_responses: NDArray[np.float32] | None = None  # (U, H0, R)
    traits: Mapping[str, NDArray[Any]] = field(default_factory=dict)  # what else a model reads

    def __post_init__(self) -> None:
        given = as_numbers("interests", self.interests)
        if given.ndim == 0 or len(given) == 0:
            raise ValueError("a population needs at least one user, got interests of shape (0, D)")
        n = len(given)
        object.__setattr__(self, "interests", as_reals("interests", given, n, of="users", ndim=2))
        for name, trait in self.traits.items():
            if not np.isfinite(as_numbers(f"trait {name!r}", trait)).all():
                raise ValueError(f"trait {name!r} holds a number that is not finite")
        if self.first_items is None:
            if self.first_responses is not None:
                raise ValueError("first_responses came without first_items; give both or neither")
            return
        items = as_numbers("first_items", self.first_items)
        object.__setattr__(self, "first_items", items)
        if items.ndim != 2 or len(items) != n:
            raise ValueError(
                f"first_items has {len(items) if items.ndim else 0} rows for {n} users, shape "
                f"{items.shape}: one row each, (U, H0)"
            )
        if items.dtype.kind not in "iu":
            raise ValueError(
                f"first_items are {items.dtype}: item ids are whole numbers, -1 = none"
            )
        known = items >= 0
        gap = known[:, :-1] & ~known[:, 1:]
        if gap.any():
            row = int(np.argmax(gap.any(1)))
            raise ValueError(f"first_items[{row}] has a -1 after an item; pad with -1 on the left")
        if self.first_responses is not None:
            seen = as_numbers("first_responses", self.first_responses)
            if seen.ndim != 3 or seen.shape[:2] != items.shape:
                raise ValueError(
                    f"first_responses {seen.shape} and first_items {items.shape} must agree: give "
                    "(U, H0, R) and (U, H0)"
                )
            bad = ~np.isfinite(seen).reshape(n, -1).all(1)
            if bad.any():
                raise ValueError(f"first_responses[{int(np.argmax(bad))}] are not finite")
            large = np.abs(seen, dtype=np.float64) > np.finfo(np.float32).max
            check_rows("first_responses", large, "is beyond float32", seen)
            object.__setattr__(self, "first_responses", seen.astype(np.float32, copy=False))

    def __len__(self) -> int:
        return len(self.interests)

    def check_fits(self, *, n_items: int, width: int, n_responses: int) -> None:
        """Raise ValueError where a population is of another world than a catalogue of these items
        and vectors, whose users answer with so many numbers."""
        if self.interests.shape[1] != width:
            raise ValueError(
                f"interests have {self.interests.shape[1]} dimensions and item vectors {width}"
            )
        if self.first_items is not None:
            outside = ((self.first_items < -1) | (self.first_items >= n_items)).any(1)
            if outside.any():
                row = int(np.argmax(outside))
                raise ValueError(
                    f"first_items[{row}] = {self.first_items[row].tolist()} leaves the catalogue: "
                    f"ids are -1 (none) or 0..{n_items - 1} ({outside.sum()} of {len(self)} users)"
                )
        if self.first_responses is not None and self.first_responses.shape[2] != n_responses:
            raise ValueError(
                f"first_responses has {self.first_responses.shape[2]} responses, this world "
                f"{n_responses}"
            )

    def first_histories(
        self, length: int, n_responses: int
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The last h items (U, h) and responses (U, h, R) of those had before, at most `length`;
        -1 and 0 where there is none."""
        if self.first_items is None:
            return np.zeros((len(self), 0), np.int32), np.zeros((len(self), 0, n_responses), "f4")
        h = min(length, self.first_items.shape[1])
        first = self.first_items.shape[1] - h
        items = np.ascontiguousarray(self.first_items[:, first:], np.int32)
        if self.first_responses is None:
            return items, np.zeros((len(self), h, n_responses), np.float32)
        return items, np.ascontiguousarray(self.first_responses[:, first:], np.float32)
