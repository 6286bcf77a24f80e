"""The difference of two arms: by hand, and how often its bounds hold over all looks together."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy.trials.difference import difference
from offpolicy.trials.exposure import multiple_exposure, sample_ratio
from offpolicy.trials.units import TrialUnits, units_of

NAMES = ("reward", "complaints")


def _units(user, canary, stratum, reward, sessions=None, covariate=None):
    x = np.stack([np.asarray(reward, np.float64), np.zeros(len(user))], 1)
    count = np.ones(len(user)) if sessions is None else sessions
    return units_of(
        np.asarray(user), canary, stratum, x, NAMES, sessions=count, covariate=covariate
    )


def test_rows_of_a_user_arm_and_stratum_become_one():
    a = _units(["u", "v", "u"], [True, False, True], [0, 0, 0], [1, 2, 3], [1, 1, 0])
    assert len(a) == 2
    assert a.total[:, 0].tolist() == [4, 2]
    assert a.sessions.tolist() == [1, 1]
    b = _units(["v", "u"], [False, True], [0, 1], [5, 7], covariate=np.array([9.0, np.nan]))
    both = a + b
    assert len(both) == 3
    assert both.metric("reward").tolist() == [4, 7, 7]
    assert both.covariate is not None
    np.testing.assert_array_equal(both.covariate, [np.nan, 9, np.nan])


def test_bad_columns_are_named():
    with pytest.raises(ValueError, match="no metric 'clicks'; there are reward, complaints"):
        difference(_units(["u"], [True], [0], [1]), "clicks")
    two = TrialUnits(
        np.array(["u", "u"]),
        np.ones(2, np.bool_),
        np.zeros(2, np.int64),
        np.zeros((2, 1)),
        np.ones(2),
        ("reward",),
    )
    with pytest.raises(ValueError, match="user u has several rows"):
        difference(two, "reward")
    with pytest.raises(ValueError, match="not finite"):
        _units(["u"], [True], [0], [np.nan])


def test_strata_are_weighted_by_both_arms_by_hand():
    """Stratum 0: 2 canary users against 6; stratum 1: 4 against 4. Weights 1.5 and 2."""
    canary = [True] * 2 + [False] * 6 + [True] * 4 + [False] * 4
    stratum = [0] * 8 + [1] * 8
    reward = [2, 4, 1, 1, 1, 3, 3, 3, 10, 12, 10, 12, 9, 9, 11, 11]
    d = difference(_units(np.arange(16), canary, stratum, reward), "reward")
    assert d.value == pytest.approx((1.5 * (3 - 2) + 2 * (11 - 10)) / 3.5)
    within = [2 / 1, 6 / 5, 4 / 3, 4 / 3]  # sums of squares over n - 1, of the four cells
    variance = (1.5**2 * (within[0] / 2 + within[1] / 6) + 2**2 * 2 * within[2] / 4) / 3.5**2
    assert d.se == pytest.approx(np.sqrt(variance * 16 / 15))  # one factor more, of all users
    assert d.low == -np.inf, "six canary users give no bounds"


def test_a_ratio_per_session_is_a_ratio_of_sums():
    users = np.arange(40)
    canary, sessions = users % 2 == 0, 1.0 + users % 3
    reward = sessions * (2 + canary)
    d = difference(_units(users, canary, np.zeros(40), reward, sessions), "reward", per="session")
    assert (d.canary, d.control) == pytest.approx((3, 2))
    assert d.se == pytest.approx(0, abs=1e-12)
    assert difference(_units(users, canary, np.zeros(40), reward, sessions), "reward").se > 0.1


def test_a_level_that_moves_between_strata_is_no_effect():
    """Simpson: the canary's share grows while everybody's reward grows."""
    rng = np.random.default_rng(0)
    stratum = np.repeat([0, 1], 4_000)
    canary = rng.random(8_000) < np.where(stratum, 0.5, 0.01)
    reward = rng.normal(10.0 * stratum, 1)
    units = _units(np.arange(8_000), canary, stratum, reward)
    pooled = reward[canary].mean() - reward[~canary].mean()
    d = difference(units, "reward")
    assert pooled > 3
    assert d.low < 0 < d.high
    assert d.high - d.low < 0.5


def test_a_user_of_several_strata_is_one_unit():
    rng = np.random.default_rng(1)
    own = rng.normal(0, 1, 200)
    user, canary = np.tile(np.arange(200), 5), np.tile(np.arange(200) % 2 == 0, 5)
    reward, stratum = np.tile(own, 5), np.repeat(np.arange(5), 200)
    once = difference(_units(user[:200], canary[:200], stratum[:200], reward[:200]), "reward")
    five = difference(_units(user, canary, stratum, reward), "reward")
    assert five.users == 200
    assert five.se == pytest.approx(once.se)
    assert five.sessions == 5 * once.sessions


def test_no_data_has_no_bounds():
    for units in (
        _units(np.arange(30), [True] * 9 + [False] * 21, np.zeros(30), np.arange(30)),
        _units(np.arange(30), [True] * 15 + [False] * 15, np.zeros(30), np.zeros(30)),
        _units(np.arange(3), [True] * 3, np.zeros(3), np.arange(3)),
        _units(np.array([], np.int64), [], [], []),
    ):
        d = difference(units, "reward")
        assert (d.low, d.high) == (-np.inf, np.inf)


def test_an_arm_without_an_event_is_not_sure_that_there_is_none():
    """.5 % of control users react; none of 60 canary users has yet."""
    users = np.arange(6_000)
    canary, reward = users < 60, (users >= 60) & (users % 200 == 0)
    d = difference(_units(users, canary, np.zeros(6_000), reward), "reward")
    assert d.canary == 0
    assert d.high > 0.05


def _missed(draw, looks, replications, seed, level=0.9, effect=0.0, **options):
    """How often the bounds leave the truth at one look at least."""
    rng, missed = np.random.default_rng(seed), 0
    for _ in range(replications):
        user, canary, stratum, reward = draw(rng)
        for n in looks:
            d = difference(
                _units(user[:n], canary[:n], stratum[:n], reward[:n]),
                "reward",
                level=level,
                tuned_at=200,
                **options,
            )
            if not d.low <= effect <= d.high:
                missed += 1
                break
    return missed


LOOKS = (100, 200, 400, 800, 1_600, 3_200, 6_400)


def _iid(noise):
    def draw(rng, n=LOOKS[-1], share=0.05):
        canary = rng.random(n) < share
        return np.arange(n), canary, np.zeros(n, np.int64), noise(rng, n)

    return draw


def _staged(rng, n=LOOKS[-1]):
    """Users come back, the share grows, the level jumps and everybody grows noisier."""
    stratum = np.searchsorted([800, 2_400], np.arange(n), side="right")
    user = rng.integers(0, n // 2, n)
    canary = user % 100 < np.array([1, 10, 50])[stratum]
    own = rng.normal(0, 1, n // 2)
    reward = own[user] + np.array([0.0, 3.0, -2.0])[stratum] + rng.normal(0, 1 + stratum)
    return user, canary, stratum, reward


@pytest.mark.parametrize(
    "draw",
    [
        _iid(lambda rng, n: rng.normal(0, 1, n)),
        _iid(lambda rng, n: rng.lognormal(0, 1.8, n)),
        _iid(lambda rng, n: rng.random(n) < 0.005),
        _staged,
    ],
    ids=["normal", "lognormal 1.8", "rewards of .5 %", "stages"],
)
def test_bounds_hold_over_all_looks_together(draw):
    """At most 10 % miss at any look: of 150, 23 or more have a chance of 2 %."""
    assert _missed(draw, LOOKS, 150, seed=11) <= 22


def test_an_effect_is_seen():
    def draw(rng):
        user, canary, stratum, reward = _staged(rng)
        return user, canary, stratum, reward + 1.0 * canary

    assert _missed(draw, LOOKS, 20, seed=3) == 20


def test_sample_ratio_by_hand_and_over_looks():
    from scipy.stats import betabinom, binom

    r = sample_ratio(30, 60, 0.5)
    likely = [betabinom.pmf(30, 90, k / 2, k / 2) for k in (100, 1_000, 10_000)]
    odds = np.mean(likely) / binom.pmf(30, 90, 0.5)
    assert r.e_value == pytest.approx(odds)
    assert r.p_value == pytest.approx(min(1, 1 / odds))
    assert sample_ratio(0, 0, 0.01).p_value == 1
    assert sample_ratio(5_400, 94_600, 0.05).p_value < 1e-4
    rng, wrong = np.random.default_rng(2), 0
    for _ in range(300):
        canary = np.cumsum(rng.random(3_000) < 0.05)[99::100]
        wrong += any(
            sample_ratio(int(c), 100 * (i + 1) - int(c), 0.05).p_value < 0.05
            for i, c in enumerate(canary)
        )
    assert wrong <= 22, "5 % of 300, and three standard errors"


def test_users_of_both_arms_are_counted_inside_a_stratum():
    user = ["a", "a", "b", "b", "c"]
    units = _units(user, [True, False, True, False, True], [0, 0, 0, 1, 0], [0] * 5)
    assert multiple_exposure(units) == pytest.approx(1 / 3), "b changed arms between strata only"
    with pytest.raises(ValueError, match="share = 0"):
        sample_ratio(1, 2, 0.0)


def test_numbers_of_sessions_that_are_none_are_refused() -> None:
    user, canary = np.arange(40), np.arange(40) % 2 == 0
    stratum, total, sessions = np.zeros(40, np.int64), np.arange(40.0)[:, None], np.ones(40)
    units = TrialUnits(user, canary, stratum, total, sessions, ("reward",))
    for tuned_at in (0.0, -1.0, np.nan, np.inf):
        with pytest.raises(ValueError, match="tuned_at"):
            difference(units, "reward", tuned_at=tuned_at)
    with pytest.raises(ValueError, match="finite"):
        TrialUnits(user, canary, stratum, total, sessions * np.inf, ("reward",))
