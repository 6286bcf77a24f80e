"""A first log does not fix the scales: small, of another unit, or of one kind of user alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offpolicy import LoggedDataset
from policies import POLICIES, Policy, load, save
from policies.bandits.arms import ArmsConfig, LinearArms, linear_arms
from policies.features import Rescaling, place_rewards, state_features
from policies.moments import Moments
from policies.observation import observation_of_log
from tests.factories import make_observation, make_serving

A = 4
SERVING = make_serving(A, slate_size=1, user_size=2)
FAST = {"epochs": 20, "batch_size": 64, "learning_rate": 0.01}
CASES: dict[str, dict[str, Any]] = {
    "linucb": {},
    "lints": {},
    "neural_linear": {"epochs": 150},
    "greedy_reward": {"epochs": 150},
    "cql": FAST | {"strength": 0.0},
    "reinforce": FAST,
    "snqn": FAST | {"advantage": True},
    "decision_transformer": FAST | {"epochs": 8},
}
SHARED = {"linucb-shared": {"arms": "shared"}, "lints-shared": {"arms": "shared"}}


@pytest.fixture(scope="module", autouse=True)
def one_torch_thread() -> Iterator[None]:
    """Sums of several threads differ in their last digits from one run to the next."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def day(n: int, *, unit: float, user: float, seed: int, alike: bool = False) -> LoggedDataset:
    """Uniform slates; kind 0 of users pays for item 1, kind 1 for item 2, in a currency; the user
    vector tells the kind by 1 or 2 of a unit of its own. alike: all of kind 0, and nobody pays."""
    rng = np.random.default_rng(seed)
    kind = np.zeros(n, int) if alike else rng.integers(0, 2, n)
    item = rng.integers(0, A, n)
    paid = 0.0 if alike else ((item == kind + 1) + 0.1 * rng.normal(size=n)) * unit
    return LoggedDataset.from_columns(
        session=np.arange(n),
        step=np.zeros(n, int),
        slate=item,
        consumed=item,
        responses=np.ones((n, 1)),
        reward=np.broadcast_to(paid, n),
        terminated=np.ones(n, bool),
        context=np.stack([(1 + kind) * user, np.full(n, 7.0)], axis=1),
        propensity=np.full(n, 1 / A),
        candidate_propensity=np.full((n, A), 1 / A),
        n_items=A,
    )


FIRST = {
    "nothing happened": day(40, unit=0.0, user=0.0, seed=1, alike=True),
    "another unit": day(40, unit=1e-4, user=1e-3, seed=2),
}


def made(name: str) -> Policy:
    settings = (CASES | SHARED)[name]
    return POLICIES[name.removesuffix("-shared")].load()(SERVING, **settings)


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("name", [*CASES, *SHARED])
def test_what_comes_later_is_learnt_in_its_own_scales(
    name: str, first: str, tmp_path: Path
) -> None:
    policy = made(name)
    policy.update(FIRST[first])
    save(policy, tmp_path / "night")
    policy = load(tmp_path / "night")
    unit, user = 1000.0, 50.0
    policy.update(day(800, unit=unit, user=user, seed=3))
    obs = make_observation(np.full((2, 3), -1), user=[[user, 7.0], [2 * user, 7.0]])
    chance = policy.distribution(obs).first_place()
    if name == "decision_transformer":  # as from one log: it finds what pays, hardly for whom
        assert (chance[:, 1:3].sum(axis=1) > 0.9).all(), chance.round(3)
        return
    assert chance[0, 1] > 0.5, chance.round(3)
    assert chance[1, 2] > 0.5, chance.round(3)


@pytest.mark.parametrize("name", ["slateq", "ppo"])
def test_agents_scale_by_all_logs_until_they_learn(name: str, tmp_path: Path) -> None:
    logs = [*FIRST.values(), day(600, unit=10.0, user=5.0, seed=4)]
    apart: Any = POLICIES[name].load()(SERVING)
    whole: Any = POLICIES[name].load()(SERVING)
    for log in logs:
        apart.update(log)
        save(apart, tmp_path / "agent")
        apart = load(tmp_path / "agent")
    whole.update(LoggedDataset.concat(logs))
    np.testing.assert_allclose(apart.reward_scale, whole.reward_scale, rtol=1e-6)
    np.testing.assert_allclose(apart.state.scale, whole.state.scale, rtol=1e-5)
    np.testing.assert_allclose(apart.state.centre, whole.state.centre, rtol=1e-5, atol=1e-6)


def predicted(arms: LinearArms, log: LoggedDataset) -> np.ndarray:
    x, which, shape = arms.contexts(observation_of_log(log, SERVING))
    return arms.regressions.bounds(x, which, 1.0).reshape(shape)


@pytest.mark.parametrize("kind", ["disjoint", "shared"])
def test_linear_arms_are_those_of_one_log_of_all(kind: Any) -> None:
    """However scales move: the same sums of squares, in the features of all logs."""
    logs = [
        day(50, unit=1.0, user=0.3, seed=1),
        day(80, unit=2.0, user=0.6, seed=2),
        day(90, unit=1.0, user=1.0, seed=3),
    ]
    config = ArmsConfig(arms=kind, ridge=2.0, rank=5)
    apart, whole = linear_arms(SERVING, config, None), linear_arms(SERVING, config, None)
    for log in logs:
        apart.learn(log)
    both = LoggedDataset.concat(logs)
    whole.learn(both)
    assert apart.unit == pytest.approx(place_rewards(both).std())
    np.testing.assert_allclose(predicted(apart, both), predicted(whole, both), rtol=2e-4)


def test_a_log_without_rewards_of_one_user_leaves_arms_as_they_were() -> None:
    """The states of the first log never varied: they say what an item brings, and nothing more."""
    arms = linear_arms(SERVING, ArmsConfig(arms="shared", rank=5), None)
    for log in (FIRST["nothing happened"], day(300, unit=1.0, user=9.0, seed=3)):
        arms.learn(log)
    assert np.isfinite(arms.regressions.theta).all()
    assert np.isfinite(arms.regressions.packed).all()


def test_a_layer_gives_the_same_in_new_scales() -> None:
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(60, 3)) * [1.0, 20.0, 0.0] + [5.0, 0.0, 2.0]
    later = raw * [2.0, 1.5, 1.0] + [3.0, 0.0, 0.0]
    old = Moments.of(raw)
    new = old.plus(Moments.of(later))
    layer = torch.nn.Linear(3, 2)

    def given(rows: np.ndarray, seen: Moments) -> np.ndarray:
        scale = np.where(seen.spread() > 0, seen.spread(), 1.0)
        z = torch.from_numpy(((rows - seen.mean) / scale).astype(np.float32))
        return np.asarray(layer(z).detach().numpy())

    before = given(raw, old)
    Rescaling.of(old, new, most=5.0).into(layer)
    np.testing.assert_allclose(given(raw, new), before, atol=1e-5)


def test_features_of_any_unit_are_standardised_and_constants_are_not() -> None:
    state = state_features(SERVING, None)
    rng = np.random.default_rng(0)
    tiny = rng.normal(size=300) * 1e-9
    user = np.stack([tiny, np.full(300, 1e6) + 0.03], axis=1)
    obs = make_observation(np.full((300, 3), -1), user=user)
    z = state.fitted(obs)(obs)
    assert z[:, 0].std() == pytest.approx(1.0, abs=1e-3)
    assert not z[:, 1].any()


@pytest.mark.parametrize("name", ["linucb", "lints", "neural_linear"])
@pytest.mark.parametrize("scale", [1e-7, 1e6])
def test_the_order_of_items_does_not_depend_on_the_unit_of_rewards(name: str, scale: float) -> None:
    rankings = []
    for unit in (1.0, scale):
        policy = POLICIES[name].load()(SERVING)
        for seed in range(3):
            policy.update(day(100, unit=unit, user=1.0, seed=seed))
        obs = make_observation(np.full((2, 3), -1), user=[[1.0, 7.0], [2.0, 7.0]])
        rankings.append(policy.distribution(obs).ranking(A).tolist())
    assert rankings[0] == rankings[1]
