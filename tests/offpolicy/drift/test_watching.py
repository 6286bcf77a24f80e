"""The detector of changes: a slow twin, its run length, and the delay."""

import json
import math

import numpy as np
import pytest

from offpolicy.drift.watching import BETS, Outcomes, Reference, reference_of
from offpolicy.errors import LogError

COIN = Reference(mean=0.5, low=0.5, high=0.5, floor=0.0, ceiling=1.0, units=10**6)


def slow_evidence(x, reference, sides=("down", "up")):
    """Restarting sums over all starts, each product by itself (Shin, Ramdas & Rinaldo, eq. 11)."""
    result = []
    for n in range(1, len(x) + 1):
        total = 0.0
        for side in sides:
            for k in range(1, BETS + 1):
                if side == "down":
                    grow = 1 + 0.5**k * (reference.low - x[:n]) / (
                        reference.ceiling - reference.low
                    )
                else:
                    grow = 1 + 0.5**k * (x[:n] - reference.high) / (
                        reference.high - reference.floor
                    )
                total += sum(np.prod(grow[j:]) for j in range(n))
        result.append(total / (len(sides) * BETS))
    return np.array(result)


def test_evidence_is_that_of_the_definition():
    rng = np.random.default_rng(0)
    x = (rng.random(60) < 0.2).astype(float)
    slow = slow_evidence(x, COIN)
    first = int(np.flatnonzero(slow >= 30)[0]) + 1
    state, alarm = Outcomes.begin(COIN, run_length=30).update(x)
    assert alarm is not None
    assert alarm.at == first
    assert alarm.direction == "down"
    assert alarm.evidence == pytest.approx(slow[first - 1])
    assert state.alarms >= 1


def test_one_value_by_hand():
    """A success with bets 1/2 ... 1/256 of 1 / .5: the mean fortune is 1 + (sum of 2^-k) / 8 / 2
    on the side up, and as much below 1 on the other: 1 in all."""
    state, alarm = Outcomes.begin(COIN, direction="up").update([1.0])
    assert alarm is None
    gain = sum(0.5**k for k in range(1, BETS + 1)) / BETS
    assert math.exp(state.best) == pytest.approx(1 + gain)
    both, _ = Outcomes.begin(COIN).update([1.0])
    assert both.best == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("parts", [1, 7, 400])
def test_parts_do_not_matter_and_the_state_survives_json(parts):
    rng = np.random.default_rng(1)
    x = np.r_[rng.random(700), rng.random(700) * 0.6]
    reference = reference_of(rng.random(500))
    whole, alarm = Outcomes.begin(reference, run_length=500).update(x)
    state, first = Outcomes.begin(reference, run_length=500), None
    for part in np.array_split(x, parts):
        state, seen = Outcomes.from_json(state.to_json()).update(part)
        first = first or seen
    assert (first.at, first.since, first.direction) == (alarm.at, alarm.since, alarm.direction)
    assert first.evidence == pytest.approx(alarm.evidence)
    assert alarm is not None
    assert state.n == whole.n == 1400
    assert state.alarms == whole.alarms
    assert state.lowest_at == whole.lowest_at
    assert np.allclose(state.restarts, whole.restarts)
    assert state.p_value == pytest.approx(whole.p_value)
    json.loads(state.to_json(), parse_constant=pytest.fail)  # neither NaN nor Infinity


@pytest.mark.parametrize("law", ["coin", "rare", "heavy"])
def test_run_length_is_at_least_what_was_asked_for(law):
    """Values to the first alarm under the reference's own law; cut at 5 times the bound, which
    makes the mean smaller."""
    draw = {
        "coin": lambda rng, n: (rng.random(n) < 0.5).astype(float),
        "rare": lambda rng, n: (rng.random(n) < 0.01).astype(float),
        "heavy": lambda rng, n: rng.pareto(1.5, n),
    }[law]
    rng = np.random.default_rng(2)
    known = draw(rng, 500_000)
    r = reference_of(known, miss=0.5)  # the mean itself
    bound, times = 100, []
    for _ in range(60):
        _, alarm = Outcomes.begin(r, run_length=bound).update(draw(rng, 5 * bound))
        times.append(5 * bound if alarm is None else alarm.at)
    assert np.mean(times) >= bound


def test_a_late_change_is_seen_as_soon_as_an_early_one():
    rng = np.random.default_rng(3)
    reference = reference_of(rng.lognormal(0, 1, 20_000))
    delays = {}
    for start in (0, 20_000):
        delays[start] = []
        for _ in range(10):
            x = np.r_[rng.lognormal(0, 1, start), 0.7 * rng.lognormal(0, 1, 4_000)]
            state = Outcomes.begin(reference, run_length=100_000)
            state, early = state.update(x[:start])
            assert early is None
            state, alarm = state.update(x[start:])
            assert alarm is not None
            assert alarm.direction == "down"
            assert abs(alarm.since - start) < 800
            delays[start].append(alarm.at - start)
    assert np.median(delays[20_000]) < 1.5 * np.median(delays[0])
    assert np.median(delays[20_000]) < 1_000


def test_the_reference_is_as_uncertain_as_its_users():
    """Twenty sessions of each user with one mean a user are no more than one each."""
    rng = np.random.default_rng(4)
    user = np.repeat(np.arange(300), 20)
    x = rng.normal(size=300)[user]
    apart, together = reference_of(x), reference_of(x, user)
    assert together.units == 300
    assert (together.high - together.low) / (apart.high - apart.low) == pytest.approx(
        20**0.5, rel=0.05
    )
    wide = reference_of(x + 10, user, tolerance=0.1)
    assert wide.high - wide.mean == pytest.approx(together.high - together.mean + 1.0, rel=0.1)


def test_the_anytime_p_value_is_small_after_a_shift_and_not_before():
    rng = np.random.default_rng(5)
    reference = reference_of(rng.random(5_000))
    clean, _ = Outcomes.begin(reference).update(rng.random(3_000))
    moved, _ = clean.update(rng.random(3_000) * 0.8)
    assert clean.p_value > 0.05
    assert moved.p_value < 1e-3


def test_rare_successes_are_not_cut_off():
    x = np.zeros(3_000)
    x[:6] = 1.0
    assert reference_of(x).ceiling == 1.0


def test_bad_input_is_named():
    with pytest.raises(LogError, match="nothing that varies"):
        reference_of(np.ones(10))
    with pytest.raises(LogError, match=r"values\[1\] = nan"):
        Outcomes.begin(COIN).update([1.0, np.nan])
    with pytest.raises(LogError, match="run_length"):
        Outcomes.begin(COIN, run_length=1)
    with pytest.raises(LogError, match="2 independent units"):
        reference_of([1.0, 2.0], ["a", "a"])
    with pytest.raises(LogError, match="no state of a detector"):
        Outcomes.from_json('{"n": 1}')


def test_a_state_of_other_types_is_none() -> None:
    known = json.loads(Outcomes.begin(COIN, run_length=100).to_json())
    assert Outcomes.from_json(json.dumps(known)) == Outcomes.begin(COIN, run_length=100)
    for name in known:
        for bad in (None, "x", [], {}, True):
            with pytest.raises(LogError, match=r"this is no state|has not \d+ numbers"):
                Outcomes.from_json(json.dumps(known | {name: bad}))


def test_a_reference_by_which_no_change_is_seen_is_refused() -> None:
    with pytest.raises(LogError, match="no change would be seen"):
        reference_of([1e300, -1e300, 1.0])
