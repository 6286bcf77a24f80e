"""Bounds that ask for less than normality."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from offpolicy import Estimate, Terms, estimate, interval
from offpolicy.intervals.bounds import (
    confidence_sequence,
    empirical_bernstein,
    empirical_likelihood,
    hoeffding,
)
from offpolicy.intervals.multiplicity import bonferroni, simultaneous


def mean_of(x: np.ndarray) -> Estimate:
    return estimate(Terms(np.ones(len(x)), x, None, None, np.arange(len(x))), "ips")


def test_radii_by_hand() -> None:
    x = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    hand = np.sqrt(2 * 0.3 * np.log(80) / 5) + 7 * np.log(80) / (3 * 4)
    bernstein = empirical_bernstein(mean_of(x), (0, 1))
    assert bernstein.high - bernstein.value == pytest.approx(hand)
    assert hoeffding(mean_of(x), (0, 1)).high - 0.6 == pytest.approx(np.sqrt(np.log(40) / 10))
    with pytest.raises(ValueError, match="outside bounds"):
        empirical_bernstein(mean_of(x), (0.0, 0.5))


def test_empirical_likelihood_is_skewed_as_the_data_are_and_covers() -> None:
    x = np.random.default_rng(0).exponential(size=60)
    likelihood = empirical_likelihood(mean_of(x))
    assert likelihood.high - likelihood.value > likelihood.value - likelihood.low
    hits = 0
    for seed in range(300):
        i = empirical_likelihood(mean_of(np.random.default_rng(seed).exponential(size=60)))
        hits += i.low <= 1 <= i.high
    assert hits / 300 >= 0.9


def test_empirical_likelihood_of_two_values_is_the_binomial_deviance() -> None:
    x = np.array([1.0] * 30 + [0.0] * 70)
    likelihood = empirical_likelihood(mean_of(x))
    limit = stats.f(1, 99).ppf(0.95)
    for p in (likelihood.low, likelihood.high):
        deviance = 2 * (30 * np.log(0.3 / p) + 70 * np.log(0.7 / (1 - p)))
        assert deviance == pytest.approx(limit, rel=1e-4)


def test_a_confidence_sequence_survives_peeking_where_the_t_interval_does_not() -> None:
    rng = np.random.default_rng(0)
    alarms, naive = 0, 0
    looks = np.unique(np.geomspace(100, 10_000, 100).astype(int))
    for _ in range(200):
        x = rng.normal(size=10_000)
        n = looks
        mean = np.cumsum(x)[n - 1] / n
        se = np.sqrt((np.cumsum(x**2)[n - 1] / n - mean**2) / n)
        one = confidence_sequence(Estimate(0.0, x[:100] - x[:100].mean(), np.arange(100)))
        assert one.high > interval(Estimate(0.0, x[:100] - x[:100].mean(), np.arange(100))).high
        radius = np.array([_radius(s * np.sqrt(k), int(k)) for s, k in zip(se, n, strict=True)])
        alarms += bool((np.abs(mean) > radius).any())
        naive += bool((np.abs(mean) > 1.96 * se).any())
    assert alarms / 200 <= 0.05
    assert naive / 200 > 0.2


def _radius(scale: float, n: int) -> float:
    """The sequence at n units of standard deviation `scale`."""
    psi = scale * np.where(np.arange(n) % 2, 1.0, -1.0) * np.sqrt((n - 1) / n)
    return confidence_sequence(Estimate(0.0, psi, np.arange(n))).high


def test_simultaneous_intervals_hold_together_and_are_no_wider_than_bonferroni() -> None:
    together, alone = 0, 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        shared = rng.normal(size=(200, 1))
        x = 0.8 * shared + 0.6 * rng.normal(size=(200, 8))
        estimates = {str(k): mean_of(x[:, k]) for k in range(8)}
        joint = simultaneous(estimates, seed=1)
        wide = {k: interval(e, bonferroni(0.95, 8)) for k, e in estimates.items()}
        assert all(joint[k].high <= wide[k].high + 1e-12 for k in joint)
        together += all(i.low <= 0 <= i.high for i in joint.values())
        alone += all(interval(e).low <= 0 <= interval(e).high for e in estimates.values())
    assert together / 120 >= 0.92
    assert alone / 120 < 0.9
