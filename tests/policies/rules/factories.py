"""Twelve items of four groups, three of them sponsored, and users whom rules are tried on."""

from __future__ import annotations

import numpy as np

from policies import Observation
from policies.baselines.popularity import Popularity
from policies.score_policy import Exploration, ScorePolicy
from tests.factories import make_observation, make_serving

A, C, K = 12, 8, 3
GROUP = np.repeat(np.arange(4), 3).astype(np.int32)  # items 0 1 2 are of group 0, ...
SPONSORED = np.arange(A) >= 9
VECTORS = np.random.default_rng(0).normal(size=(A, 4)).astype(np.float32)
SERVING = make_serving(A, slate_size=K, history_length=2, n_candidates=C, item_features=VECTORS)


def popular(epsilon: float = 0.3, temperature: float | None = 1.0) -> ScorePolicy:
    counts = np.exp(np.random.default_rng(3).normal(size=A)) * 5
    rule = Exploration(temperature=temperature, epsilon=epsilon)
    return ScorePolicy(Popularity(SERVING, counts), rule)


def users(n: int, seed: int = 0) -> Observation:
    """Every offer holds sponsors 9 and 10, so that the quota can always be met."""
    rng = np.random.default_rng(seed)
    others = rng.random((n, 9)).argsort(axis=1)[:, : C - 2]
    both = np.tile([9, 10], (n, 1))
    histories = rng.integers(-1, 9, size=(n, 2))
    return make_observation(histories, candidates=np.concatenate([others, both], axis=1))
