"""Intervals: by hand, paired, clustered, and held to their level."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from offpolicy import Terms, adjust, diagnose, difference, estimate, interval


def test_t_interval_by_hand() -> None:
    x = np.array([1.0, 2.0, 4.0, 7.0])
    t_interval = interval(estimate(Terms(np.ones(4), x, None, None, np.arange(4)), "ips"), 0.9)
    low, high = stats.t.interval(0.9, 3, loc=3.5, scale=x.std(ddof=1) / 2)
    assert (t_interval.value, t_interval.low, t_interval.high) == pytest.approx((3.5, low, high))
    assert t_interval.units == 4


def test_one_sided_bounds_spend_all_of_alpha_on_one_side() -> None:
    e = estimate(Terms(np.ones(50), np.arange(50.0), None, None, np.arange(50)), "ips")
    lower = interval(e, 0.95, side="lower")
    assert lower.high == np.inf
    assert lower.low == pytest.approx(interval(e, 0.9).low)


def test_rows_of_a_unit_are_summed_before_the_variance() -> None:
    rng = np.random.default_rng(0)
    r = np.repeat(rng.random(20), 10)
    unit = np.repeat(np.arange(20), 10)
    clustered = interval(estimate(Terms(np.ones(200), r, None, None, unit), "ips"))
    alone = interval(estimate(Terms(np.ones(20), r[::10], None, None, np.arange(20)), "ips"))
    assert clustered.se == pytest.approx(alone.se)


def test_interval_needs_two_units_and_a_level() -> None:
    e = estimate(Terms(np.ones(5), np.ones(5), None, None, np.zeros(5)), "ips")
    with pytest.raises(ValueError, match="needs 2 independent units, got 1"):
        interval(e)
    two = estimate(Terms(np.ones(2), np.ones(2), None, None, [0, 1]), "ips")
    with pytest.raises(ValueError, match="level = 95"):
        interval(two, 95)


def test_a_paired_difference_cancels_shared_noise() -> None:
    rng = np.random.default_rng(0)
    r = rng.normal(0, 10, 400)
    a = estimate(Terms(np.ones(400), r + 0.1, None, None, np.arange(400)), "ips")
    b = estimate(Terms(np.ones(400), r, None, None, np.arange(400)), "ips")
    d = interval(difference(a, b))
    assert d.value == pytest.approx(0.1)
    assert d.se < 1e-9
    with pytest.raises(ValueError, match="different units"):
        difference(a, estimate(Terms(np.ones(2), [0, 1], None, None, [0, 1]), "ips"))


def test_control_variate_removes_what_is_shared() -> None:
    rng = np.random.default_rng(0)
    w = rng.exponential(size=2000)
    e = estimate(Terms(w, np.ones(2000), None, None, np.arange(2000)), "ips")
    control = estimate(Terms(w - 1, np.ones(2000), None, None, np.arange(2000)), "ips")
    adjusted = adjust(e, control)
    assert adjusted.value == pytest.approx(1.0)
    assert interval(adjusted).se < 1e-9


@pytest.mark.parametrize("name", ["ips", "snips", "dr"])
def test_interval_covers_when_rows_of_a_user_are_dependent(name: str) -> None:
    rng = np.random.default_rng(0)
    users, rows, hits, repeats = 80, 10, 0, 400
    pi_b, pi_e = np.array([0.6, 0.4]), np.array([0.4, 0.6])
    truth = float(pi_e @ np.array([0.3, 0.5]))
    for _ in range(repeats):
        mood = np.repeat(rng.normal(0, 0.5, users), rows)
        a = (rng.random(users * rows) < 0.4).astype(int)
        r = np.array([0.3, 0.5])[a] + mood + rng.normal(0, 0.3, users * rows)
        q = np.array([0.2, 0.6])[a]
        t = Terms((pi_e / pi_b)[a], r, q, np.full(len(a), 0.44), np.repeat(np.arange(users), rows))
        covering = interval(estimate(t, name))
        hits += covering.low <= truth <= covering.high
    assert 0.92 <= hits / repeats <= 0.98


def test_effective_sample_counts_units() -> None:
    t = Terms(np.repeat([1.0, 3.0], 5), np.ones(10), None, None, np.repeat([0, 1], 5))
    d = diagnose(t)
    assert d.ess == pytest.approx(16 / 10)
    assert d.ess_rows == pytest.approx(400 / 50)
    assert d.max_weight == 3
    assert d.top_share == pytest.approx(0.75)
    assert (d.rows, d.units) == (10, 2)


def test_diagnostics_of_sessions_read_their_last_weights() -> None:
    t = Terms([5.0, 1.0, 0.0], np.ones(3), None, None, [0, 0, 1], [1, 5, 1], stratum=[0, 1, 0])
    d = diagnose(t)
    assert d.max_weight == 1
    assert d.support == 0.5
    assert d.mean_weight is not None
    assert d.mean_weight.value == pytest.approx(0.5)
