"""First passages and sample sizes: closed forms, and a slow twin that walks."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from offpolicy import GateRule
from offpolicy.intervals.bounds import WATCHED, sequence_radius
from offpolicy.plan.boundary import TUNED, drift_to_see, mean_time, passage, time_by, units_to_see
from offpolicy.plan.widening import Influences, errors_below

ALPHA, LOOKS = 0.1, 50


def walked(drift: float, runs: int = 20_000, wider: float = 1.0) -> np.ndarray:
    """Times of first passage of walks of LOOKS steps; infinite where there is none."""
    rng = np.random.default_rng(0)
    steps = rng.normal(drift / LOOKS, LOOKS**-0.5, (runs, LOOKS))
    at = np.arange(1, LOOKS + 1) / LOOKS
    over = steps.cumsum(1) >= np.sqrt(at) * sequence_radius(at / TUNED, ALPHA) * wider
    return np.where(over.any(1), at[over.argmax(1)], np.inf)


@pytest.mark.parametrize("drift", [0.0, 2.0, 3.4, 6.0])
def test_a_passage_is_that_of_the_walk_itself(drift: float) -> None:
    times, passed = walked(drift), passage(drift, ALPHA, LOOKS)
    assert passed[-1] == pytest.approx(np.isfinite(times).mean(), abs=0.012)
    assert mean_time(passed) == pytest.approx(np.minimum(times, 1).mean(), abs=0.015)
    assert (np.diff(passed) >= 0).all()


def test_a_wider_bound_is_passed_later() -> None:
    times = walked(4.0, wider=1.1)
    passed = passage(4.0, ALPHA, LOOKS, (1.1, 1.1, 1.1))
    assert passed[-1] == pytest.approx(np.isfinite(times).mean(), abs=0.012)
    assert passed[-1] < passage(4.0, ALPHA, LOOKS)[-1] - 0.05


def test_the_drift_to_see_has_the_power_and_costs_more_than_one_look() -> None:
    drift = drift_to_see(0.8, ALPHA, LOOKS)
    assert np.isfinite(walked(drift)).mean() == pytest.approx(0.8, abs=0.012)
    one = NormalDist().inv_cdf(0.95) + NormalDist().inv_cdf(0.8)
    assert one < drift < 1.5 * one


def test_the_time_by_which_it_has_passed() -> None:
    passed = passage(6.0, ALPHA, LOOKS)
    assert time_by(passed, 0.95) == pytest.approx(np.quantile(walked(6.0), 0.95), abs=0.02)
    assert time_by(passage(1.0, ALPHA, LOOKS), 0.95) == 1.0  # may never come


def test_units_of_one_look_by_hand() -> None:
    """(1.6449 + .8416)^2 / .05^2 = 2473; monitored, the radius at that number stands for 1.6449."""
    assert units_to_see(0.05, 0.8, GateRule()) == pytest.approx(2473, abs=1)
    n = units_to_see(0.05, 0.8, GateRule(monitored=True))
    radius = float(sequence_radius(n / WATCHED, ALPHA))
    assert 0.05 * np.sqrt(n) == pytest.approx(radius + 0.8416, rel=1e-3)


def test_bounds_of_few_skewed_units_are_wider_than_normal_ones() -> None:
    rng = np.random.default_rng(0)
    x = rng.exponential(size=4000)
    same = Influences(1 - x, np.ones(4000), np.zeros(4000), x)
    few, many = (errors_below(same, n, GateRule()) for n in (50, 1_000_000))
    assert few > 1.05 * 1.645
    assert many == pytest.approx(1.645, abs=0.01)
