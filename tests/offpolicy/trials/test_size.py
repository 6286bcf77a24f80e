"""The size of a trial: a number by hand, and simulated trials that keep the promised power."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
import pytest

from offpolicy.trials.difference import difference
from offpolicy.trials.size import past_of, size_trial
from offpolicy.trials.units import TrialUnits, units_of


def _past(noise, n=5_000, seed=1):
    rng = np.random.default_rng(seed)
    sessions = 1.0 + rng.poisson(1.0, n)
    return TrialUnits(
        np.arange(n), rng.random(n) < 0, np.zeros(n, np.int64),
        (5 + noise(rng, n) * np.sqrt(sessions))[:, None], sessions, ("reward",),
    )  # fmt: skip


def _normal(rng, n):
    return rng.normal(0, 1, n)


def _heavy(rng, n):
    return rng.lognormal(0, 1, n) - np.exp(0.5)


def test_users_at_one_look_by_hand():
    past = past_of(_past(_normal), "reward")
    size = size_trial(past, share=0.2, users_a_day=100, effect=0.1, days=(7,))
    z = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)
    by_hand = z**2 * past.variance / 0.1**2 / (0.2 * 0.8)
    assert size.needed is not None
    assert size.needed.fixed == pytest.approx(by_hand)
    assert size.needed.fixed_days == pytest.approx(by_hand / 100)
    assert size.needed.users > 1.3 * by_hand, "to look at any time costs users"
    assert size.needed.users_low < size.needed.users < size.needed.users_high
    week = size.lengths[0]
    assert week.fixed == pytest.approx(z * np.sqrt(past.variance / (700 * 0.16)))
    again = size_trial(past, share=0.2, users_a_day=100, effect=week.effect, days=(7,)).needed
    assert again is not None
    assert again.users == pytest.approx(700, rel=0.05), "users and effects are of one curve"


def test_a_ratio_per_session_has_the_variance_of_its_influence():
    units = _past(_normal)
    past = past_of(units, "reward", per="session")
    x, s = units.metric("reward"), units.sessions
    assert past.mean.value == pytest.approx(x.sum() / s.sum())
    influence = (x - past.mean.value * s) / s.mean()
    assert past.variance == pytest.approx(influence.var(ddof=1), rel=1e-3)


def test_a_covariate_shortens_the_trial():
    units = _past(_normal)
    rng = np.random.default_rng(0)
    known = units.metric("reward") + rng.normal(0, 1, len(units))
    with_past = TrialUnits(
        units.user, units.canary, units.stratum, units.total, units.sessions, units.names, known
    )
    plain, less = (
        size_trial(past_of(u, "reward"), share=0.5, users_a_day=10, effect=0.2).needed
        for u in (units, with_past)
    )
    assert plain is not None
    assert less is not None
    assert less.users < 0.5 * plain.users


@pytest.mark.parametrize(
    ("noise", "share", "effect"),
    [
        (_normal, 0.5, 0.25),
        (_normal, 0.1, -0.25),
        (_heavy, 0.5, 0.25),
        (_heavy, 0.1, 0.5),
        (_heavy, 0.1, -0.5),
    ],
)
def test_simulated_trials_keep_the_promised_power(noise, share, effect):
    """80 % of 150 trials: 104 to 135 within 3 standard errors; 3 more for the noise of one past."""
    past = past_of(_past(noise, n=20_000), "reward")
    size = size_trial(past, share=share, users_a_day=100, effect=abs(effect), looks=10)
    need, seen, rng = size.needed, 0, np.random.default_rng(7)
    assert need is not None
    n = int(need.users if effect > 0 else need.stopped)
    for _ in range(150):
        sessions = 1.0 + rng.poisson(1.0, n)
        canary = rng.random(n) < share
        x = 5 + noise(rng, n) * np.sqrt(sessions) + effect * canary
        for k in (np.arange(1, 11) * n) // 10:
            units = units_of(
                np.arange(k), canary[:k], np.zeros(k), x[:k, None], ("r",), sessions=sessions[:k]
            )
            d = difference(units, "r", tuned_at=need.tuned_at)
            if d.low > 0 or d.high < 0:
                seen += 1
                assert (d.low > 0) == (effect > 0)
                break
    assert 104 <= seen <= 138


def test_bad_numbers_are_named():
    past = past_of(_past(_normal), "reward")
    for bad in ({"share": 0.0}, {"share": 0.1, "power": 1.0}, {"share": 0.1, "effect": -1.0}):
        with pytest.raises(ValueError, match=next(iter(reversed(bad)))):
            size_trial(past, users_a_day=10, **bad)
    with pytest.raises(ValueError, match="the same for all 5000 users"):
        past_of(_past(lambda rng, n: np.zeros(n)), "reward")
    with pytest.raises(ValueError, match="5 users says too little"):
        past_of(_past(_normal, 5), "reward")


def test_a_trial_of_few_users_sees_nothing():
    past = past_of(_past(_normal), "reward")
    size = size_trial(past, share=0.01, users_a_day=10, effect=1e6, days=(7, 700))
    assert size.needed is not None
    assert 1_000 <= size.needed.users <= 8_000, "ten users in the smaller arm, and a few more"
    assert size.lengths[0].effect == size.lengths[0].fixed == np.inf
    assert 0 < size.lengths[1].effect < np.inf
