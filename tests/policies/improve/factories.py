"""Policies of fixed scores over a handful of items."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy import LoggedDataset
from policies import Exploration, Observation, Policy, Saved, ScorePolicy, Serving
from tests.factories import make_observation, make_serving

A, K = 4, 2


@dataclass(slots=True)
class Fixed:
    """A number for each item, whoever is served; `calls` counts how often it was asked."""

    serving: Serving
    weight: NDArray[np.float64]
    calls: int = 0

    def scores(self, obs: Observation) -> NDArray[np.float64]:
        self.calls += 1
        return np.broadcast_to(self.weight, (len(obs), len(self.weight)))

    def update(self, log: LoggedDataset) -> dict[str, float]:
        self.weight = self.weight + 1.0 * np.arange(len(self.weight))
        return {}

    def saved(self) -> Saved:
        return Saved(arrays={"weight": self.weight})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(serving, saved.arrays["weight"])


def fixed(weight: ArrayLike, temperature: float | None = 1.0, epsilon: float = 0.0) -> ScorePolicy:
    """The policy of these scores in slates of two."""
    scores = np.asarray(weight, float)
    model = Fixed(make_serving(len(scores), slate_size=K), scores)
    return ScorePolicy(model, Exploration(temperature=temperature, epsilon=epsilon))


def rows(n: int = 1, **settings: Any) -> Observation:
    return make_observation(np.full((n, 3), -1), **settings)


def all_slates(n_items: int = A, places: int = K) -> NDArray[np.int32]:
    """Every ordered slate."""
    return np.array(list(permutations(range(n_items), places)), np.int32)


def table(policy: Policy, n_items: int = A, **settings: Any) -> NDArray[np.float64]:
    """The probability of every ordered slate for one user."""
    slates = all_slates(n_items)
    return policy.distribution(rows(len(slates), **settings)).prefix(slates)[:, -1]
