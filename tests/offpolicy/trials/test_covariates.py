"""CUPED: against ordinary least squares by hand, what it saves, and that it costs nothing."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy.trials.difference import difference
from offpolicy.trials.units import TrialUnits


def _trial(seed, n=4_000, slope=(1.0, 1.0), known=1.0, share=0.5, effect=0.0):
    rng = np.random.default_rng(seed)
    past, canary = rng.normal(5, 2, n), rng.random(n) < share
    reward = np.where(canary, slope[0], slope[1]) * past + rng.normal(0, 1, n) + effect * canary
    past[rng.random(n) >= known] = np.nan
    zero = np.zeros(n, np.int64)
    return TrialUnits(np.arange(n), canary, zero, reward[:, None], np.ones(n), ("x",), past)


def test_it_is_the_regression_on_arm_and_past():
    units = _trial(0, effect=0.3)
    design = np.stack([units.canary, np.ones(len(units)), units.covariate], 1).astype(float)
    by_hand = np.linalg.lstsq(design, units.metric("x"))[0][0]
    d = difference(units, "x", covariate=True)
    assert d.value == pytest.approx(by_hand)
    assert d.value == pytest.approx(d.canary - d.control)
    plain = difference(units, "x")
    assert d.saved is not None
    assert 1 - (d.se / plain.se) ** 2 == pytest.approx(d.saved.value)
    assert d.saved.low < 0.8 < d.saved.high, "2^2 of 2^2 + 1"


def test_users_without_a_past_keep_their_variance():
    """Half the users have none: half of 5 is saved by 4 of 5."""
    misses, values = 0, []
    for seed in range(100):
        units = _trial(seed, 1_000, known=0.5)
        d = difference(units, "x", covariate=True, level=0.9, tuned_at=250)
        misses += not d.low <= 0 <= d.high
        values.append((d.value / d.se, d.saved.value))
    z, saved = np.array(values).T
    assert misses <= 5
    assert 0.8 < z.std() < 1.2
    assert saved.mean() == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize("slope", [(0.0, 0.0), (1.0, -1.0), (0.0, 1.0)])
@pytest.mark.parametrize("share", [0.5, 0.05])
def test_it_is_never_worse_than_nothing(slope, share):
    units = _trial(4, 2_000, slope=slope, share=share)
    plain, d = difference(units, "x"), difference(units, "x", covariate=True)
    assert d.se <= plain.se


def test_a_past_is_asked_for():
    units = _trial(0)
    bare = TrialUnits(units.user, units.canary, units.stratum, units.total, units.sessions, ("x",))
    with pytest.raises(ValueError, match="no covariate"):
        difference(bare, "x", covariate=True)
    constant = TrialUnits(
        units.user, units.canary, units.stratum, units.total, units.sessions, ("x",),
        np.ones(len(units)),
    )  # fmt: skip
    d = difference(constant, "x", covariate=True)
    assert d.saved is not None
    assert d.saved.value == 0
    assert d.se == difference(bare, "x").se
