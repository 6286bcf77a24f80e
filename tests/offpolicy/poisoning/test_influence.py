"""Heavy users against their tail, and what few users move."""

import numpy as np
import pytest

from offpolicy.doctor.findings import Level
from offpolicy.errors import LogError
from offpolicy.estimators.engine import Estimate
from offpolicy.intervals.inference import interval
from offpolicy.poisoning.heavy_users import against_tail, heavy_users
from offpolicy.poisoning.influence import influence, of_influence, without_top_users
from tests.offpolicy.poisoning.people import people


def mean_of(x):
    return Estimate(float(x.mean()), x - x.mean(), np.arange(len(x)))


@pytest.mark.parametrize("law", ["pareto", "lognormal", "counts"])
def test_honest_heavy_tails_are_allowed(law):
    rng = np.random.default_rng(0)
    draw = {
        "pareto": lambda: rng.pareto(1.2, 800) + 1,
        "lognormal": lambda: rng.lognormal(0, 1.5, 800),
        "counts": lambda: rng.geometric(0.05, 800).astype(float),
    }[law]
    found = [against_tail(draw()) for _ in range(60)]
    assert sum(f.p_value < 3e-4 for f in found) == 0
    assert sum(f.p_value < 0.05 for f in found) <= 8


def test_the_cap_is_above_people_and_far_below_a_farm():
    rng = np.random.default_rng(1)
    over = 0
    for _ in range(40):
        x = rng.pareto(3, 1_000) + 1
        found = against_tail(x)
        over += x.max() > found.cap
    assert over <= 3
    assert found.cap < 40
    assert found.tail == pytest.approx(3, rel=0.5)


def test_a_farm_stands_beyond_the_tail():
    log, _ = people(0, 300)
    paid = np.where(log.user < 3, 500.0, log.reward)
    from dataclasses import replace

    decisions, reward = heavy_users(replace(log, reward=paid))
    assert decisions.level is Level.PASS
    assert reward.level is Level.WARN
    assert "longplay join --cap reward=" in reward.fix
    assert reward.row == 0


def test_how_many_users_turn_a_verdict_by_brute_force():
    rng = np.random.default_rng(2)
    x = rng.lognormal(0, 1.5, 300) - 1.5
    found = influence(mean_of(x))
    assert found.value.low > 0
    slow = next(k for k in range(150) if interval(mean_of(np.sort(x)[: 300 - k])).low <= 0)
    assert found.turned_by == pytest.approx(slow, abs=1)  # quantiles of 299 or of fewer degrees
    one = next(w for w in found.without if w.users == 20)
    kept = np.sort(x)[:280]
    assert one.value.value == pytest.approx(kept.mean())
    assert one.value.se == pytest.approx(interval(mean_of(kept)).se)


def test_a_verdict_below_the_threshold_is_turned_from_the_other_side():
    x = np.r_[np.full(200, -0.1), -50.0] + 0.01 * np.random.default_rng(3).normal(size=201)
    up, down = influence(mean_of(-x), threshold=0.0), influence(mean_of(x), threshold=0.0)
    assert (up.turned_by, down.turned_by) == (0, 0)  # one user carries it: nothing is decided
    clear = influence(mean_of(np.r_[np.full(400, -1.0), np.full(9, 20.0)]), threshold=0.0)
    assert clear.value.value == pytest.approx(-220 / 409)
    assert clear.turned_by is None or clear.turned_by > 9


def test_few_users_must_not_decide():
    rng = np.random.default_rng(4)
    x = np.r_[rng.normal(0.09, 1, 500), 8.0]
    fragile = influence(mean_of(x))
    assert fragile.turned_by is not None
    assert 0 < fragile.turned_by <= 5
    assert of_influence(fragile).level is Level.WARN
    solid = influence(mean_of(rng.normal(1.0, 1, 500)))
    assert solid.turned_by is None or solid.turned_by > 50
    assert of_influence(solid).level is Level.PASS
    nothing = influence(mean_of(rng.normal(0.0, 1, 500)))
    assert nothing.turned_by == 0
    assert "decides nothing" in of_influence(nothing).found


def test_a_value_without_its_top_users():
    log, _ = people(1, 50)

    def value(part, rows):
        assert len(part) == len(rows)
        return float(part.reward.mean())

    values = without_top_users(log, value, (1, 5))
    total = np.bincount(log.user, log.reward)
    rest = np.argsort(-total, kind="stable")[5:]
    assert values[0] == pytest.approx(log.reward.mean())
    assert values[5] == pytest.approx(log.reward[np.isin(log.user, rest)].mean())
    assert values[5] < values[1] < values[0]
    with pytest.raises(LogError, match="leave at least one"):
        without_top_users(log, value, (50,))
