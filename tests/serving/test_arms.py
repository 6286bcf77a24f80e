"""Arms: uniform, kept while the weight grows, and independent between rollouts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from serving.arms import Split, arm_point, arm_points
from serving.contracts.events import read_event
from serving.contracts.shadows import ShadowEvent
from serving.keys import Keys

USERS = [Keys(b"sixteen bytes or more").user(f"user {i}") for i in range(20_000)]


def split(weight: float, salt: str = "a") -> Split:
    return Split(weight=weight, salt=salt, rollout="r")


def test_points_are_uniform() -> None:
    """Kolmogorov's distance of 20,000 points, which is above 1.95 / sqrt(n) once in 1,000 times."""
    points = np.sort(arm_points("a salt", USERS))
    assert 0 <= points[0] <= points[-1] < 1
    n = len(points)
    apart = max(np.max(np.arange(1, n + 1) / n - points), np.max(points - np.arange(n) / n))
    assert apart < 1.95 / math.sqrt(n)
    assert arm_point("a salt", USERS[7]) == arm_points("a salt", USERS)[7]


def test_arms_of_several_salts_are_independent() -> None:
    """Users in both canaries of two rollouts: the product of the shares, within 4 standard errors,
    for each of the pairs of 6 salts; and a stale salt would put all of them there."""
    weight, n = 0.3, len(USERS)
    arms = [split(weight, salt).canary(USERS) for salt in ("a", "b", "", "A", "rollout 1", "x" * 99)
            if salt]  # fmt: skip
    error = math.sqrt(weight**2 * (1 - weight**2) / n)
    for i, one in enumerate(arms):
        assert abs(one.mean() - weight) < 4 * math.sqrt(weight * (1 - weight) / n)
        for other in arms[:i]:
            assert abs((one & other).mean() - weight**2) < 4 * error


def test_users_keep_their_arm_while_the_weight_grows() -> None:
    before = np.zeros(len(USERS), np.bool_)
    for weight in (0.0, 0.01, 0.05, 0.25, 0.5, 1.0):
        now = split(weight).canary(USERS)
        assert (now | ~before).all(), "somebody lost the canary"
        assert abs(now.mean() - weight) < 4 * math.sqrt(0.25 / len(USERS))
        before = now
    assert before.all()
    assert not split(0.0).canary(USERS).any()


def test_a_point_is_the_same_everywhere_and_always() -> None:
    """A constant of the hash: another one would move users between arms at an upgrade."""
    assert arm_point("salt", "user") == 0.5663157156774039


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"weight": 1.1}, "weight is 1.1; a share lies in 0..1"),
        ({"weight": float("nan")}, "weight is nan"),
        ({"salt": ""}, "salt is 0 characters"),
        ({"rollout": ""}, "rollout is 0 characters"),
        ({"rollout": "r" * 255}, "rollout@weight is 260 characters"),
    ],
)
def test_what_is_no_split(given: dict[str, float | str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Split(**{"weight": 0.25, "salt": "s", "rollout": "r"} | given)  # type: ignore[arg-type]
    assert split(0.25).stratum == "r@0.25"


def test_a_shadows_event_comes_back_as_it_was() -> None:
    event = ShadowEvent(
        decision_id="r1", time=12.0, user="ab", policy="new", policy_sha256="", live_policy="old",
        live_propensity=0.1 + 0.2, propensity=None, total_variation=1 / 3, worked_ms=2.0,
        together=3, error="ValueError: NaN",
    )  # fmt: skip
    assert read_event(event.to_json()) == event
