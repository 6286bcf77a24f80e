"""Agents that start as a prior policy: exactly, with its gate, and no worse after learning."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium.vector import VectorEnv

from offpolicy import LoggedDataset
from policies import (
    ENCODERS,
    Exploration,
    Observation,
    Policy,
    ScorePolicy,
    build,
    collect,
    consumed_sequences,
    load,
    observation_of,
    save,
    score_log,
    serving_of,
)
from policies.rl.sb3.agent import SB3Agent
from policies.rl.sb3.prior import NEVER, Prior
from policies.score_policy import Scores
from policies.slates.parts import leaves, parts_of
from tests.factories import make_env, make_observation
from tests.policies.rl.two_kinds import PAYS, TwoKinds

NAMES = ("ppo", "a2c", "maskable_ppo")
SIZES = ({}, {"n_candidates": None}, {"slate_size": 1})


def log_of(env: VectorEnv[Any, Any, Any]) -> LoggedDataset:
    return collect(env, build("uniform", env), n_sessions=100, seed=0)


def rated(env: Any, log: LoggedDataset, **settings: Any) -> Policy:
    prior = build("top_rated", env, **settings)
    prior.update(log)
    return prior


def over(
    prior: Policy | None, env: Any, log: LoggedDataset, name: str = "ppo", **settings: Any
) -> Any:
    """An agent with its networks, which has not learnt yet."""
    agent = build(name, env, prior=prior, **settings)
    assert isinstance(agent, SB3Agent)
    agent.prepare(log)
    agent.model = agent.new_model(agent.placeholder_env(16))
    return agent


def seen(env: Any) -> Observation:
    env.reset(seed=1)
    for _ in range(3):
        raw = env.step(np.tile(np.arange(env.slate_size), (16, 1)).squeeze())[0]
    return observation_of(raw)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("sizes", SIZES)
def test_it_starts_as_its_prior_and_comes_back_from_its_folder(
    name: str, sizes: dict[str, Any], tmp_path: Path
) -> None:
    env = make_env(**sizes)
    log, obs = log_of(env), seen(env)
    prior = rated(env, log, temperature=0.5)
    encoder = ENCODERS["gru4rec"](dim=8, length=5, epochs=1).fit(consumed_sequences(log))
    agent = over(prior, env, log, name, encoder=encoder)
    expected = prior.distribution(obs).first_place()
    assert expected.std() > 0.03
    np.testing.assert_allclose(agent.distribution(obs).first_place(), expected, atol=1e-6)
    agent.learn(env, total_steps=1024, seed=0)
    learnt = agent.distribution(obs).first_place()
    assert np.abs(learnt - expected).max() > 0.01
    served = collect(env, agent, n_steps=4, seed=1)
    scores = score_log(agent, served, n_slates=0)
    np.testing.assert_allclose(scores.propensity, served.propensity, rtol=2e-4)
    save(agent, tmp_path / "it")
    back: Any = load(tmp_path / "it")
    np.testing.assert_array_equal(back.distribution(obs).first_place(), learnt)
    for one in (agent, back):
        one.learn(env, total_steps=512, seed=2)
    np.testing.assert_equal(back.saved().arrays, agent.saved().arrays)


def test_until_it_learns_it_is_its_prior_with_its_own_exploration() -> None:
    env = make_env()
    log, obs = log_of(env), seen(env)
    prior = rated(env, log)
    agent = build("ppo", env, prior=prior, epsilon=0.25)
    agent.update(log)
    expected = 0.75 * prior.distribution(obs).first_place() + 0.25 / 6
    np.testing.assert_allclose(agent.distribution(obs).first_place(), expected, atol=1e-12)


def test_a_greedy_prior_gets_logits_of_the_spread_that_is_asked_for() -> None:
    env = make_env()
    log = log_of(env)
    agent = over(rated(env, log), env, log, sharpness=7.0)
    obs = seen(env)
    assert Prior.spread(agent.prior, obs) == pytest.approx(7.0, rel=0.3)  # of other users
    np.testing.assert_array_equal(
        agent.distribution(obs).ranking(2), agent.prior.policy.distribution(obs).ranking(2)
    )


def test_logits_by_hand() -> None:
    env = make_env(1)
    policy = ScorePolicy(Fixed(serving_of(env)), Exploration(temperature=0.5))
    obs = make_observation([[-1] * 5], candidates=[[0, 1, 2, -1, 4, 5]], n_responses=3)
    obs = obs.with_eligible(np.array([[True, True, True, False, True, False]]))
    logits = Prior(policy).logits(obs)
    np.testing.assert_array_equal(logits, [[-8, -6, -4, NEVER, 0, NEVER]])
    off = np.array([-8.0, -6, -4, 0])
    assert Prior(policy).spread(obs) == pytest.approx(off.std())
    greedy = Prior(ScorePolicy(policy.score_model, Exploration())).fitted(obs, 3.0)
    np.testing.assert_allclose(greedy.logits(obs)[0, :3], 3.0 / off.std() * off[:3], rtol=1e-6)
    mixed = Prior(ScorePolicy(policy.score_model, Exploration(epsilon=0.1)))
    with pytest.raises(ValueError, match="without epsilon"):
        mixed.logits(obs)


class Fixed:
    """An item is worth its id."""

    def __init__(self, serving: Any) -> None:
        self.serving = serving

    def scores(self, obs: Observation) -> Scores:
        assert obs.candidates is not None
        return obs.candidates.astype(np.float64)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return {}


class Right:
    """What each kind of user pays for, which the observation tells."""

    def __init__(self, env: TwoKinds) -> None:
        self.serving = serving_of(env)

    def scores(self, obs: Observation) -> Scores:
        kind = obs.user[:, :2].argmax(axis=1)
        return (np.arange(self.serving.n_items) == PAYS[kind][:, None]).astype(np.float64)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return {}


@pytest.mark.parametrize("name", NAMES)
def test_it_does_not_lose_what_its_prior_knows(name: str) -> None:
    env = TwoKinds(32, slate_size=1)
    prior = ScorePolicy(Right(env), Exploration(temperature=0.25))
    agent = build(name, env, prior=prior)
    assert isinstance(agent, SB3Agent)
    start = collect(env, agent, n_steps=40, seed=3).reward.mean()
    worst = start
    for part in range(6):
        agent.learn(env, total_steps=1024, seed=part)
        worst = min(worst, collect(env, agent, n_steps=40, seed=3).reward.mean())
    assert start > 0.85
    assert worst > start - 0.03


def test_the_actor_rests_while_the_critic_learns() -> None:
    env = make_env()
    log = log_of(env)
    agent = over(rated(env, log, temperature=1.0), env, log, burn_in=1024)
    obs = seen(env)
    start = agent.distribution(obs).first_place()
    critic = agent.model.policy.value_net.weight.detach().clone()
    agent.learn(env, total_steps=1024, seed=0)
    np.testing.assert_array_equal(agent.distribution(obs).first_place(), start)
    assert not torch.equal(agent.model.policy.value_net.weight, critic)
    agent.learn(env, total_steps=512, seed=1)
    assert np.abs(agent.distribution(obs).first_place() - start).max() > 1e-3
    gate = agent.model.policy.prior.gate
    assert float(gate.weight.detach().abs().max()) > 0
    assert float(gate.bias.detach()) != 1


@pytest.mark.parametrize("temperature", [0.5, None])
def test_it_serves_at_its_temperature_and_learns_at_1(temperature: float | None) -> None:
    env = make_env()
    log, obs = log_of(env), seen(env)
    prior = rated(env, log, temperature=1.0)
    made: list[Any] = [build("ppo", env, prior=prior, temperature=t) for t in (1.0, temperature)]
    for agent in made:
        agent.prepare(log)
        agent.learn(env, total_steps=512, seed=0)
    plain, other = made
    np.testing.assert_equal(other.saved().arrays, plain.saved().arrays)
    logits = plain.distribution(obs).logits
    if temperature is None:
        np.testing.assert_array_equal(other.distribution(obs).scores, logits)
    else:
        np.testing.assert_array_equal(other.distribution(obs).logits, logits / temperature)


def test_a_prior_of_another_world_is_refused() -> None:
    prior = build("top_rated", make_env(n_items=20), temperature=1.0)
    with pytest.raises(ValueError, match="the prior was built for another world"):
        build("ppo", make_env(), prior=prior)


@pytest.mark.parametrize("sizes", SIZES)
def test_the_parts_of_an_actors_logits_add_up_to_what_is_drawn(sizes: dict[str, Any]) -> None:
    """Prior, encoder and actor, each with a say; before there are networks, those of the prior."""
    env = make_env(**sizes)
    log = log_of(env)
    encoder = ENCODERS["markov"]().fit(consumed_sequences(log))
    prior = rated(env, log, temperature=0.5)
    agent = over(prior, env, log, encoder=encoder, temperature=0.7, epsilon=0.1)
    net = agent.model.policy
    torch.manual_seed(0)
    with torch.no_grad():
        for module in (net.action_net, net.encoder_scores.gate, net.prior.gate):
            module.weight.normal_()
    obs = seen(env)
    policy, uniform = parts_of(agent, obs)
    (weight, drawn), (epsilon, _) = leaves(agent.distribution(obs))
    assert (weight, epsilon) == (0.9, 0.1)
    assert policy.temperature == 0.7
    assert list(policy.logits) == ["actor", "encoder", "prior"]
    assert all(np.ptp(part, axis=1).max() > 0.01 for part in policy.logits.values())
    np.testing.assert_allclose(sum(policy.logits.values()), drawn.logits, atol=1e-6)
    assert uniform.logits == {}
    agent.model = None
    [first, _] = parts_of(agent, obs)
    assert list(first.logits) == ["score"]
    np.testing.assert_array_equal(first.logits["score"], prior.distribution(obs).logits)


@pytest.mark.parametrize("with_prior", [False, True])
def test_more_candidates_than_it_learnt_with_are_all_scored(with_prior: bool) -> None:
    """The whole catalogue on offer: what was on offer in the world has the scores it had there."""
    env = make_env()
    log = log_of(env)
    agent = over(rated(env, log) if with_prior else None, env, log)
    few = seen(env)
    assert few.candidates is not None
    n = serving_of(env).n_items
    assert few.candidates.shape[1] < n
    every = replace(
        few, candidates=np.tile(np.arange(n, dtype=np.int32), (len(few), 1)), eligible=None
    )
    wide, narrow = (np.log(agent.distribution(o).first_place()) for o in (every, few))
    there = np.take_along_axis(wide, few.candidates, axis=1)
    apart = there - narrow  # the same for all candidates of a user: another normalisation
    np.testing.assert_allclose(apart - apart[:, :1], 0, atol=1e-5)
    unseen, user = np.zeros((0, len(agent.serving.response_names))), np.zeros(3)
    assert len(agent.recommend([], 6, responses=unseen, user=user[: agent.serving.user_size])) == 6
