"""Exact bounds of a share: by hand, and as scipy has them."""

import pytest
from scipy.stats import binomtest

from offpolicy.intervals.binomial import exact_bounds


def test_bounds_by_hand():
    """Of 3 of 3 the lower bound is the cube root of .025; of 0 of 3 the upper one is 1 - that."""
    assert exact_bounds(3, 3) == pytest.approx((0.025 ** (1 / 3), 1.0))
    assert exact_bounds(0, 3) == pytest.approx((0.0, 1 - 0.025 ** (1 / 3)))
    assert exact_bounds(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(("k", "n"), [(1, 2), (7, 40), (999, 1_000), (0, 5), (5, 5)])
def test_bounds_are_those_of_a_reference(k, n, level):
    expected = binomtest(k, n).proportion_ci(level, "exact")
    assert exact_bounds(k, n, level) == pytest.approx((expected.low, expected.high))
