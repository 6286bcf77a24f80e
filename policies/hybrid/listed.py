"""A distribution over a short list, as one over the whole catalogue: other items have chance 0."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.slates.distributions import RandomSource, SlateDistribution
from policies.slates.sequential import Adjustment, SlateState, adjusted

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Listed:
    """Slates of catalogue columns that are drawn from a list; probabilities are those of `inner`,
    exactly."""

    inner: SlateDistribution  # over the list's columns
    items: I32  # (B, L) catalogue columns of the list, each once
    columns: int  # of the catalogue

    def sample(self, rng: RandomSource) -> I32:
        return self._of_list(self.inner.sample(rng))

    def prefix(self, slate: I32) -> F64:
        match = self.items[:, None, :] == slate[:, :, None]
        there = match.any(axis=2)
        column = np.where(there, match.argmax(axis=2), -1).astype(np.int32)
        known = np.logical_and.accumulate(there | (slate < 0), axis=1)
        chance: F64 = np.where(known, self.inner.prefix(column), 0.0)
        return chance

    def first_place(self) -> F64:
        out = np.zeros((len(self.items), self.columns))
        np.put_along_axis(out, self.items.astype(np.int64), self.inner.first_place(), axis=1)
        return out

    def ranking(self, places: int) -> I32:
        """The list's items; -1 where it is shorter."""
        found = np.full((len(self.items), places), -1, np.int32)
        few = min(places, self.items.shape[1])
        found[:, :few] = self._of_list(self.inner.ranking(few))
        return found

    def adjusted(self, adjustments: tuple[Adjustment, ...]) -> SlateDistribution:
        """Under rules and objectives over the catalogue's columns."""
        mine = tuple(_OfList(one, self.items) for one in adjustments)
        return Listed(adjusted(self.inner, mine), self.items, self.columns)

    def _of_list(self, column: I32) -> I32:
        found = np.take_along_axis(self.items, np.maximum(column, 0), axis=1)
        return np.where(column < 0, np.int32(-1), found).astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class _OfList:
    """An adjustment over the catalogue, as the list sees it."""

    adjustment: Adjustment
    items: I32  # (B, L)

    def __call__(self) -> SlateState:
        return _ListState(self.adjustment(), self.items)


@dataclass(frozen=True, slots=True, eq=False)
class _ListState:
    state: SlateState
    items: I32

    def logits(self) -> F64:
        return np.take_along_axis(self.state.logits(), self.items, axis=1)

    def required(self) -> tuple[Bool, I64] | None:
        quota = self.state.required()
        return None if quota is None else (np.take_along_axis(quota[0], self.items, 1), quota[1])

    def place(self, column: I64) -> None:
        found = np.take_along_axis(self.items, np.maximum(column, 0)[:, None], axis=1)[:, 0]
        self.state.place(np.where(column < 0, -1, found).astype(np.int64))
