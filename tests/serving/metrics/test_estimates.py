"""Estimates from sums: numbers worked by hand, and intervals that hold as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import poisson

from serving.metrics.estimates import effective, exact, mean, quantile, rate, share


def test_a_share_by_hand() -> None:
    """8 of 10, Wilson: (8 + 3.8415 / 2) / 13.8415 = .71672, ± .22660."""
    found = share(8, 10)
    assert found is not None
    assert (found.value, found.n) == (0.8, 10)
    assert (found.low, found.high) == pytest.approx((0.49016, 0.94332), abs=1e-5)
    none, every = share(0, 10), share(10, 10)
    assert none is not None
    assert every is not None
    assert (none.low, every.high) == (0.0, 1.0)
    assert share(0, 0) is None


def test_a_mean_by_hand() -> None:
    """1, 2, 3, 6: mean 3, variance 14 / 3, half width 1.95996 sqrt(14 / 12) = 2.11700."""
    found = mean(np.array([4, 12, 50.0]))
    assert found is not None
    assert found == pytest.approx((3, 4, 0.88300, 5.11700), abs=1e-5)
    assert mean(np.zeros(3)) is None
    one = mean(np.array([1, 5, 25.0]))
    assert one is not None
    assert (one.value, one.low, one.high) == (5, -math.inf, math.inf)


def test_a_rate_by_hand() -> None:
    """100 in 50 s: (100 + 1.92073 ± 1.95996 sqrt(100.96036)) / 50 = 2.03841 ± .39387."""
    assert rate(100, 50.0) == pytest.approx((2.0, 100, 1.64454, 2.43229), abs=1e-5)
    none = rate(0, 50.0)
    assert (none.value, none.low) == (0.0, 0.0)
    assert none.high == pytest.approx(0.07683, abs=1e-5)  # 3.84146 / 50


@pytest.mark.parametrize("expected", [5.0, 20.0, 170.0])
def test_a_rate_holds_as_often_as_it_says(expected: float) -> None:
    """Exactly: the chance of all counts whose interval holds the truth."""
    counts = np.arange(500)
    chance = poisson.pmf(counts, expected)
    found = [rate(float(n), 1.0) for n in counts]
    held = np.array([one.low <= expected <= one.high for one in found])
    assert 0.93 < chance[held].sum() < 0.97


def test_a_quantile_by_hand() -> None:
    """40 values up to 1, 50 up to 2, 10 up to 4: the 0.9 quantile stands at the end of the second
    bin; ranks 90 ± 5.88 lie in the second and the third."""
    counts, edges = np.array([40, 50, 10, 0.0]), np.array([1, 2, 4.0])
    assert quantile(counts, edges, 0.9) == (2.0, 100, 1.0, 4.0)
    half = quantile(counts, edges, 0.5)
    assert half is not None
    assert half.value == pytest.approx(1.2)
    assert quantile(np.zeros(4), edges, 0.5) is None


def test_a_quantile_of_too_few_has_no_upper_bound() -> None:
    found = quantile(np.array([50, 0, 0, 0.0]), np.array([1, 2, 4.0]), 0.99)
    assert found is not None
    assert found.high == math.inf
    above = quantile(np.array([0, 0, 0, 5.0]), np.array([1, 2, 4.0]), 0.5)
    assert above is not None
    assert (above.value, above.high) == (4.0, math.inf)  # at least


def test_effective_items_by_hand() -> None:
    """Equal shares of 4 are 4 items, without error; 3 : 1 has entropy .56233."""
    assert effective(np.array([5, 0, 5, 5, 5]), 4) == pytest.approx((4, 4, 4, 4))
    found = effective(np.array([3, 1]), 4)
    assert found is not None
    assert found.value == pytest.approx(math.exp(0.5623351))
    sd = math.sqrt(0.75 * math.log(0.75) ** 2 + 0.25 * math.log(0.25) ** 2 - 0.5623351**2)
    assert found.low == pytest.approx(math.exp(0.5623351 - 1.959964 * sd / 2))
    assert effective(np.zeros(2, int), 0) is None


def test_intervals_hold_as_often_as_they_say() -> None:
    """1,000 windows of 400: a 95 % interval that held in under 92 % would be 4.3 standard errors
    off."""
    rng = np.random.default_rng(7)
    edges, held = np.linspace(0.1, 6, 60), np.zeros((3, 1000), bool)
    for i in range(1000):
        x = rng.exponential(size=400)
        counts = np.bincount(np.searchsorted(edges, x), minlength=61).astype(float)
        found = (
            (quantile(counts, edges, 0.9), math.log(10)),
            (mean(np.array([400, x.sum(), x @ x])), 1.0),
            (share(float((x > 2).sum()), 400), math.exp(-2)),
        )
        held[:, i] = [e is not None and e.low <= truth <= e.high for e, truth in found]
    assert (held.mean(axis=1) > 0.92).all()
    assert (held.mean(axis=1)[1:] < 0.98).all()


def test_counts_are_exact() -> None:
    assert exact(3, 10) == (3, 10, 3, 3)
