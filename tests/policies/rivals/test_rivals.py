"""What agents have to beat: items by their returns, and a rule found by search."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offpolicy import LoggedDataset
from policies import build, collect, load, save, score_log
from policies.observation import observation_of
from policies.rivals.item_means import ItemMeans
from policies.rivals.item_return import ItemReturn, item_values
from policies.rivals.searched_rule import Rule, SearchedRule
from recsim_env.disturb.feedback import LostRows
from tests.factories import make_env, make_serving


def two_step_log(sessions: int) -> LoggedDataset:
    """Item 0 pays 3 now and nothing after it; item 1 pays 1 now, and 4 after it by item 2."""
    first = np.arange(sessions) % 2
    taken = np.column_stack([first, np.full(sessions, 2)]).ravel()
    reward = np.where(taken == 0, 3.0, 1.0)
    reward[1::2] = np.where(first == 0, 0.0, 4.0)
    step = np.tile([0, 1], sessions)
    return LoggedDataset.from_columns(
        session=np.repeat(np.arange(sessions), 2),
        step=step,
        slate=taken[:, None],
        propensity=np.full(2 * sessions, 0.5),
        consumed=taken,
        reward=reward,
        terminated=step == 1,
        n_items=3,
    )


def test_an_item_is_worth_what_it_pays_and_what_follows_it() -> None:
    serving = make_serving(3, slate_size=1, response_names=())
    policy = build_in(serving, "item_return")
    policy.update(two_step_log(400))
    model = policy.score_model
    assert isinstance(model, ItemReturn)
    value = item_values(model.now, model.rest)
    # worked by hand: 3 + 0 against 1 + 4, and item 2 pays 2 on average and nothing follows
    assert value[1] - value[0] == pytest.approx(2.0, abs=0.05)


def build_in(serving, name: str, **settings):  # type: ignore[no-untyped-def]
    from policies import POLICIES

    return POLICIES[name].load()(serving, **settings)


def test_item_means_are_shares_and_means_shrunk_to_those_of_all() -> None:
    serving = make_serving(3, slate_size=1, response_names=())
    means = ItemMeans.none(serving).plus(two_step_log(40), serving)
    np.testing.assert_array_equal(means.taken, [20, 20, 40])
    np.testing.assert_array_equal(means.totals[:, 0], [60, 20, 80])
    # every item was taken whenever it was shown; rewards (60 + 5 * 2) / 25, (20 + 10) / 25, 2
    mean = np.array([2.8, 1.2, 2.0])
    expected = np.column_stack([np.zeros(3), (mean - 2.0) / mean.std(ddof=0)])
    np.testing.assert_allclose(means.features(), expected, atol=1e-12)


def test_each_slot_of_a_generation_is_served_by_its_own_rule() -> None:
    env = make_env(8)
    policy = build("searched_rule", env)
    assert isinstance(policy, SearchedRule)
    policy.prepare(collect(env, build("uniform", env), n_sessions=60, seed=0))
    obs, _ = env.reset(seed=3)
    for _ in range(3):
        obs, *_ = env.step(np.tile([0, 1], (8, 1)))
    seen = observation_of(obs)
    weights = np.random.default_rng(0).normal(size=(8, policy.rule.size))
    together = Rule(policy.rule.kernels, policy.rule.means, weights).scores(seen)
    for row in range(8):
        alone = Rule(policy.rule.kernels, policy.rule.means, weights[row]).scores(seen)
        np.testing.assert_allclose(together[row], alone[row], atol=1e-12)


def test_a_searched_rule_beats_uniform_slates_and_goes_on_after_a_night(tmp_path: Path) -> None:
    env, test = make_env(32, max_steps=12), make_env(64, max_steps=12)
    uniform = build("uniform", env)
    log = collect(env, uniform, n_sessions=300, seed=0)
    one = build("searched_rule", env, population=12, sessions=6)
    assert isinstance(one, SearchedRule)
    one.prepare(log)
    one.learn(env, total_steps=2_000, seed=1)
    save(one, tmp_path / "rule")
    other = load(tmp_path / "rule")
    assert isinstance(other, SearchedRule)
    for policy in (one, other):
        policy.learn(env, total_steps=500, seed=2)
    np.testing.assert_array_equal(other.rule.weights, one.rule.weights)
    assert other.steps == one.steps >= 2_500
    found = collect(test, one, n_sessions=640, seed=5).session_rewards()
    plain = collect(test, uniform, n_sessions=640, seed=5).session_rewards()
    gain = found - plain
    assert gain.mean() > 4 * gain.std() / 640**0.5
    assert one.prepare(log) == {}, "item means stay once the search has begun"


def test_a_drawn_rule_has_the_propensities_of_its_slates() -> None:
    env = make_env(16, max_steps=6)
    policy = build("searched_rule", env, temperature=0.5)
    assert isinstance(policy, SearchedRule)
    policy.prepare(collect(env, build("uniform", env), n_sessions=60, seed=0))
    policy.rule.weights = np.linspace(-1.0, 1.0, policy.rule.size)
    log = collect(env, policy, n_sessions=40, seed=1)
    np.testing.assert_allclose(score_log(policy, log).propensity, log.propensity, rtol=1e-9)


def test_a_rule_is_searched_where_a_world_loses_whole_sessions() -> None:
    env = LostRows(make_env(16, max_steps=1), rate=0.9)
    rule = build("searched_rule", env)
    assert isinstance(rule, SearchedRule)
    rule.learn(env, total_steps=600, seed=0)
    assert np.isfinite(rule.rule.weights).all()
