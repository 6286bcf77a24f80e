"""The traffic does what it says, its ledger sums as a slow one does, rollouts are repeatable."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.rollout.ledger import NAMES, Ledger
from experiments.rollout.planning import planned
from experiments.rollout.play import play
from experiments.rollout.report import figures, is_soft, page
from experiments.rollout.scenarios import BY_ID, RULE, work
from experiments.rollout.traffic import DAY, Change, Traffic, Users
from offpolicy.trials.difference import difference
from offpolicy.trials.units import units_of
from serving.rollout.window import Shares

POOL = np.sort(np.random.default_rng(0).gamma(1.5, 20.0, 400))
HALF = DAY / 2


def test_users_keep_their_arm_and_lose_what_the_change_takes() -> None:
    users = Users(Traffic(users=500), POOL, np.random.default_rng(1))
    met = users.play(0.0, HALF, 0.3, Change(-0.1))
    canary = users.point < 0.3
    assert (met.lost[~canary] == 0).all()
    np.testing.assert_allclose(met.lost[canary], met.paid[canary] / 0.9 * 0.1)
    assert (users.met[~canary] == 0).all()
    np.testing.assert_array_equal(users.met[canary], met.sessions[canary])


def test_the_marginal_return_of_sessions_is_that_of_the_pool() -> None:
    users = Users(Traffic(users=20_000), POOL, np.random.default_rng(2))
    met = users.play(0.0, 4 * DAY, 0.5, Change())
    mean = met.paid.sum() / met.sessions.sum()
    assert mean == pytest.approx(POOL.mean(), rel=0.01)  # .3 % of noise
    rate = Users(Traffic(users=20_000, rate=0.01, sessions=100.0), POOL, np.random.default_rng(3))
    met = rate.play(0.0, DAY, 0.5, Change())
    assert met.paid.sum() / met.sessions.sum() == pytest.approx(0.01, rel=0.04)


def test_a_change_turns_and_novelty_halves() -> None:
    turning = Change(0.05, later=-0.1, turn=100.0)
    assert turning.of(99.0, np.zeros(1))[0] == pytest.approx(0.05)
    assert turning.of(100.0, np.zeros(1))[0] == pytest.approx(-0.1)
    new = Change(-0.1, novelty=0.2, lasts=3.0)
    np.testing.assert_allclose(new.of(0.0, np.array([0.0, 3.0, 6.0])), [0.1, 0.0, -0.05])


def test_the_ledger_gives_the_differences_of_a_slow_twin() -> None:
    """The twin keeps every stretch of every user as a row, and lets `units_of` sum them."""
    users = Users(Traffic(users=900), POOL, np.random.default_rng(4))
    ledger, rows = Ledger(users.point, RULE), []
    begin, stretches = 0.0, ((0.25, 3), (0.5, 7))
    for stage, (weight, looks) in enumerate(stretches):
        ledger.open(weight, begin)
        for _ in range(looks):
            met = users.play(begin, begin + HALF, weight, Change(-0.1))
            ledger.add(met, begin)
            for u in np.flatnonzero(met.sessions):
                values = met.paid[u], met.sessions[u]
                rows.append((u, users.point[u] < weight, stage, begin, *values))
            begin += HALF
    seen = ledger.window(begin, Shares())
    assert seen.recent_from == begin - 1.5 * DAY  # parts of a day, of a stage of 3.5
    table = np.array(rows, np.float64)
    for scope, kept in (
        ("rollout", np.ones(len(table), bool)),
        ("stage", table[:, 2] == 1),
        ("recent", table[:, 3] >= seen.recent_from),
    ):
        t = table[kept]
        units = units_of(
            t[:, 0].astype(np.int64), t[:, 1] > 0, t[:, 2].astype(np.int64), t[:, 4:], NAMES,
            sessions=t[:, 5],
        )  # fmt: skip
        for name, per in (("reward", "session"), ("sessions", "user")):
            slow = difference(
                units, name, level=RULE.level_of(name, scope), per=per,
                tuned_at=RULE.tuned_for(scope, 0.5),
            )  # fmt: skip
            fast = getattr(seen, scope)[name]
            assert fast.value == pytest.approx(slow.value)
            assert fast.low == pytest.approx(slow.low)
            assert fast.high == pytest.approx(slow.high)


def test_pieces_of_a_scenario_do_not_depend_on_the_cut() -> None:
    name = "step-returns-10-worse"
    whole = work(name, 0, 4, 5, list(POOL), 1_500.0)["played"]
    cut = [p for k in (0, 2) for p in work(name, k, 2, 5, list(POOL), 1_500.0)["played"]]
    assert whole == cut
    assert work(name, 0, 1, 6, list(POOL), 1_500.0)["played"] != whole[:1]


def test_few_good_canaries_are_taken_back_and_few_bad_ones_pass() -> None:
    """Of 12 as good, none is: at the chance of 5 % that is allowed, 3 or more would be one in 50.
    Of 12 that are 10 % worse, none reaches all users."""
    good = work("step-returns-as-good-A-A", 0, 12, 7, list(POOL), 1_500.0)["played"]
    assert sum(map(is_soft, good)) <= 2
    bad = work("step-returns-10-worse", 0, 12, 7, list(POOL), 1_500.0)["played"]
    assert sum(p["phase"] == "done" for p in bad) == 0
    assert sum(p["phase"] == "rolled_back" for p in bad) >= 9
    told = {f.what: f.hits for f in figures(BY_ID["step-returns-10-worse"], bad)}
    assert told["done"] == 0
    assert told["rolled_back"] + told["held"] == 12


def test_without_comparisons_the_rule_never_moves() -> None:
    p = play(Traffic(users=500), POOL, Change(), RULE, [1], compare=False)
    assert (p.phase, p.weight, p.days) == ("held", 0.01, 5.0)


def test_a_plan_wants_more_users_for_smaller_distances() -> None:
    needed = planned(Traffic(), POOL, RULE, 0)["needed"]
    assert needed["better"]["users"] < needed["worse"]["users"] < needed["as good"]["users"]
    # distances of 8 and 3 %, the same power: (8 / 3)^2 = 7.1
    assert needed["as good"]["users"] / needed["better"]["users"] == pytest.approx(7.1, rel=0.15)


def test_every_row_of_the_page_has_all_columns() -> None:
    names = ("step-returns-10-worse", "step-returns-better-then-10-worse")
    text = page({name: work(name, 0, 2, 5, list(POOL), 1_500.0)["played"] for name in names})
    for table in text.split("\n\n")[1::2]:
        assert len({line.count("|") for line in table.splitlines()}) == 1
    assert "| 0 | promoted <= 0%: yes |" in text
