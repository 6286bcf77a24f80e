"""A small catalogue, and a policy of it whose versions like other items."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from policies import Exploration, Observation, Policy, ScorePolicy, Serving
from tests.factories import make_serving
from tests.serving.factories import names_of

A, C, K = 30, 8, 3
SERVING = make_serving(A, slate_size=K, n_candidates=C, history_length=4, user_size=0)
NAMES = names_of(A)


@dataclass
class Shifted:
    """Likes items by their numbers, from `first` on, and what is near the last item taken."""

    first: int = 0
    serving: Serving = SERVING

    def scores(self, obs: Observation) -> np.ndarray:
        assert obs.candidates is not None
        near = np.abs(obs.candidates - obs.history_items[:, -1:])
        return -((obs.candidates - self.first) % A) / 3.0 - near / 2

    def update(self, log: Any) -> dict[str, float]:
        return {}


def soft(scorer: Any) -> Policy:
    return ScorePolicy(scorer, Exploration(temperature=1.0))


def shifted(first: int, **sizes: Any) -> Policy:
    """A policy that likes items from `first` on."""
    return soft(Shifted(first, replace(SERVING, **sizes)))
