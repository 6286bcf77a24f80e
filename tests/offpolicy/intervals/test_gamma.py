"""Gamma intervals: bounds where few or heavy contributions carry a sum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import chdtri
from scipy.stats import binom

from offpolicy import Estimate, Terms, confidence_sequence, estimate, interval
from offpolicy.intervals.gamma import gamma_interval
from offpolicy.intervals.inference import adjust, difference
from offpolicy.intervals.unseen import pairs, unseen


def of(x: np.ndarray) -> Estimate:
    return Estimate(float(x.mean()), x - x.mean(), np.arange(len(x)))


def test_the_bounds_of_a_weighted_count_are_those_of_fay_and_feuer() -> None:
    """By hand: influences 2, 2, 3 above 0 of 1,000 units; one of 4 may be missing. The centre is
    left at 0, so that the sum above 0 is 7 with squares 17."""
    psi = np.zeros(1000)
    psi[:3] = 2.0, 2.0, 3.0
    got = gamma_interval(Estimate(0.0, psi, np.arange(1000)), 0.95, unseen=(0.0, 4.0))
    low = 17 / 14 * chdtri(2 * 49 / 17, 0.975)  # v / 2y times a chi-square quantile
    high = (17 + 16) / (2 * 11) * chdtri(2 * 121 / 33, 0.025)
    inflate = 1.9623414611 / 1.9599639845  # t over normal quantile at 999 degrees
    assert got.low == pytest.approx(-(7 - low) / 1000 * inflate, rel=1e-6)
    assert got.high == pytest.approx((high - 7) / 1000 * inflate, rel=1e-6)


def test_no_event_in_m_rows_leaves_room_up_to_about_three_in_m() -> None:
    """The exact one-sided 97.5 % bound of a rate with 0 of 2,000 is 3.69 / 2,000."""
    t = Terms(np.ones(2000), np.zeros(2000), None, None, np.arange(2000))
    e = estimate(t, "ips")
    got = gamma_interval(e, 0.95, unseen=unseen(e, pairs(t), against=0.0))
    assert got.low == 0
    assert got.high == pytest.approx(3.69 / 2000, rel=0.01)
    assert interval(e).high == 0  # what a standard error says


def test_many_even_contributions_give_the_t_interval() -> None:
    e = of(np.random.default_rng(0).normal(size=40_000))
    ours, plain = gamma_interval(e, 0.9), interval(e, 0.9)
    assert ours.low == pytest.approx(plain.low, abs=0.02 * plain.se)
    assert ours.high == pytest.approx(plain.high, abs=0.02 * plain.se)


def weighted_rewards(rng: np.random.Generator, n: int, heavy: bool) -> tuple[Terms, float]:
    """A target that goes 12 times as often to a rare arm; its true uplift."""
    rare = rng.random(n) < 0.02
    w = np.where(rare, 12.0, 0.76 / 0.98)
    if heavy:  # log-normal amounts of mean 1 and 1.2
        r = np.where(rare, 1.2, 1.0) * np.exp(1.8 * rng.normal(size=n) - 1.62)
        true = 0.22 * 0.2
    else:
        r = (rng.random(n) < np.where(rare, 0.03, 0.01)).astype(float)
        true = 0.22 * 0.02
    return Terms(w, r, None, None, np.arange(n)), true


@pytest.mark.parametrize("heavy", [False, True], ids=["rare", "heavy-tailed"])
def test_one_sided_bounds_of_uplift_hold_where_the_t_interval_breaks(heavy: bool) -> None:
    misses, plain, logs = np.zeros(2), 0, 200
    for seed in range(logs):
        t, true = weighted_rewards(np.random.default_rng([4, seed]), 3000, heavy)
        logged = estimate(Terms(np.ones(len(t)), t.reward, None, None, t.unit), "ips")
        e = difference(estimate(t, "ips"), logged)
        got = gamma_interval(e, 0.9, unseen=unseen(e, pairs(t), against=1.0))
        misses += [true < got.low, true > got.high]
        plain += true > interval(e, 0.9).high
    most = binom.ppf(0.999, logs, 0.05)
    assert misses.max() <= most
    assert plain > most


def test_a_difference_of_rounding_is_nothing() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(3, 1, 500)
    a, b = of(x), of(x * (1 + 2e-16 * rng.integers(-2, 3, 500)))
    gap = difference(a, b)
    assert gap.value == 0
    assert not gap.psi.any()
    weights = Estimate(1e-16, 1e-16 * rng.normal(size=500), a.unit)
    assert adjust(a, weights) is a  # weights that are all 1 control nothing


def test_a_sequence_has_no_bounds_while_nothing_varies_and_holds_from_the_first_events() -> None:
    flat = confidence_sequence(Estimate(0.0, np.zeros(50), np.arange(50)))
    assert (flat.low, flat.high) == (-np.inf, np.inf)
    missed, runs = 0, 60
    for seed in range(runs):
        x = (np.random.default_rng([8, seed]).random(8000) < 0.01).astype(float)
        looks = (confidence_sequence(of(x[:n])) for n in range(40, 8001, 120))
        missed += any(not i.low <= 0.01 <= i.high for i in looks)
    assert missed <= binom.ppf(0.999, runs, 0.05)


def test_sizes_below_zero_are_refused() -> None:
    with pytest.raises(ValueError, match="none below 0"):
        gamma_interval(of(np.arange(9.0)), unseen=(-1.0, 0.0))
