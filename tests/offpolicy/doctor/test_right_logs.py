"""Right logs are not accused, whatever their shape."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from offpolicy import Health, LoggedDataset, check_log
from offpolicy.doctor.choices import offered, ordered_slates
from tests.offpolicy.doctor.shapes import SHAPES, one_step, pick, right_log, softmax
from tests.offpolicy.factories import log_of


@pytest.mark.parametrize("shape", SHAPES)
def test_no_check_accuses_a_right_log(shape: str) -> None:
    for seed in range(1000, 1008):
        c = right_log(shape, seed, 3000)
        check = check_log(c.log, c.scores, time=c.time)
        assert check.verdict is Health.PASS, (seed, str(check))


@pytest.mark.slow
def test_of_500_right_logs_none_fails_and_at_most_five_are_warned_about() -> None:
    verdicts = [
        check_log(c.log, c.scores, time=c.time).verdict
        for shape in SHAPES
        for c in (right_log(shape, seed) for seed in range(2000, 2050))
    ]
    assert verdicts.count(Health.FAIL) == 0
    assert verdicts.count(Health.WARN) <= 5


def test_ordered_slates_are_counted_like_their_list() -> None:
    options, size = np.array([4.0, 5.0, 2.0, 1.0, 3.0]), np.array([2, 3, 2, 2, 0])
    listed = [len(list(permutations(range(int(c)), int(m)))) for c, m in zip(options, size)]  # noqa: B905
    assert ordered_slates(options, size, False).tolist() == listed
    assert ordered_slates(options, size, True).tolist() == [16, 125, 4, 1, 1]


@pytest.mark.parametrize(("items", "places"), [(5, 1), (5, 2), (20, 2), (20, 6)])
def test_the_mean_weight_of_uniform_slates_is_one(items: int, places: int) -> None:
    rng = np.random.default_rng(0)
    slate = rng.permuted(np.tile(np.arange(items), (3000, 1)), axis=1)[:, :places]
    p = np.full(3000, 1 / np.prod(items - np.arange(places)))
    check = check_log(one_step(slate, p, rng.random(3000), items))
    assert check.verdict is Health.PASS
    assert check["mean weight, uniform target (T2)"].found.startswith("1.0000 +- 0.0000")


def test_later_places_may_hold_what_the_table_excludes_from_the_first() -> None:
    log = one_step(
        np.array([[0, 2], [1, 0]]), np.full(2, 0.25), np.ones(2), 3,
        candidate_propensity=[[0.5, 0.5, 0.0]] * 2,
    )  # fmt: skip
    assert offered(log).tolist() == [3, 3]
    other = one_step(
        np.array([[0, 1], [1, 0]]), np.full(2, 0.25), np.ones(2), 3,
        candidate_propensity=[[0.5, 0.5, 0.0]] * 2,
    )  # fmt: skip
    assert offered(other).tolist() == [2, 2]


@pytest.mark.parametrize("items", [3, 7, 34])
def test_equal_numbers_do_not_differ_between_days(items: int) -> None:
    """The logarithm of 1 / A, or a reward of .3, sums to other last digits on other days."""
    rng = np.random.default_rng(items)
    log = one_step(
        rng.integers(0, items, 5000), np.full(5000, 1 / items), np.full(5000, 0.3), items
    )
    check = check_log(log, time=rng.uniform(0, 7 * 86_400, 5000))
    assert check["entropy per day"].p_value == 1
    assert check["value per day"].p_value == 1


def test_a_day_on_which_all_outcomes_were_lost_differs() -> None:
    rng = np.random.default_rng(1)
    time = rng.uniform(0, 5 * 86_400, 5000)
    reward = (rng.random(5000) < 0.1) * (time < 4 * 86_400.0)
    check = check_log(log_of(5000, reward=reward), time=time)
    assert check["value per day"].level.name == "WARN"


def test_users_who_answer_alike_all_day_do_not_make_days_differ() -> None:
    """Rows of a user on a day are one draw: 40 users a day, 50 equal rows each."""
    rng = np.random.default_rng(2)
    user = np.repeat(np.arange(240), 50)
    log = log_of(12_000, user=user, reward=(rng.random(240) < 0.3).astype(float)[user])
    assert check_log(log, time=user // 40 * 86_400.0)["value per day"].level.name == "PASS"


@pytest.mark.parametrize("digits", [5, 7])
def test_propensities_of_a_few_digits_or_of_float32_are_right(digits: int) -> None:
    rng = np.random.default_rng(3)
    p = round(1 / 3, digits) if digits < 7 else float(np.float32(1 / 3))
    log = one_step(rng.integers(0, 3, 9000), np.full(9000, p), rng.random(9000), 3)
    assert check_log(log).verdict is Health.PASS


def test_two_decisions_of_a_session_with_one_context_are_two() -> None:
    rng = np.random.default_rng(4)
    n = 4000
    context = np.repeat(rng.normal(size=(n // 2, 3)), 2, 0)
    log = log_of(
        n, session=np.arange(n) // 2, step=np.arange(n) % 2, context=context, reward=np.zeros(n)
    )
    assert check_log(log)["duplicates"].level.name == "PASS"


def test_a_choice_of_nothing_is_logged_by_what_the_table_leaves() -> None:
    """Serve nothing with probability .4, else one of two items by .45 and .15."""
    rng = np.random.default_rng(5)
    n = 6000
    table = np.tile([0.45, 0.15], (n, 1))
    item = np.array([0, 1, -1])[rng.choice(3, n, p=[0.45, 0.15, 0.4])]
    p = np.array([0.45, 0.15, 0.4])[item]
    log = one_step(item, p, rng.random(n), 2, candidate_propensity=table)
    assert check_log(log).verdict is Health.PASS
    wrong = one_step(item, np.where(item < 0, 0.3, p), rng.random(n), 2, candidate_propensity=table)
    assert check_log(wrong)["structure"].level.name == "FAIL"


def test_exploration_is_measured_where_there_was_a_choice() -> None:
    """Nine rows in ten offer one item; of the others the logger leaves none, or all, to chance."""
    rng = np.random.default_rng(6)
    n = 3000
    alone = rng.random(n) < 0.9
    item = rng.integers(0, 3, n)
    offered_ = np.where(alone[:, None] & (np.arange(3) != item[:, None]), -1, np.arange(3))
    free = one_step(item, np.where(alone, 1, 1 / 3), rng.random(n), 3, candidates=offered_)
    assert check_log(free).verdict is Health.PASS
    sure = one_step(item, np.ones(n), rng.random(n), 3, candidates=offered_)
    finding = check_log(sure)["deterministic logger"]
    assert finding.level.name == "FAIL"
    assert f"of the {int((~alone).sum())} that left a choice" in finding.found


def test_a_log_of_one_user_is_examined_by_rows() -> None:
    rng = np.random.default_rng(7)
    n = 5000
    z = np.tile(rng.normal(size=5), (n, 1))
    item = rng.choice(5, n, p=softmax(z[0]))
    right = pick(softmax(z), item)
    one = {"user": np.zeros(n, int)}
    check = check_log(one_step(item, right, rng.random(n), 5, **one))
    assert [f.check for f in check.troubles] == ["users"]  # it cannot be weighed: one unit
    wrong = check_log(one_step(item, 0.8 * right, rng.random(n), 5, **one))
    assert "mean weight, uniform target (T2)" in [f.check for f in wrong.troubles]


@pytest.mark.parametrize("reward", ["lognormal", "pareto", "rare"])
def test_heavy_tails_and_rare_events_are_not_bots(reward: str) -> None:
    for seed in range(20):
        rng = np.random.default_rng([seed, 8])
        n = 4000
        x = {
            "lognormal": rng.lognormal(0, 1.8, n), "pareto": rng.pareto(2.2, n),
            "rare": (rng.random(n) < 0.001).astype(float),
        }[reward]  # fmt: skip
        check = check_log(log_of(n, reward=x), time=rng.uniform(0, 5 * 86_400, n))
        assert check["heavy units"].level.name == "PASS", seed
        assert check["value per day"].level.name == "PASS", seed


def test_items_closed_by_unlogged_rules_are_no_wrong_propensities() -> None:
    """Without candidates nobody knows what was open: item 0 always, item 4 on one row in three."""
    rng = np.random.default_rng(9)
    n = 8000
    open_ = rng.random((n, 5)) < np.array([1, 0.9, 0.7, 0.5, 0.3])
    p = softmax(np.where(open_, 0.0, -np.inf))
    item = (rng.random((n, 1)) > p.cumsum(1)).sum(1)
    log: LoggedDataset = one_step(item, pick(p, item), rng.random(n), 5)
    finding = check_log(log)["mean weight, uniform target (T2)"]
    assert finding.level.name == "PASS"
    assert "or no full support" in finding.found
    twice = one_step(rng.integers(0, 5, n), np.full(n, 0.4), rng.random(n), 5)
    assert check_log(twice)["mean weight, uniform target (T2)"].level.name == "WARN"


def test_a_policy_that_explores_few_slates_lacks_support_and_nothing_else() -> None:
    """The first place by chance, the next in a fixed order of what is left, but one in ten."""
    rng = np.random.default_rng(10)
    n, a = 8000, 8
    first = rng.integers(0, a, n)
    rest = np.array([[i for i in range(a) if i != f][:2] for f in range(a)])[first]
    free = rng.random(n) < 0.1
    other = np.array([[i for i in range(a) if i != f] for f in range(a)])[first]
    second = np.where(free, other[np.arange(n), rng.integers(0, a - 1, n)], rest[:, 0])
    slate = np.column_stack([first, second])
    pp = np.column_stack([np.full(n, 1 / a), 0.9 * (second == rest[:, 0]) + 0.1 / (a - 1)])
    greedy = np.column_stack([np.full(n, 1 / a), np.ones(n)])
    for s, p in ((slate, pp), (np.column_stack([first, rest[:, 0]]), greedy)):
        for more in ({}, {"position_propensity": p}):
            table = {"candidate_propensity": np.full((n, a), 1 / a)}
            for columns in (more, more | table):
                assert not check_log(one_step(s, p.prod(1), rng.random(n), a, **columns)).troubles
