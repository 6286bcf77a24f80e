"""Thompson sampling with a propensity: a fixed set of posterior draws, each as likely."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from policies.slates.distributions import RandomSource, SlateDistribution, TopK
from policies.slates.sequential import Adjustment, Sequential

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Draws:
    """Each row shows the best slate of one of S draws: probabilities are multiples of 1 / S."""

    scores: Callable[[], Iterable[F64]]  # of each draw (B, C), -inf = not eligible; one at a time
    mean: F64  # (B, C) posterior mean: what `ranking` goes by
    places: int
    adjustments: tuple[Adjustment, ...] = ()  # of rules and re-ranking objectives

    @cached_property
    def slates(self) -> I32:
        """(S, B, K)."""
        return np.stack([self._best(one, self.places) for one in self.scores()])

    def adjusted(self, adjustments: tuple[Adjustment, ...]) -> SlateDistribution:
        """The slate of every draw is filled under these adjustments, too."""
        return replace(self, adjustments=self.adjustments + adjustments)

    def sample(self, rng: RandomSource) -> I32:
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
        return self._best(self.mean, places)

    def _best(self, scores: F64, places: int) -> I32:
        if not self.adjustments:
            return TopK(scores, places).ranking(places)
        return Sequential(scores, places, self.adjustments, greedy=True).ranking(places)
