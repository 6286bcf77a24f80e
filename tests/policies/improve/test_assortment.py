"""The best slate of a multinomial logit, against every slate there is."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from policies.improve.assortment import marginal_values

F64 = NDArray[np.float64]


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


def test_marginal_values_by_hand() -> None:
    """One place, odds 1 and 1, values 4 and 1: alone the items are worth 4 / 2 and 1 / 2."""
    gain = marginal_values(np.ones((1, 2)), np.array([[4.0, 1.0]]), 1, np.ones((1, 2), bool))
    np.testing.assert_allclose(gain, [[2.0, 0.5]])

    # two places, odds 1, values 6, 3, 0: both first are worth 9 / 3. The second one is missed
    # least, so the third one stands beside the first: 6 / 3 instead of the first's 6 / 2
    value = np.array([[6.0, 3.0, 0.0]])
    gain = marginal_values(np.ones((1, 3)), value, 2, np.ones((1, 3), bool))
    np.testing.assert_allclose(gain, [[3.0 - 1.5, 3.0 - 3.0, 2.0 - 3.0]])


def test_items_that_are_nearly_as_good_have_nearly_the_same_value() -> None:
    """Items that are surely taken and differ by a thousandth in value: a draw by softmax must not
    prefer one that nobody takes to them."""
    weight = np.array([[300.0, 300.0, 0.001]])
    gain = marginal_values(weight, np.array([[1.001, 1.0, 1.0]]), 1, np.ones((1, 3), bool))
    np.testing.assert_allclose(gain, [[0.99767, 0.99668, 0.00100]], atol=1e-5)


def test_each_value_is_a_difference_of_slates() -> None:
    """Against every slate that there is: what is added to the other items, and where an item is not
    in the best slate, to what is left of it without the item that is missed least."""
    rng = np.random.default_rng(1)
    weight, value = rng.gamma(1.0, 1.0, (50, 6)), rng.normal(1.0, 2.0, (50, 6))
    gain = marginal_values(weight, value, 3, np.ones((50, 6), bool))
    for row, (w, v) in enumerate(zip(weight, value, strict=True)):

        def worth(slate: set[int], w: F64 = w, v: F64 = v) -> float:
            items = sorted(slate)
            return float(w[items] @ v[items] / (1 + w[items].sum()))

        best = max(map(set, combinations(range(6), 3)), key=worth)
        rest = max((best - {i} for i in best), key=worth)
        by_hand = [
            worth(best) - worth(best - {i}) if i in best else worth(rest | {i}) - worth(rest)
            for i in range(6)
        ]
        np.testing.assert_allclose(gain[row], by_hand, atol=1e-9)
