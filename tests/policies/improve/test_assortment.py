"""The best slate of a multinomial logit, against every slate there is."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from policies.improve.assortment import marginal_values


def test_the_best_slate_is_found_among_all() -> None:
    rng = np.random.default_rng(0)
    weight, value = rng.gamma(1.0, 1.0, (200, 7)), rng.normal(1.0, 2.0, (200, 7))
    eligible = rng.random((200, 7)) < 0.8
    eligible[:, :3] = True
    gain = np.where(eligible, marginal_values(weight, value, 3, eligible), -np.inf)
    found = np.argsort(-gain, axis=1)[:, :3]
    for row in range(200):
        worth = {
            slate: float(w @ value[row, list(slate)] / (1 + w.sum()))
            for slate in combinations(np.flatnonzero(eligible[row]).tolist(), 3)
            for w in [weight[row, list(slate)]]
        }
        best = max(worth, key=lambda s: worth[s])
        assert tuple(sorted(found[row].tolist())) == best


def test_a_marginal_value_by_hand() -> None:
    """Odds 1 and 1, values 4 and 1, one place: the slate of the first is worth 4 / 2 = 2; the
    first adds 1 x (4 - 2) / 2 = 1, the second 1 x (1 - 2) / 2."""
    gain = marginal_values(np.ones((1, 2)), np.array([[4.0, 1.0]]), 1, np.ones((1, 2), bool))
    np.testing.assert_allclose(gain, [[1.0, -0.5]])
