"""PPO over encoder states: slates against the exact distribution, the vec_env, learning."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.vec_env import VecEnv

from policies import ENCODERS, build, collect, consumed_sequences, observation_of, score_log
from policies.features import item_statistics, state_features
from policies.observation import serving_of
from policies.rl.sb3.actor_critic import PlackettLuceActions
from policies.rl.sb3.agent import SB3Agent
from policies.rl.sb3.algorithms import largest_divisor
from policies.rl.sb3.configs import decayed
from policies.rl.sb3.vec_env import EncodedVecEnv
from policies.slates.distributions import PlackettLuce
from tests.factories import env_of

make_env = env_of(num_envs=32)


def test_slates_have_the_exact_probabilities() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(40, 6)) * 3
    logits[:, 5] = -np.inf
    head = PlackettLuceActions(torch.from_numpy(logits), 3)
    actions = head.sample()
    exact = PlackettLuce(logits, 3).prefix(actions.numpy().astype(np.int32))[:, -1]
    np.testing.assert_allclose(head.log_prob(actions).exp().numpy(), exact, rtol=1e-9)
    assert (actions != 5).all()
    p = PlackettLuce(logits, 3).first_place()
    entropy = -(p * np.log(np.where(p > 0, p, 1))).sum(axis=1)
    np.testing.assert_allclose(head.entropy().numpy(), entropy, rtol=1e-9)


def test_sampled_first_places_follow_the_distribution() -> None:
    torch.manual_seed(0)
    logits = torch.tensor([[0.0, 1.0, 2.0]]).repeat(40_000, 1)
    first = PlackettLuceActions(logits, 2).sample()[:, 0]
    seen = np.bincount(first.numpy(), minlength=3) / 40_000
    np.testing.assert_allclose(seen, torch.softmax(logits[0], 0).numpy(), atol=0.012)


def test_log_probability_has_the_right_gradient() -> None:
    logits = torch.tensor([[0.3, -0.2, 0.9, 0.1]], dtype=torch.float64, requires_grad=True)
    actions = torch.tensor([[2, 0]])
    assert torch.autograd.gradcheck(
        lambda x: PlackettLuceActions(x, 2).log_prob(actions), (logits,)
    )


@pytest.mark.parametrize("encoder", [None, "gru4rec"])
def test_the_vec_env_hands_over_the_last_observation_of_truncated_sessions(
    encoder: str | None,
) -> None:
    """Users are followed from step to step: nobody's state differs from that of a whole history."""
    env = make_env(max_steps=4)
    known = None
    if encoder is not None:
        log = collect(env, build("uniform", env), n_sessions=60, seed=0)
        known = ENCODERS[encoder](dim=4, length=3, epochs=1).fit(consumed_sequences(log))
    state = state_features(serving_of(env), known)
    vec_env = EncodedVecEnv(env, state, reward_scale=2.0, seed=3)
    assert isinstance(vec_env, VecEnv)
    first = vec_env.reset()
    twin = make_env(max_steps=4)
    obs, _ = twin.reset(seed=3)
    np.testing.assert_allclose(first, vec_env.encode(obs), atol=1e-6)
    action = np.tile([0, 1], (32, 1))
    cut = 0
    for _ in range(9):
        seen, reward, done, infos = vec_env.step(action)
        obs, paid, terminated, truncated, info = twin.step(action)
        np.testing.assert_allclose(reward, paid / 2.0, rtol=1e-6)
        np.testing.assert_array_equal(done, terminated | truncated)
        np.testing.assert_allclose(seen, vec_env.encode(obs), atol=1e-5)
        for i in np.flatnonzero(truncated & ~terminated):
            last = {name: value[None] for name, value in info["final_obs"][i].items()}
            np.testing.assert_allclose(
                infos[i]["terminal_observation"], vec_env.encode(last)[0], atol=1e-5
            )
            assert infos[i]["TimeLimit.truncated"]
            cut += 1
        for i in np.flatnonzero(terminated):
            assert infos[i] == {"TimeLimit.truncated": False}, "nothing follows a user who left"
    assert cut > 10


@pytest.mark.parametrize("sizes", [{}, {"n_candidates": None}, {"slate_size": 1}])
def test_a_trained_agent_is_scored_as_it_served(sizes: dict[str, Any]) -> None:
    env = make_env(**sizes)
    agent = build("ppo", env, epsilon=0.1)
    assert isinstance(agent, SB3Agent)
    rounds: list[int] = []
    agent.learn(env, total_steps=1024, seed=0, on_steps=rounds.append)
    assert rounds == [1024]
    log = collect(env, agent, n_steps=6, seed=1)
    scores = score_log(agent, log, n_slates=0)
    np.testing.assert_allclose(scores.propensity, log.propensity, rtol=2e-4)
    assert log.propensity.std() > 0, "a trained agent is not uniform"


@pytest.mark.slow
def test_it_learns_to_beat_uniform_slates() -> None:
    env = make_env(num_envs=128, n_items=60, max_steps=30)
    agent = build("ppo", env, learning_rate=3e-3)
    assert isinstance(agent, SB3Agent)
    agent.learn(env, total_steps=40_000, seed=0)
    returns = []
    for policy in (agent, build("uniform", env)):
        log = collect(env, policy, n_sessions=1000, seed=5)
        returns.append(np.bincount(log.sessions, weights=log.reward))
    gain = returns[0] - returns[1]
    assert gain.mean() > 3 * gain.std() / len(gain) ** 0.5


def test_the_step_size_falls_along_a_line_to_a_tenth() -> None:
    assert [decayed(steps, 1000) for steps in (0, 500, 1000, 9000)] == [1.0, 0.55, 0.1, 0.1]
    agent = build("ppo", make_env(), learning_rate=0.01, decay_steps=4096)
    for steps in (1024, 2048):  # another call goes on where the first one ended
        agent.learn(make_env(), total_steps=1024, seed=0)
        [group] = agent.model.policy.optimizer.param_groups
        assert group["lr"] == pytest.approx(0.01 * (1 - 0.9 * steps / 4096))


def test_item_statistics_worked_by_hand() -> None:
    from offpolicy import LoggedDataset

    log = LoggedDataset.from_columns(
        session=[0, 1, 2], step=[0, 0, 0], slate=[[0, 1], [0, 2], [0, 1]], propensity=[0.5] * 3,
        reward=[0.0] * 3, n_items=3, consumed=[0, -1, 1], responses=[[1.0], [0.0], [4.0]],
    )  # fmt: skip
    # shown 3, 2, 1 and taken 1, 1, 0: overall rate 2/6; mean response (1 + 4) / 2
    rate = [(1 + 1 / 3) / 4, (1 + 1 / 3) / 3, (0 + 1 / 3) / 2]
    response = [(1 + 2.5) / 2, (4 + 2.5) / 2, 2.5]
    expected = np.stack([rate, response], axis=1)
    np.testing.assert_allclose(item_statistics(log, prior=1.0), expected, rtol=1e-6)


def test_states_are_standardised_to_what_was_seen() -> None:
    env = make_env()
    obs, _ = env.reset(seed=0)
    for _ in range(5):
        obs, *_ = env.step(np.tile([0, 1], (32, 1)))
    seen = observation_of(obs)
    state = state_features(serving_of(env), None).fitted(seen)
    x = state(seen)
    moving = x.std(axis=0) > 1e-3
    assert moving.sum() >= 4
    np.testing.assert_allclose(x[:, moving].mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(x[:, moving].std(axis=0), 1, atol=0.1)


def test_minibatches_are_of_one_size() -> None:
    assert largest_divisor(8192, at_most=2048) == 2048
    assert largest_divisor(512, at_most=2048) == 512
    assert largest_divisor(3000, at_most=2048) == 1500


def test_learning_depends_on_its_seeds_alone_and_leaves_the_callers_luck() -> None:
    def weights(random_state: int, seed: int) -> float:
        torch.manual_seed(random_state)
        np.random.seed(random_state)  # noqa: NPY002
        env = make_env(num_envs=16)
        agent = build("ppo", env, seed=seed)
        assert isinstance(agent, SB3Agent)
        agent.learn(env, total_steps=512, seed=3)
        assert agent.model is not None
        assert np.random.get_state()[1][0] == random_state  # noqa: NPY002
        assert torch.initial_seed() == random_state
        return float(sum(p.detach().abs().sum() for p in agent.model.policy.parameters()))

    assert weights(1, 0) == weights(2, 0)
    assert weights(1, 0) != weights(1, 5)
