"""Bots are named, people are not."""

import numpy as np
import pytest
from scipy import stats

from offpolicy.doctor.findings import Level
from offpolicy.errors import LogError
from offpolicy.poisoning.bots import bots
from offpolicy.poisoning.checking import check_users
from offpolicy.poisoning.regular import _fitted, _log_chance, _upper, regular
from tests.offpolicy.poisoning.people import people

HABITS = {"taken": "no refusal", "place": "one place", "response": "one response",
          "gap": "equal gaps"}  # fmt: skip


def test_chances_are_those_of_scipy():
    k, n = np.array([0.0, 3.0, 40.0]), np.array([5.0, 5.0, 60.0])
    assert np.exp(_log_chance(k, n, 2.0, 3.0)) == pytest.approx(stats.betabinom.pmf(k, n, 2, 3))
    n = np.array([7.0, 19.0, 20.0, 60.0])
    least = np.array([7, 19, 19, 57])  # 95 %, rounded up
    assert _upper(n, 2.0, 3.0) == pytest.approx(stats.betabinom.sf(least - 1, n, 2, 3))


def test_the_law_of_people_is_found_without_those_who_are_regular():
    rng = np.random.default_rng(0)
    n = np.full(3_000, 12.0)
    k = rng.binomial(12, rng.beta(6, 2, 3_000)).astype(float)
    assert 0.05 < (k == 12).mean() < 0.25
    a, b = _fitted(k[k < 12], n[k < 12])
    assert a / (a + b) == pytest.approx(0.75, abs=0.02)
    assert 1 / (1 + a + b) == pytest.approx(1 / 9, abs=0.03)
    found = regular(k, n)
    assert found is not None
    assert found.many == pytest.approx(found.expected, rel=0.2)
    assert found.p_value > 0.01


@pytest.mark.parametrize("habit", HABITS)
def test_each_habit_gives_its_bots_away(habit):
    """Six of 200 users; all of those named are bots, and most bots are named."""
    log, time = people(1, rows=60, bots=6, only=habit)
    found = bots(log, time=time)
    bad = [f.check for f in found.findings if f.level > Level.PASS]
    assert bad == [f"bots: {HABITS[habit]}"]
    assert len(found.users) >= 4
    assert (found.users < 6).all()


def test_bots_with_all_habits_come_first_and_carry_their_share():
    log, time = people(2, rows=60, bots=10)
    found = bots(log, time=time)
    assert sorted(found.users[:10].tolist()) == list(range(10))
    assert all(len(p) >= 3 for p in found.patterns[:10])
    named = np.isin(log.user, found.users)
    assert found.share_of_rows == pytest.approx(len(found.users) / 200)
    assert len(found.users) <= 15
    assert found.share_of_reward == pytest.approx(log.reward[named].sum() / log.reward.sum())


def test_fast_users():
    log, time = people(3)
    quick = np.where(log.user < 4, 1e3 * log.user + 0.2 * log.step, time)
    found = bots(log, time=quick)
    assert [f.level for f in found.findings if f.check == "bots: fast"] == [Level.WARN]
    assert set(range(4)) <= set(found.users.tolist())


def test_people_are_left_alone():
    """100 clean logs of few and of many rows: at most one is accused."""
    accused = sum(
        bots(*logs[:1], time=logs[1]).suspected
        for rows in (8, 30)
        for logs in (people(seed, 120, rows=rows) for seed in range(50))
    )
    assert accused <= 1


def test_what_half_the_users_do_says_nothing():
    log, _ = people(4, bots=120, only="response")
    finding = next(f for f in bots(log).findings if f.check == "bots: one response")
    assert finding.level is Level.PASS
    assert "says nothing" in finding.found


def test_every_finding_leads_to_an_action_and_one_check_holds_them():
    log, time = people(5, bots=10)
    health = check_users(log, time=time)
    assert len(health.findings) == 7
    assert all(f.fix for f in health.troubles)
    assert health["bots: one place"].row == 0


def test_times_that_do_not_fit():
    log, time = people(6, 40)
    with pytest.raises(LogError, match="time has shape"):
        bots(log, time=time[:-1])
