"""One decision: numbers worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import Terms, estimate, interval

T = Terms(
    weight=[2.0, 0.5, 4.0, 0.0],
    reward=[1.0, 0.0, 1.0, 1.0],
    q_logged=[0.5, 0.5, 0.25, 0.5],
    v_target=[0.5, 0.25, 0.5, 0.75],
    unit=[0, 1, 2, 3],
)

BY_HAND = {
    "ips": 6 / 4,  # (2 + 0 + 4 + 0) / 4
    "clipped_ips": 5 / 4,  # cap 3: (2 + 0 + 3 + 0) / 4
    "snips": 6 / 6.5,
    "dm": 2 / 4,
    "dr": (2 + 2 * 0.5 - 0.5 * 0.5 + 4 * 0.75) / 4,
    "sndr": 2 / 4 + (1 - 0.25 + 3) / 6.5,
    "clipped_dr": (2 + 1 - 0.25 + 3 * 0.75) / 4,
    "switch_dr": (2 + 1 - 0.25) / 4,  # threshold 3 drops the third row's residual
    "dros": (2 + (16 / 8) * 0.5 * 1 / 2 * 2 + 0) / 4,  # replaced below
}
SETTINGS = {
    "clipped_ips": {"cap": 3.0},
    "clipped_dr": {"cap": 3.0},
    "switch_dr": {"threshold": 3.0},
    "dros": {"shrinkage": 4.0},
}
# shrinkage 4: w -> 4 w / (w^2 + 4): 2 -> 1, 0.5 -> 8/17, 4 -> 0.8, 0 -> 0
BY_HAND["dros"] = (2 + 1 * 0.5 - 8 / 17 * 0.5 + 0.8 * 0.75) / 4


@pytest.mark.parametrize("name", BY_HAND)
def test_value_by_hand(name: str) -> None:
    found = estimate(T, name, **SETTINGS.get(name, {}))
    assert found.value == pytest.approx(BY_HAND[name], abs=1e-12)


def test_snips_error_is_the_delta_methods() -> None:
    """sqrt(sum w^2 (r - V)^2) / sum w, times the small-sample factor."""
    value = 6 / 6.5
    w, r = np.array([2, 0.5, 4, 0]), np.array([1.0, 0, 1, 1])
    by_hand = np.sqrt((w**2 * (r - value) ** 2).sum()) / 6.5 * np.sqrt(4 / 3)
    assert interval(estimate(T, "snips")).se == pytest.approx(by_hand, abs=1e-12)


def test_bias_of_clipping_by_hand() -> None:
    """At cap 1 the weights used average (1 + .5 + 1 + 0)/4 = .625, so .375 of the truth, times
    rewards in [0, 1], may be missing. At cap 3 they average 1.375, more than the truth's 1: then
    what was cut, 1/4, stands in. Above the largest weight nothing changes and nothing is lost."""
    assert estimate(T, "clipped_ips", cap=3.0).bias == pytest.approx((0.0, 0.25))
    assert estimate(T, "clipped_ips", cap=4.0).bias == (0.0, 0.0)
    assert estimate(T, "clipped_ips", cap=1.0).bias == pytest.approx((0.0, 0.375))


def test_unbiased_by_enumeration() -> None:
    """Every (action, reward) outcome of one decision, weighted by its logging probability, sums to
    the target's value for each unbiased estimator, whatever the model says."""
    pi_b, pi_e = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.2, 0.7])
    p_one = np.array([0.2, 0.5, 0.9])  # probability that the reward is 1
    q = np.array([0.9, 0.1, 0.4])
    v = float(pi_e @ q)
    sums = dict.fromkeys(("ips", "dr"), 0.0)
    for a in range(3):
        for r in (0, 1):
            chance = pi_b[a] * (p_one[a] if r else 1 - p_one[a])
            t = Terms([pi_e[a] / pi_b[a]], [r], [q[a]], [v], [0])
            for name in sums:
                sums[name] += chance * estimate(t, name).value
    for total in sums.values():
        assert total == pytest.approx(float(pi_e @ p_one), abs=1e-12)
