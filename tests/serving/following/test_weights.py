"""Mean weights: bounds that hold for rare and heavy weights, and that see wrong propensities."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from serving.following.weights import FirstPlaceWeights, SlateWeights
from tests.serving.rollout.traffic import decision

LEVEL = 0.999999


def weights(played: np.ndarray, said: np.ndarray, n: int, seed: int) -> FirstPlaceWeights:
    """Of n decisions that are read."""
    found, rng, nth = FirstPlaceWeights(), np.random.default_rng(seed), 0
    table = tuple(map(float, said))
    while found.n < n:
        first = int(rng.choice(len(played), p=played))
        one = decision(nth, "u", 0.0, slate=(first, 0), candidate_propensity=table)
        found.add(replace(one, position_propensity=(table[first], 0.5)))
        nth += 1
    return found


@pytest.mark.parametrize("seed", range(20))
def test_a_policy_that_is_almost_sure_is_not_stopped(seed: int) -> None:
    """At 60 weights the rare ones, which carry half of the mean, may all be missing."""
    sure = np.append(0.99, np.full(200, 0.01 / 200))
    low, high = weights(sure, sure, 60, seed).bounds(LEVEL)
    assert low is not None
    assert high is not None
    assert low <= 1 <= high


def test_wrong_propensities_are_seen() -> None:
    true = np.array([0.6, 0.2, 0.1, 0.1])
    low, high = weights(true, true, 2_000, 0).bounds(LEVEL)
    assert low is not None
    assert high is not None
    assert 0.9 < low <= 1 <= high < 1.1
    flat = np.array([0.3, 0.3, 0.2, 0.2])  # what it says, while it plays something more sure
    low, high = weights(true, flat, 4_000, 0).bounds(LEVEL)
    assert high is not None
    assert high < 1


def test_weights_that_do_not_vary_are_one() -> None:
    flat = np.full(4, 0.25)
    low, high = weights(flat, flat, 100, 0).bounds(LEVEL)
    assert low is not None
    assert high is not None
    assert low <= 1 <= high
    assert weights(flat, flat, 29, 0).bounds(LEVEL) == (None, None)


def test_a_shadow_unlike_what_is_live_is_not_stopped() -> None:
    rng = np.random.default_rng(0)
    found, alike = SlateWeights(), SlateWeights()
    for _ in range(2_000):
        drawn = float(rng.uniform(0.001, 0.01))
        found.add(drawn * 1e-3, drawn)  # the few slates that the shadow would show are not here
        alike.add(drawn * float(rng.choice([0.5, 1.5])), drawn)
    found.add(0.05, 0.001)
    _, high = found.bounds(LEVEL)
    assert high is not None
    assert high > 1
    low, high = alike.bounds(LEVEL)
    assert low is not None
    assert high is not None
    assert 0.9 < low < 1 < high < 1.1


@pytest.mark.parametrize(
    ("first", "table"), [(0.0, (0.5, 0.5)), (-0.1, (0.5, 0.5)), (0.5, ()), (0.5, (0.0, 0.0))]
)
def test_what_was_drawn_with_no_chance_by_the_log_is_a_wrong_propensity(
    first: float, table: tuple[float, ...]
) -> None:
    found = FirstPlaceWeights()
    for nth in range(40):
        well = decision(nth, "u", 0.0, position_propensity=(0.5, 0.5))
        said = (0.5, 0.5) if nth else table
        one = replace(well, candidate_propensity=said)
        found.add(one if nth else replace(one, position_propensity=(first, 0.5)))
    low, high = found.bounds(LEVEL)
    assert low is not None
    assert high is not None
    assert 1 < low <= high < np.inf


def test_a_slate_that_was_shown_with_no_chance_by_the_log_leaves_the_weights_finite() -> None:
    found = SlateWeights()
    for nth in range(40):
        found.add(0.25, 0.0 if nth == 7 else 0.25)
    assert all(bound is not None and np.isfinite(bound) for bound in found.bounds(LEVEL))


def test_a_shadow_that_is_as_sure_of_other_slates_is_not_stopped() -> None:
    """Both show one slate in 97 of 100 draws, the same one at three of ten states: what is live
    hardly ever draws the slates that would bring the mean to 1."""
    rng, found, rare = np.random.default_rng(0), SlateWeights(), 0.03 / 5000
    for _ in range(560):
        drawn = 0.97 if rng.random() < 0.97 else rare
        found.add(drawn if rng.random() < 0.3 else rare, drawn)
    mean = found.total / found.n
    assert mean < 0.5
    _, high = found.bounds(LEVEL)
    assert high is not None
    assert high > 1
