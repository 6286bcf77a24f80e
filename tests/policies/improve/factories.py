"""Policies of fixed scores over a handful of items."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy import LoggedDataset
from policies import Exploration, Observation, Policy, Saved, ScorePolicy, Serving, act
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


GAINS = np.array([0.1, 0.3, 0.5, 0.8])  # what an item pays on average
PLACES = np.array([1.0, 0.5])  # how much of it at each place


def served(policy: Policy, n: int, seed: int, steps: int = 2, **more: Any) -> LoggedDataset:
    """Sessions of a fixed length in which every slate pays the gains of its items, and noise."""
    rng = np.random.default_rng(seed)
    decision = act(policy, rows(n * steps), rng)
    step = np.tile(np.arange(steps), n)
    paid = GAINS[decision.slate] @ PLACES + rng.normal(0, 0.5, n * steps)
    columns: dict[str, Any] = {
        "session": np.repeat(np.arange(n), steps),
        "step": step,
        "slate": decision.slate,
        "propensity": decision.propensity,
        "position_propensity": decision.position_propensity,
        "reward": paid,
        "n_items": A,
        "terminated": step == steps - 1,
        "consumed": decision.slate[:, 0],
        "responses": paid[:, None],
        "context": np.zeros((n * steps, 1)),
    }
    return LoggedDataset.from_columns(**columns | more)


def truth(policy: Policy, steps: int = 2) -> float:
    """What a session of `served` pays on average, over all slates."""
    return float(steps * table(policy) @ (GAINS[all_slates()] @ PLACES))
