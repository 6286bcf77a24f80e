"""Slates of agents that choose for every position by itself, as an environment fixes repeats."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.slates.distributions import RandomSource, top_places

Bool = NDArray[np.bool_]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True, slots=True, eq=False)
class FixedChoices:
    """An independent choice at each position; from the top, one that repeats an item or must not be
    shown becomes the first column that is neither. Exact: given the places above, such a column has
    the mass of all that it stands in for.

    chance: (B, K, C), sums to 1 over C. eligible: (B, C), or None where all may be shown.
    """

    chance: F64
    eligible: Bool | None = None

    def sample(self, rng: RandomSource) -> I32:
        with np.errstate(divide="ignore"):
            logits = np.log(self.chance)
        b, k, c = self.chance.shape
        noise = rng.gumbel(size=(b, k * c)).reshape(b, k, c)
        return self._fixed((logits + noise).argmax(axis=2).astype(np.int32))

    def prefix(self, slate: I32) -> F64:
        left, rows = self._open(), np.arange(len(slate))
        reached, out = np.ones(len(slate)), np.empty(slate.shape)
        for place in range(slate.shape[1]):
            now, none = self._place(left, place), ~left.any(axis=1)
            column = slate[:, place]
            shown = np.maximum(column, 0)
            reached = reached * np.where(column >= 0, now[rows, shown], none)
            out[:, place] = reached
            left[rows, shown] &= column < 0
        return out

    def first_place(self) -> F64:
        return self._place(self._open(), 0)

    def ranking(self, places: int) -> I32:
        """The likeliest choice of each position, fixed; then the others by the first position."""
        width = self.chance.shape[2]
        slate = self._fixed(self.chance.argmax(axis=2).astype(np.int32))[:, :places]
        if slate.shape[1] == places:
            return slate
        rows = np.arange(len(slate))[:, None]
        first = np.where(self._open(), self.first_place(), -np.inf)
        first[rows, np.maximum(slate, 0)] = -np.inf
        more = top_places(first, min(places, width) - slate.shape[1])
        return np.concatenate([slate, more], axis=1).astype(np.int32)

    def _open(self) -> Bool:
        b, _, c = self.chance.shape
        return np.ones((b, c), np.bool_) if self.eligible is None else self.eligible.copy()

    def _place(self, left: Bool, place: int) -> F64:
        """Chance (B, C) of each column at a place, where those in `left` (B, C) can stand."""
        now = np.where(left, self.chance[:, place], 0.0)
        lost = np.where(left, 0.0, self.chance[:, place]).sum(axis=1)
        now[np.arange(len(now)), left.argmax(axis=1)] += lost
        return np.where(left, now, 0.0)

    def _fixed(self, chosen: I32) -> I32:
        """Slates (B, K) of choices (B, K); -1 where nothing is left."""
        left, rows = self._open(), np.arange(len(chosen))
        out = np.empty_like(chosen)
        for place in range(chosen.shape[1]):
            column, some = chosen[:, place], left.any(axis=1)
            column = np.where(left[rows, column], column, left.argmax(axis=1))
            out[:, place] = np.where(some, column, -1)
            left[rows, column] = False
        return out
