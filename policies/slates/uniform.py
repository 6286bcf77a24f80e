"""Uniform slates, also under adjustments, at little cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from policies.slates.distributions import RandomSource
from policies.slates.sequential import Adjustment, next_logits, place_columns

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
FINE = 2**52  # parts of 1 that a column is drawn by


@dataclass(frozen=True, slots=True, eq=False)
class UniformSlates:
    """At each place one of the columns that are open then, all alike: one number is drawn for a
    place, where a softmax over C columns draws C.

    logits: (B, C), -inf = not eligible; other values count as 0, those of adjustments too.
    """

    logits: F64
    places: int
    adjustments: tuple[Adjustment, ...] = ()

    def adjusted(self, adjustments: tuple[Adjustment, ...]) -> UniformSlates:
        """The same under more adjustments."""
        return replace(self, adjustments=self.adjustments + adjustments)

    def sample(self, rng: RandomSource) -> I32:
        return self.drawn(rng)[0]

    def drawn(self, rng: RandomSource) -> tuple[I32, F64]:
        """A sample and its `prefix`, in one pass."""

        def nth(place: int, free: Bool, many: I64) -> I64:
            share = rng.integers(FINE, size=len(many)) / FINE
            least = np.minimum((share * many).astype(np.int64), many - 1)
            column = (free.cumsum(axis=1, dtype=np.int32) > least[:, None]).argmax(axis=1)
            return np.where(many > 0, column, -1)

        return self._filled(self.places, nth)

    def prefix(self, slate: I32) -> F64:
        return self._filled(slate.shape[1], lambda place, free, many: slate[:, place])[1]

    def ranking(self, places: int) -> I32:
        def lowest(place: int, free: Bool, many: I64) -> I64:
            return np.where(many > 0, free.argmax(axis=1), -1)

        return self._filled(places, lowest)[0]

    def first_place(self) -> F64:
        states = [start() for start in self.adjustments]
        free = next_logits(self.logits, states, self.places) > -np.inf
        share: F64 = free / np.maximum(free.sum(axis=1, keepdims=True), 1)
        return share

    def _filled(
        self, places: int, choose: Callable[[int, Bool, I64], NDArray[np.integer]]
    ) -> tuple[I32, F64]:
        """Slates (B, places) of the columns (B,) that `choose` gives for the number of a place,
        what is open (B, C) and how many that are (B,); and their prefix probabilities."""
        states, left = [start() for start in self.adjustments], self.logits.copy()
        rows, reached = np.arange(len(left)), np.ones(len(left))
        slate, prefix = np.empty((len(left), places), np.int32), np.empty((len(left), places))
        for place in range(places):
            free = next_logits(left, states, places - place) > -np.inf
            many = free.sum(axis=1)
            column = choose(place, free, many).astype(np.int64)
            chance = free[rows, column] / np.maximum(many, 1)
            reached = reached * np.where(column >= 0, chance, many == 0)
            slate[:, place], prefix[:, place] = column, reached
            place_columns(left, states, column)
        return slate, prefix
