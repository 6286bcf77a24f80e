"""Thompson sampling with a propensity: a fixed set of posterior draws, each as likely."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.slates import top_places

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
DEEP = 64  # columns of each draw that are kept in order


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """Each row shows the best slate of one of S draws: probabilities are multiples of 1 / S."""

    slates: I32  # (S, B, K)
    mean: F64  # (B, C) posterior mean, -inf = not eligible: what `ranking` goes by
    order: I32  # (S, B, R) each draw's best columns, for rules that close some; R <= DEEP

    @classmethod
    def of(cls, scores: Iterable[F64], mean: F64, places: int) -> Draws:
        """From each draw's scores (B, C)."""
        deep = max(places, min(DEEP, mean.shape[1]))
        order = np.stack([top_places(one, deep) for one in scores])
        return cls(order[:, :, :places], mean, order)

    def rankings(self) -> Iterator[F64]:
        """Scores (B, C) of each draw that rank as it does; -inf below its R best."""
        for best in self.order:
            scores = np.full(self.mean.shape, -np.inf)
            rows, place = np.nonzero(best >= 0)
            scores[rows, best[rows, place]] = -place.astype(np.float64)
            yield scores

    def sample(self, rng: np.random.Generator) -> I32:
        count, rows, _ = self.slates.shape
        drawn: I32 = self.slates[rng.integers(count, size=rows), np.arange(rows)]
        return drawn

    def prefix(self, slate: I32) -> F64:
        same = np.logical_and.accumulate(self.slates == slate[None], axis=2)
        chance: F64 = same.mean(axis=0)
        return chance

    def first_place(self) -> F64:
        out = np.zeros(self.mean.shape)
        first = self.slates[:, :, 0]
        rows = np.broadcast_to(np.arange(first.shape[1]), first.shape)
        shown = first >= 0
        np.add.at(out, (rows[shown], first[shown]), 1 / len(first))
        return out

    def ranking(self, places: int) -> I32:
        return top_places(self.mean, places)
