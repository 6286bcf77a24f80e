"""Redrawn logs: richer than the reward model, whole, of known truth, and scored as `evaluate`
would."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import LoggedDataset, TargetScores, evaluate, score_estimators
from offpolicy.estimators import estimate_all
from offpolicy.selection.populations import Decisions, decisions_of, sessions_of
from offpolicy.selection.redraw import Evaluator, _ranking
from offpolicy.selection.reward_surfaces import expected_rewards, fitted

ITEMS = 6


def stepped(n: int, seed: int) -> tuple[LoggedDataset, TargetScores, float, np.ndarray]:
    """Clicks by a level of each item on either side of two context columns: no line, no slope. The
    target knows the levels."""
    rng = np.random.default_rng([3, seed])
    level = np.random.default_rng(7).beta(1, 3, size=(4, ITEMS))
    x = rng.normal(size=(n, 3))
    mean = level[(x[:, 0] > 0) + 2 * (x[:, 1] * x[:, 0] > 0)]
    p = 0.5 * np.exp(np.clip(x[:, [0, 1, 2, 0, 1, 2]], -2, 2))
    p = 0.8 * p / p.sum(1, keepdims=True) + 0.2 / ITEMS
    target = np.exp(8 * mean)
    target = 0.95 * target / target.sum(1, keepdims=True) + 0.05 / ITEMS
    item = (rng.random((n, 1)) > p.cumsum(1)).sum(1).clip(max=ITEMS - 1)
    i = np.arange(n)
    log = LoggedDataset.from_columns(
        session=i, step=0 * i, slate=item, propensity=p[i, item],
        reward=(rng.random(n) < mean[i, item]).astype(float), n_items=ITEMS, context=x,
        candidate_propensity=p,
    )  # fmt: skip
    every = np.broadcast_to(np.arange(ITEMS, dtype=np.int32)[:, None], (n, ITEMS, 1))
    scores = TargetScores(target[i, item], slates=every, slate_weight=target)
    return log, scores, float((target * mean).sum(1).mean()), mean


def played(n: int, seed: int) -> LoggedDataset:
    """Sessions of 1 to 4 steps whose users go on whatever they get; a history of what they had."""
    rng = np.random.default_rng(seed)
    size = rng.integers(1, 5, n)
    rows = int(size.sum())
    x = rng.normal(size=(rows, 2))
    p = np.exp(x @ np.array([[0.5, -0.5, 0.0], [0.0, 0.5, -0.5]]))
    p /= p.sum(1, keepdims=True)
    a = (rng.random((rows, 1)) > p.cumsum(1)).sum(1).clip(max=2)
    return LoggedDataset.from_columns(
        session=np.repeat(np.arange(n), size), step=np.concatenate([np.arange(k) for k in size]),
        slate=a, propensity=p[np.arange(rows), a], reward=a + rng.normal(size=rows), n_items=3,
        context=x, candidate_propensity=p,
    )  # fmt: skip


def test_trees_know_what_the_reward_model_cannot() -> None:
    log, _, _, mean = stepped(6000, 0)
    fit = fitted(log, None, 0)
    rows, ids = np.arange(len(log)), np.tile(np.arange(ITEMS), (len(log), 1))
    base = fit.base(rows, ids)
    apart = base[rows, log.slate[:, 0]] - (log.reward - fit.left_over)
    assert apart.std() < 0.25 * base.std()  # the model behind dm, its folds averaged
    trees = expected_rewards(fit, "trees", rows, ids, np.random.default_rng(0))
    assert ((trees - mean) ** 2).mean() < 0.6 * ((base - mean) ** 2).mean()


def test_cells_are_as_uneven_as_the_log_leaves_open() -> None:
    """With more rows there is less left that nobody saw; what they add has a mean near 0."""
    spread = []
    for n in (500, 20_000):
        rng = np.random.default_rng(n)
        p = np.full((n, 4), 0.25)
        item, x = rng.integers(0, 4, n), rng.normal(size=(n, 2))
        log = LoggedDataset.from_columns(
            session=np.arange(n), step=np.zeros(n), slate=item, propensity=np.full(n, 0.25),
            reward=rng.normal(size=n), n_items=4, context=x, candidate_propensity=p,
        )  # fmt: skip
        fit = fitted(log, None, 0)
        rows, ids = np.arange(n), np.tile(np.arange(4), (n, 1))
        add = expected_rewards(fit, "cells", rows, ids, rng) - fit.base(rows, ids)
        assert abs(add.mean()) < 0.1
        spread.append(add.std())
    assert 0.02 < spread[1] < 0.5 * spread[0] < 0.5


def test_rewards_keep_their_values_and_their_noise() -> None:
    log, *_ = stepped(3000, 1)
    noise, rng = fitted(log, None, 0).noise, np.random.default_rng(0)
    assert noise.two
    drawn = noise.draw(np.full(4000, 0.3), rng)
    assert set(drawn.tolist()) == {0.0, 1.0}
    assert drawn.mean() == pytest.approx(0.3, abs=0.03)
    many = played(2000, 0)
    wide = fitted(many, None, 0).noise
    drawn = wide.draw(np.full(4000, 1.0), rng)
    assert (drawn.mean(), drawn.std()) == pytest.approx((1.0, 1.0), abs=0.12)


@pytest.mark.parametrize("horizon", ["one_step", "per_decision"])
def test_a_redrawn_log_is_scored_as_evaluate_would(horizon: str) -> None:
    rng = np.random.default_rng(0)
    if horizon == "one_step":
        names = ["ips", "dm", "dr", "dros"]
        population = decisions_of(stepped(600, 2)[0], 1.0, rng)[0]
        assert isinstance(population, Decisions)
        log, scores = population.redraw(np.random.default_rng(5))
    else:
        names = ["pdis", "dm", "seq_dr"]
        population = sessions_of(played(200, 1), 1.0, rng)[0]
        log, scores = population.redraw(np.random.default_rng(5))
    how = Evaluator(names, horizon, "ridge", None, None, 3)
    found = estimate_all(how.terms(population, np.random.default_rng(5))[names[0]], names)
    report = evaluate(log, scores, horizon=horizon, estimators=names, seed=3, check=False)
    for name in names:
        assert found[name].value == pytest.approx(report[name].value.value, rel=1e-12)


def test_redrawn_sessions_are_whole_and_their_target_is_valued_by_hand() -> None:
    log = played(150, 2)
    for population in sessions_of(log, 1.0, np.random.default_rng(0)):
        redrawn, scores = population.redraw(np.random.default_rng(1))
        redrawn.require_whole_sessions("they were drawn whole")
        assert redrawn.n_sessions == 150
        d = population.decisions
        want = sum(
            float((d.target[i] * d.reward[i]).sum()) for s in range(150)
            for i in range(population.start[s], population.start[s + 1])
        ) / 150  # fmt: skip
        assert population.truth == pytest.approx(want)
        assert scores.slate_weight is not None
        np.testing.assert_allclose(scores.slate_weight.sum(1), 1)


def test_a_biased_model_is_not_recommended() -> None:
    """On fresh logs the direct method errs several times as much as the recommended estimator."""
    names = ("ips", "snips", "dm", "dr", "sndr", "dros")
    errors = []
    for seed in range(25):
        log, scores, truth, _ = stepped(2500, 100 + seed)
        report = evaluate(log, scores, horizon="one_step", estimators=names, check=False)
        errors.append([report[n].value.value - truth for n in names])
    rmse = dict(zip(names, np.sqrt(np.mean(np.square(errors), axis=0)), strict=True))
    assert rmse["dm"] > 2 * min(rmse.values())
    ratios = []
    for seed in range(3):
        scored, _ = score_estimators(stepped(2500, seed)[0], names, tilt=2.0, redraws=30, seed=seed)
        ratios.append(rmse[scored[0].estimator] / min(rmse.values()))
    assert np.median(ratios) <= 1.3


def test_the_choice_has_the_least_regret_or_is_more_robust_and_as_good() -> None:
    """Errors by hand: in the second surface dm is four times as far off as the best."""
    rng = np.random.default_rng(0)
    square = np.ones((2, 40, 3)) * np.array([[[1.0, 4.0, 1.1]], [[16.0, 4.0, 1.0]]])
    regret, high, order = _ranking(square, ["dm", "ips", "dr"], rng)
    assert regret == pytest.approx([4.0, 2.0, np.sqrt(1.1)])
    assert high == pytest.approx(regret)
    assert order == [2, 1, 0]
    biased = np.ones((1, 40, 2)) * np.array([1.0, 1.3])  # 1.14 times: not to be relied on
    assert _ranking(biased, ["dros", "dr"], rng)[2] == [1, 0]
    robust = np.ones((1, 40, 3)) * np.array([1.0, 1.3, 1.1])
    assert _ranking(robust, ["dros", "dr", "sndr"], rng)[2] == [2, 0, 1]
    clear = np.ones((1, 40, 2)) * np.array([1.0, 2.0])
    assert _ranking(clear, ["dros", "dr"], rng)[2] == [0, 1]
