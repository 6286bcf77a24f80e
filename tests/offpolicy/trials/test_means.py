"""The mean of a session of one arm, with whole users as units."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy.trials.means import session_mean
from offpolicy.trials.units import TrialUnits


def units(total: list[float], sessions: list[float], user: list[int] | None = None) -> TrialUnits:
    n = len(total)
    rows = np.arange(n) if user is None else np.array(user)
    stratum = np.arange(n) if user is not None else np.zeros(n, np.int64)
    return TrialUnits(
        rows, np.zeros(n, np.bool_), stratum, np.array(total)[:, None], np.array(sessions), ("x",)
    )


def test_a_ratio_by_hand() -> None:
    """Ten users of one session, half of them paid 1: 0.5 -+ t(9) * sqrt(10/9 * 0.25 / 10)."""
    found = session_mean(units([0.0, 1.0] * 5, [1.0] * 10), "x")
    assert found is not None
    assert found.value == 0.5
    assert found.high - 0.5 == pytest.approx(2.262157 * (0.25 / 9) ** 0.5, rel=1e-6)
    assert found.low + found.high == pytest.approx(1.0)


def test_a_user_of_several_strata_is_one_unit() -> None:
    """The same rows, of five users in two strata each: their influences add to nothing."""
    found = session_mean(units([0.0, 1.0] * 10, [1.0] * 20, [i // 2 for i in range(20)]), "x")
    assert found is not None
    assert (found.value, found.se, found.units) == (0.5, 0.0, 10)


def test_it_covers_means_of_users_with_many_sessions() -> None:
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        sessions = rng.geometric(0.3, 80).astype(float)
        own = rng.gamma(2.0, 0.5, 80)  # of users, who are alike in all their sessions; mean 1
        found = session_mean(units((own * sessions).tolist(), sessions.tolist()), "x")
        assert found is not None
        covered += found.low <= 1.0 <= found.high
    assert 0.90 < covered / 400 < 0.98


def test_too_little_has_no_bounds_and_nothing_has_no_mean() -> None:
    few = session_mean(units([1.0] * 9, [2.0] * 9), "x")
    assert few is not None
    assert (few.value, few.low, few.high) == (0.5, -np.inf, np.inf)
    assert session_mean(units([], []), "x") is None
    with pytest.raises(ValueError, match="no metric 'y'"):
        session_mean(units([1.0], [1.0]), "y")
