"""Stable-Baselines3 agents: each finds a known answer, saves whole, and is scored as served."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from policies import build, collect, load, observation_of, save, score_log
from policies.rl.nets import ItemNet
from policies.rl.sb3.actor_critic import PlackettLuceActions
from policies.rl.sb3.agent import SB3Agent
from policies.rl.sb3.algorithms import ALGORITHMS
from policies.rl.sb3.contrib import allowed
from policies.rl.sb3.single_action import (
    NEVER,
    TiedHead,
    near_item,
    near_vector,
    slate_of,
    unit_vectors,
)
from policies.slates.distributions import PlackettLuce
from recsim_env.catalogue import NEVER as ALWAYS
from tests.factories import env_of
from tests.policies.rl.two_kinds import PAYS, TwoKinds

STEPS = {
    "ppo": 6000,
    "maskable_ppo": 6000,
    "a2c": 6000,
    "dqn": 6000,
    "qrdqn": 6000,
    "sac": 8000,
    "td3": 12000,
}
SETTINGS: dict[str, dict[str, Any]] = {"sac": {"gamma": 0.5}, "td3": {"gamma": 0.5}}


make_env = env_of(slate_size=3)


def agent_of(name: str, env: Any, **settings: Any) -> SB3Agent:
    agent = build(name, env, **settings)
    assert isinstance(agent, SB3Agent)
    return agent


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
@pytest.mark.parametrize("places", [1, 2])
def test_it_finds_what_each_kind_of_user_pays_for(name: str, places: int) -> None:
    """A uniform policy is right once in six."""
    env = TwoKinds(32, slate_size=places)
    agent = agent_of(name, env, learning_rate=3e-3, **SETTINGS.get(name, {}))
    agent.learn(env, total_steps=STEPS[name], seed=0)
    obs, _ = env.reset(seed=9)
    lead = agent.distribution(observation_of(obs)).ranking(places)[:, 0]
    assert (lead == PAYS[env.kind]).mean() > 0.9
    assert collect(env, agent, n_steps=40, seed=3).reward.mean() > 0.6


@pytest.mark.parametrize("name", sorted(ALGORITHMS))
def test_a_trained_agent_is_scored_as_it_served_and_learns_on_after_loading(
    name: str, tmp_path: Path
) -> None:
    env = make_env()
    agent = agent_of(name, env, epsilon=0.1)
    agent.learn(env, total_steps=512, seed=0)
    log = collect(env, agent, n_steps=6, seed=1)
    scores = score_log(agent, log, n_slates=0)
    np.testing.assert_allclose(scores.propensity, log.propensity, rtol=2e-4)
    assert log.propensity.std() > 0, "a trained agent is not uniform"
    save(agent, tmp_path / "it")
    back = load(tmp_path / "it")
    assert isinstance(back, SB3Agent)
    for one in (agent, back):
        one.learn(env, total_steps=512, seed=1)
    np.testing.assert_equal(back.saved().arrays, agent.saved().arrays)
    assert back.steps == agent.steps == 1024


def test_what_a_mask_forbids_has_no_probability_and_the_rest_its_share() -> None:
    head = PlackettLuceActions(torch.tensor([[0.3, -0.2, 0.9, 0.1]]), 2)
    mask = np.array([[True, True, False, True]])
    left = allowed(head, mask)
    exact = PlackettLuce(np.array([[0.3, -0.2, -np.inf, 0.1]]), 2)
    slate = np.array([[3, 0]], np.int32)
    expected = exact.prefix(slate)[:, -1]
    np.testing.assert_allclose(left.log_prob(torch.from_numpy(slate)).exp(), expected, rtol=1e-6)
    assert allowed(head, None) is head


def test_masks_of_a_whole_catalogue_are_obeyed_while_learning() -> None:
    """Half of the items appear later; the world refuses a slate with one of them before."""
    items = make_env(1, n_candidates=None).catalogue
    since = np.where(np.arange(30) % 2 == 0, 0, 10**6).astype(np.int32)
    shut = dataclasses.replace(items, since=since, until=np.full(30, ALWAYS, np.int32))
    env = make_env(n_candidates=None, catalogue=shut, on_invalid="raise")
    agent = agent_of("maskable_ppo", env)
    agent.learn(env, total_steps=1024, seed=0)
    log = collect(env, agent, n_steps=4, seed=1)
    assert (log.slate % 2 == 0).all()
    with pytest.raises(ValueError, match="available"):
        agent_of("ppo", env).learn(env, total_steps=1024, seed=0)


@pytest.mark.parametrize("name", ["dqn", "sac"])
def test_learning_depends_on_its_seeds_alone(name: str) -> None:
    def insides(random_state: int, seed: int) -> Any:
        torch.manual_seed(random_state)
        np.random.seed(random_state)  # noqa: NPY002
        agent = agent_of(name, make_env(), seed=seed)
        agent.learn(make_env(), total_steps=256, seed=3)
        return agent.saved().arrays

    first = insides(1, 0)
    np.testing.assert_equal(insides(2, 0), first)
    other = insides(1, 5)
    assert any(not np.array_equal(first[name], other[name]) for name in first)


def test_slates_lie_around_the_proto_item() -> None:
    vectors = np.array([[1, 0], [0.8, 0.6], [0, 1], [-1, 0]], np.float32)
    ids = np.array([[3, 2, 1, 0], [-1, 2, 3, 1]], np.int32)
    by_vector = near_vector(vectors, np.array([[0.0, 1.0], [1.0, 0.0]], np.float32), ids)
    assert slate_of(by_vector, 2).tolist() == [[1, 2], [3, 1]]
    by_item = near_item(vectors, np.array([0, 3]), ids)  # items 3 and 1 lead
    assert slate_of(by_item, 4).tolist() == [[0, 1, 2, 3], [3, 1, 2, -1]]
    closed = near_item(vectors, np.array([3, 0]), ids)  # an empty candidate cannot lead
    assert slate_of(closed, 2).tolist()[1][0] != 0
    whole = near_item(vectors, np.array([2]), None)
    assert slate_of(whole, 2).tolist() == [[2, 1]]


def test_proto_space_keeps_who_is_like_whom() -> None:
    """With all directions kept, products are the cosines of the centred vectors."""
    table = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    centred = table - table.mean(axis=0)
    unit = centred / np.linalg.norm(centred, axis=1, keepdims=True)
    kept = unit_vectors(table, 5)
    np.testing.assert_allclose(kept @ kept.T, unit @ unit.T, atol=1e-5)


def test_a_value_head_gives_each_candidate_its_items_number() -> None:
    torch.manual_seed(0)
    items = torch.randn(9, 4)
    head = TiedHead(items, 3, 8, heads=2)
    assert isinstance(head.net, ItemNet)
    state, ids = torch.randn(5, 3), torch.tensor([[0, 8, -1]]).repeat(5, 1)
    out = head(torch.cat([state, ids.float()], dim=1)).view(5, 2, 3)
    whole, _ = head.net(state, torch.zeros((5, 0), dtype=torch.int64))  # (2, B, A)
    torch.testing.assert_close(out[:, :, :2], whole[:, :, [0, 8]].transpose(0, 1))
    assert (out[:, :, 2] == NEVER).all()
