"""Models of other libraries as policies: exact propensities, logs that pass, saved and loaded."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from stable_baselines3 import A2C, DQN, PPO

import recsim_env  # noqa: F401
from offpolicy.doctor.log_check import check_log
from policies import Observation, build, collect, from_probabilities, load, save, score_log
from policies.adapters.classifier import from_classifier
from policies.adapters.named import own_module
from policies.adapters.sb3 import from_sb3
from policies.adapters.torch_module import from_module
from policies.observation import observation_of, serving_of
from policies.slates.fixed import FixedChoices

SIZES: dict[str, Any] = {"slate_size": 2, "n_candidates": 4, "n_items": 12, "history_length": 3}
WORLD = "recsim_env/Longplay-v0"


class Net(torch.nn.Module):
    """A score of a candidate's row."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.LazyLinear(1)

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return torch.tanh(self.layer(rows / 10))


def by_number(obs: Observation) -> np.ndarray:
    """Later items are likelier."""
    assert obs.candidates is not None
    return obs.candidates + 1.0


def world(users: int = 32) -> Any:
    return gymnasium.make_vec(WORLD, num_envs=users, max_steps=5, **SIZES)


def stock(kind: Any) -> Any:
    size = 1 if kind is DQN else SIZES["slate_size"]
    env = gymnasium.make(WORLD, max_steps=5, **SIZES | {"slate_size": size})
    more = {DQN: {"learning_starts": 5}, A2C: {"n_steps": 8}}.get(kind, {"batch_size": 8})
    more |= {"n_steps": 8} if kind is PPO else {}
    return kind("MultiInputPolicy", env, seed=0, **more).learn(16)


def torch_net() -> Net:
    torch.manual_seed(0)
    net = Net()
    sizes = serving_of(world(1))
    net(torch.zeros(1, 1, sizes.user_size + sizes.item_features.shape[1]))
    return net


def classifier() -> Any:
    policy = from_classifier(LogisticRegression(), serving_of(world(1)))
    policy.update(collect(world(), build("uniform", world()), n_sessions=200, seed=5))
    return policy


MAKERS: dict[str, Callable[[], Any]] = {
    "probabilities": lambda: from_probabilities(by_number, serving_of(world(1))),
    "torch": lambda: from_module(torch_net(), serving_of(world(1)), temperature=0.5, epsilon=0.1),
    "scikit-learn": classifier,
    "ppo": lambda: from_sb3(stock(PPO), serving_of(world(1))),
    "a2c": lambda: from_sb3(stock(A2C), serving_of(world(1))),
}


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return {name: make() for name, make in MAKERS.items()}


@pytest.mark.parametrize("name", MAKERS)
def test_all_slates_have_a_propensity_and_together_1(name: str, made: dict[str, Any]) -> None:
    env = world(3)
    obs = observation_of(env.reset(seed=1)[0])
    d = made[name].distribution(obs)
    every = [np.tile(slate, (3, 1)).astype(np.int32) for slate in permutations(range(4), 2)]
    whole = np.array([d.prefix(slate)[:, -1] for slate in every])
    np.testing.assert_allclose(whole.sum(axis=0), 1, rtol=1e-12)
    assert (whole >= 0).all()
    drawn = np.stack([d.sample(np.random.default_rng(i)) for i in range(3000)])
    for slate, p in zip(every, whole, strict=True):
        seen = (drawn == slate).all(axis=2).mean(axis=0)
        assert (np.abs(seen - p) < 5 * np.sqrt(p * (1 - p) / 3000) + 1e-3).all()


@pytest.mark.parametrize("name", MAKERS)
def test_their_logs_pass_the_doctor_and_score_as_logged(name: str, made: dict[str, Any]) -> None:
    log = collect(world(), made[name], n_sessions=400, seed=0)
    again = score_log(made[name], log, n_slates=0)
    np.testing.assert_allclose(again.propensity, log.propensity, rtol=1e-6)
    assert check_log(log).verdict.name == "PASS"


@pytest.mark.parametrize("name", MAKERS)
def test_saved_and_loaded_they_are_the_same(
    name: str, made: dict[str, Any], tmp_path: Path
) -> None:
    own_module(__name__)
    save(made[name], tmp_path / "it")
    if name in ("scikit-learn", "ppo", "a2c"):
        with pytest.raises(ValueError, match="load it with trust=True"):
            load(tmp_path / "it")
    back = load(tmp_path / "it", trust=True, serving=serving_of(world(1)))
    obs = observation_of(world(6).reset(seed=2)[0])
    one, other = (p.distribution(obs).first_place() for p in (made[name], back))
    np.testing.assert_array_equal(one, other)


def test_a_stock_agent_plays_in_the_log_what_it_plays_in_the_world(made: dict[str, Any]) -> None:
    """Its own deterministic answer, fixed by the environment, is the ranking of the policy."""
    agent = made["ppo"]
    env = gymnasium.make(WORLD, max_steps=5, **SIZES)
    for seed in range(20):
        obs, _ = env.reset(seed=seed)
        action, _ = agent.model.predict(obs, deterministic=True)
        vector = env.unwrapped.vector  # type: ignore[attr-defined]
        offered = vector.live.candidates[0].copy()
        _, _, _, _, shown = vector.advance(action[None])
        rows = {k: v.reshape(1, *v.shape) for k, v in obs.items()}
        ranked = agent.distribution(observation_of(rows)).ranking(2)[0]
        assert offered[ranked].tolist() == shown[0].tolist()


def test_a_zip_of_a_stock_agent_needs_trust_and_its_own_sizes(tmp_path: Path) -> None:
    model = stock(DQN)
    model.save(tmp_path / "dqn.zip")
    one = gymnasium.make_vec(WORLD, num_envs=4, **SIZES | {"slate_size": 1})
    with pytest.raises(ValueError, match="trust=True"):
        from_sb3(tmp_path / "dqn.zip", serving_of(one), algorithm="DQN")
    with pytest.raises(ValueError, match="slates are 2 of 4 items"):
        from_sb3(model, serving_of(world(1)))
    policy = from_sb3(tmp_path / "dqn.zip", serving_of(one), trust=True, algorithm="DQN")
    log = collect(one, policy, n_sessions=8, seed=0)
    assert (log.propensity == 1).all()
    ppo = stock(PPO)
    ppo.save(tmp_path / "ppo.zip")
    loaded = load(tmp_path / "ppo.zip", trust=True, serving=serving_of(world(1)))
    assert collect(world(), loaded, n_sessions=8, seed=0).n_sessions == 8


def test_fixed_choices_by_hand() -> None:
    """Both positions want column 2, mostly: 0.7 0.7 of it falls to column 0, the first left."""
    chance = np.array([[[0.1, 0.2, 0.7], [0.1, 0.2, 0.7]]])
    d = FixedChoices(chance)
    p = {s: d.prefix(np.array([s], np.int32))[0, 1] for s in permutations(range(3), 2)}
    assert p[2, 0] == pytest.approx(0.7 * (0.1 + 0.7))
    assert p[2, 1] == pytest.approx(0.7 * 0.2)
    assert p[0, 1] == pytest.approx(0.1 * (0.2 + 0.1))
    assert p[1, 0] == pytest.approx(0.2 * (0.1 + 0.2))
    closed = FixedChoices(chance, np.array([[False, True, True]]))
    np.testing.assert_allclose(closed.first_place(), [[0, 0.3, 0.7]])
    assert closed.ranking(3).tolist() == [[2, 1, -1]]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda obs: np.ones(4), r"returned shape \(4,\)"),
        (lambda obs: -np.ones((len(obs), 4)), r"probabilities\[0, 0\] = -1.0"),
        (lambda obs: np.full((len(obs), 4), np.nan), r"probabilities\[0, 0\] = nan"),
        (lambda obs: np.eye(4)[np.zeros(len(obs), int)], "above 0 for 1 items"),
    ],
)
def test_what_are_no_probabilities_is_refused(function: Any, message: str) -> None:
    env = world(2)
    with pytest.raises(ValueError, match=message):
        collect(env, from_probabilities(function, serving_of(env)), n_steps=1, seed=0)
