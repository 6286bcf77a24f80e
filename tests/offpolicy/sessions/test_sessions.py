"""Analyses along the session, each against numbers worked by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset, TargetScores, estimate, interval, on_policy, terms
from offpolicy.sessions.examples import example_session, typical_sessions
from offpolicy.sessions.reach import by_horizon
from offpolicy.sessions.returns import by_segment, return_distribution, thirds
from offpolicy.sessions.split import split
from offpolicy.sessions.steps import per_session, while_there
from offpolicy.sessions.survival import decomposition, survival
from offpolicy.sessions.variety import consumed_again, exposure, repetition, slate_diversity

Z = 1.959963984540054


def log_of(lengths: list[int], ends: list[str], **more: Any) -> LoggedDataset:
    """Sessions of so many decisions that end by "left" or "cut"; the reward is 1, 2, 3 … by row."""
    session = np.repeat(np.arange(len(lengths)), lengths)
    step = np.concatenate([np.arange(n) for n in lengths])
    last = np.append(session[1:] != session[:-1], True)
    how = np.array(ends)[session]
    columns: dict[str, Any] = {
        "session": session, "step": step, "slate": np.zeros((len(step), 1), int), "n_items": 4,
        "propensity": np.full(len(step), 0.5), "reward": np.arange(1.0, len(step) + 1),
        "terminated": last & (how == "left"), "truncated": last & (how == "cut"),
    }  # fmt: skip
    return LoggedDataset.from_columns(**(columns | more))


def random_log(users: int | None = None, cut: bool = False) -> LoggedDataset:
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 7, 60).tolist()
    ends = ["cut" if cut and rng.random() < 0.4 else "left" for _ in lengths]
    n = sum(lengths)
    session = np.repeat(np.arange(60), lengths)
    user = {} if users is None else {"user": session % users}
    return log_of(lengths, ends, reward=rng.gamma(2.0, 1.0, n), **user)


def test_survival_is_the_product_limit_with_greenwoods_error() -> None:
    # four sessions: one leaves at step 0, one is cut after it, two go on, and one leaves at step 1
    s = survival(log_of([1, 1, 2, 3], ["left", "cut", "left", "left"]))
    assert s.at_risk.tolist() == [4, 2, 1]
    assert s.left.tolist() == [1, 1, 1]
    np.testing.assert_allclose(s.hazard.value, [1 / 4, 1 / 2, 1])
    np.testing.assert_allclose(s.staying.value, [1, 3 / 4, 3 / 8])
    greenwood = (3 / 8) ** 2 * (1 / (4 * 3) + 1 / (2 * 1))
    n = (3 / 8) * (5 / 8) / greenwood  # effective observations
    middle = (3 / 8 + Z**2 / (2 * n)) / (1 + Z**2 / n)
    assert s.staying.low[2] + s.staying.high[2] == pytest.approx(2 * middle)
    assert (s.staying.low[0], s.staying.high[0]) == (1, 1), "every session reaches its first step"
    assert 0 < s.hazard.low[0] < 1 / 4 < s.hazard.high[0] < 1


def test_a_log_without_marks_ends_where_its_sessions_end() -> None:
    plain = log_of([1, 2], ["", ""])
    assert survival(plain).staying.value.tolist() == [1, 1 / 2]
    assert decomposition(plain).product.value.sum() == plain.session_rewards().mean()


def test_clustered_bounds_are_wider_where_users_act_alike() -> None:
    once = log_of([1, 1, 3, 3] * 5, ["left"] * 20)
    alike = log_of([1, 1, 3, 3] * 5, ["left"] * 20, user=np.repeat(np.arange(10), [2, 6] * 5))
    wide, narrow = (survival(x).staying for x in (alike, once))
    np.testing.assert_array_equal(wide.value, narrow.value)
    assert wide.high[1] - wide.low[1] > narrow.high[1] - narrow.low[1]


def test_where_nobody_leaves_users_count_and_not_sessions_or_their_weights() -> None:
    # Wilson's bounds of 0 of n: [0, z^2 / (n + z^2)]
    length, ends = [1] + [2] * 11, ["left"] + ["cut"] * 11  # one leaves, at step 0
    once = log_of(length, ends)
    assert survival(once).hazard.high[1] == pytest.approx(Z**2 / (11 + Z**2))
    user = np.repeat([0, 1, 2, 3], [1, 8, 8, 6])  # 11 sessions of 3 users
    few = survival(log_of(length, ends, user=user)).hazard.high[1]
    assert few == pytest.approx(Z**2 / (11**2 / (4**2 + 4**2 + 3**2) + Z**2))
    kept = log_of(length, ends, row_weight=np.full(23, 10.0))
    assert survival(kept).hazard.high[1] == pytest.approx(Z**2 / (11 + Z**2))


def test_reward_is_staying_times_reward_while_there() -> None:
    d = decomposition(log_of([1, 2], ["left", "left"]))  # rewards 1 | 2, 3
    np.testing.assert_allclose(d.staying.value, [1, 1 / 2])
    np.testing.assert_allclose(d.reward.value, [1.5, 3])
    np.testing.assert_allclose(d.product.value, [1.5, 1.5])


@pytest.mark.parametrize("users", [None, 17])
def test_the_product_has_the_bounds_of_the_plain_mean(users: int | None) -> None:
    log = random_log(users)
    d, plain = decomposition(log), per_session(log, log.reward)
    for ours, theirs in zip(d.product, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    there = while_there(log, log.reward)
    for ours, theirs in zip(d.reward, there, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9)
    assert d.product.value.sum() == pytest.approx(log.session_rewards().mean())


def test_bounds_of_a_mean_are_those_of_the_estimator_of_the_package() -> None:
    log = random_log(users=17)
    first = log.take(log.step == 0)
    score = TargetScores(first.propensity)
    known = interval(estimate(on_policy(terms(first, score, horizon="one_step")), "ips"))
    ours = while_there(first, first.reward)
    assert (ours.low[0], ours.high[0]) == pytest.approx((known.low, known.high))


def test_cut_sessions_do_not_pull_the_value_down() -> None:
    whole, cut = (
        log_of([3] * 8, ["left"] * 8),
        log_of([3] * 4 + [1] * 4, ["left"] * 4 + ["cut"] * 4),
    )
    same = np.ones
    d = decomposition(log_of([3] * 4 + [1] * 4, ["left"] * 4 + ["cut"] * 4, reward=same(16)))
    assert len(whole) == 24
    assert len(cut) == 16
    np.testing.assert_allclose(d.product.value, [1, 1, 1])


def test_a_difference_splits_into_staying_and_reward() -> None:
    one = decomposition(log_of([2, 2], ["left"] * 2, reward=[2, 2, 2, 2]))  # 1 x 2, 1 x 2
    other = decomposition(log_of([1, 2], ["left"] * 2, reward=[1, 1, 1]))  # 1 x 1, .5 x 1
    s = split(one, other)
    assert s.total.value == pytest.approx(4 - 1.5)
    assert s.staying.value == pytest.approx((1 - 0.5) * (2 + 1) / 2)
    assert s.reward.value == pytest.approx((2 - 1) * 1 + (2 - 1) * 0.75)
    shorter = decomposition(log_of([1, 1], ["left"] * 2, reward=[2, 2]))
    assert split(one, shorter).staying.value == pytest.approx(2)
    assert [(i.value, i.low, i.high) for i in split(one, one)] == [(0, 0, 0)] * 3


def test_the_split_has_the_error_of_its_users() -> None:
    # one decision a session: nobody stays, and the whole is a difference of two means
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 20))
    one, other = (log_of([1] * 20, ["left"] * 20, reward=r) for r in (x, y))
    gap = split(decomposition(one), decomposition(other))
    se = np.std(x - y, ddof=1) / np.sqrt(20)  # paired, a user a group
    for part in (gap.total, gap.reward):
        assert part.value == pytest.approx(x.mean() - y.mean())
        assert part.se == pytest.approx(se)
        assert part.high - part.value == pytest.approx(2.093024 * se, rel=1e-6)  # t, 19 degrees
    assert (gap.staying.low, gap.staying.high) == (0, 0)
    few = log_of([1] * 3, ["left"] * 3)
    with pytest.raises(LogError, match="20 and 3 groups"):
        split(decomposition(one), decomposition(few))


def test_intervals_of_the_split_hold_the_truth_as_often_as_they_say() -> None:
    # every user decides once or twice, independently of what each decision pays
    rng = np.random.default_rng(1)

    def drawn(stay: float, pay: float) -> LoggedDataset:
        lengths = 1 + (rng.random(60) < stay)
        paid = pay + rng.normal(size=lengths.sum())
        return log_of(lengths.tolist(), ["left"] * 60, reward=paid)

    held = np.zeros(3)
    truth = (1.7 * 2 - 1.4 * 1, 0.3 * 1.5, 1 * (1 + 0.55))
    for _ in range(120):
        made = split(*(decomposition(drawn(*x)) for x in ((0.7, 2.0), (0.4, 1.0))))
        held += [i.low <= value <= i.high for i, value in zip(made, truth, strict=True)]
    assert (held >= 106).all(), "of 120 at 95 %: fewer have a chance of .1 %"
    assert (held < 120).any()


def test_returns_have_quantiles_and_a_worst_share() -> None:
    log = log_of([1] * 10, ["left"] * 10)  # returns 1 to 10
    d = return_distribution(log)
    assert d.quantile(0.5) == 5
    assert d.cvar(0.2).value == pytest.approx(1.5)
    assert d.mean().value == pytest.approx(5.5)


def test_segments_have_means_that_hold_together() -> None:
    log = log_of([1] * 6, ["left"] * 6, user=np.array([0, 0, 1, 2, 3, 4]))
    label = np.array(["a", "a", "a", "b", "b", "c"])
    a, b = by_segment(log, label)
    assert (a.name, a.sessions, a.value.value, a.value.units) == ("a", 3, 2, 2)
    thinned = log_of([1] * 6, ["left"] * 6, row_weight=np.array([1.0, 1, 2, 1, 1, 1]))
    weighed, _ = by_segment(thinned, np.array(["a", "a", "a", "b", "b", "b"]))
    assert weighed.value.value == pytest.approx((1 + 2 + 2 * 3) / 4), "kept with a chance of 1/2"
    assert (b.name, b.value.value) == ("b", 4.5)
    assert a.value.level == pytest.approx(0.975)
    # units of a: (1 - 2) + (2 - 2) = -1 and 3 - 2 = 1, each of 3 sessions: se^2 = 2/1 * (1 + 1) / 9
    assert a.value.se == pytest.approx((2 * 2 / 9) ** 0.5)
    gain = by_segment(log, label, values=np.zeros(6))
    assert [s.value.value for s in gain] == [0, 0]
    with pytest.raises(LogError, match="one a session"):
        by_segment(log, label, values=[1.0])


def test_thirds_are_of_sessions_by_their_first_decision() -> None:
    log = log_of([2, 1, 1], ["left"] * 3)
    assert thirds(log, [1, 9, 2, 3]).tolist() == ["low", "low", "middle", "high"]


def test_repetition_counts_items_shown_before() -> None:
    slate = [[0, 1], [1, 2], [0, 2], [3, -1], [3, 0]]
    taken = [0, -1, 2, 3, -1]
    log = log_of([3, 2], ["left"] * 2, slate=slate, consumed=taken)
    np.testing.assert_allclose(repetition(log).value, [0, 0.5, 1])
    np.testing.assert_allclose(consumed_again(log).value, [0, 0.25, 0.5])
    with pytest.raises(LogError, match="no column consumed"):
        consumed_again(log_of([1, 1], ["left"] * 2))


def test_diversity_is_the_mean_distance_of_pairs() -> None:
    features = np.array([[1.0, 0], [0, 2], [3, 0], [1, 1]])
    log = log_of([1, 1], ["left"] * 2, slate=[[0, 1, 2], [0, 3, -1]])
    # 1 - cosines: (1, 0, 1) in the first slate; 1 - sqrt(.5) in the second
    expected = (2 / 3 + 1 - 0.5**0.5) / 2
    assert slate_diversity(log, features).value[0] == pytest.approx(expected)
    with pytest.raises(LogError, match=r"give \(4, D\)"):
        slate_diversity(log, features[:2])


def test_exposure_of_one_item_and_of_all() -> None:
    alone = exposure(log_of([2, 2], ["left"] * 2))
    assert alone == pytest.approx((1 / 4, 1, 3 / 4))
    even = exposure(log_of([2, 2], ["left"] * 2, slate=[[0], [1], [2], [3]]))
    assert even == pytest.approx((1, 4, 0))


def test_the_effective_sample_shrinks_with_the_horizon() -> None:
    slate = [[0], [0], [0], [1], [1], [0], [1], [1]]  # logged at .5; the target serves 0 at .75
    log = log_of([2, 2, 2, 2], ["left"] * 4, slate=slate)
    reach = by_horizon(log, TargetScores(np.where(log.slate[:, 0] == 0, 0.75, 0.25)))
    assert reach.steps.tolist() == [1, 2]
    first, both = np.array([1.5, 1.5, 0.5, 0.5]), np.array([2.25, 0.75, 0.75, 0.25])
    np.testing.assert_allclose(reach.ess, [w.sum() ** 2 / (w @ w) for w in (first, both)])
    one = first @ [1, 3, 5, 7] / 4
    assert reach.estimate.value[0] == pytest.approx(one)
    assert reach.estimate.value[1] == pytest.approx(one + both @ [2, 4, 6, 8] / both.sum())
    assert reach.logged.value.tolist() == [4, 9]
    assert not reach.trusted.any()


def test_an_example_session_names_what_was_shown_and_taken() -> None:
    log = log_of(
        [1, 2], ["left", "cut"], slate=[[0], [1], [1]], consumed=[0, -1, 1],
        item_names=["x", "y", "z", "w"],
    )  # fmt: skip
    one = example_session(log, 1)
    assert (one.total, one.left) == (5, False)
    assert [s.slate for s in one.shown] == [("y",), ("y",)]
    assert [s.taken for s in one.shown] == [None, "y"]
    assert [s.before for s in one.shown] == [(False,), (True,)]
    with pytest.raises(LogError, match="the log has 0 to 1"):
        example_session(log, 2)


def test_typical_sessions_stand_at_the_quantiles() -> None:
    assert typical_sessions([5.0, 1, 2, 3, 4], [0, 0.5, 1]).tolist() == [1, 3, 0]
    with pytest.raises(ValueError, match="S >= 1"):
        typical_sessions([])


def test_missing_steps_are_refused() -> None:
    log = log_of([2, 2], ["left"] * 2).take([1, 2, 3])
    for of in (survival, decomposition, repetition, return_distribution):
        with pytest.raises(LogError, match="every step"):
            of(log)
