"""Oracles: expectations that frequencies confirm, slates that enumeration confirms."""

from __future__ import annotations

from itertools import permutations

import gymnasium
import numpy as np
import pytest

from recsim_env.oracles import oracle


def test_best_slate_is_the_best_of_all() -> None:
    rng = np.random.default_rng(0)
    weight, value = rng.gamma(1.0, size=(40, 7)), rng.normal(1, 1, size=(40, 7))
    none, idle = rng.gamma(1.0, size=40), rng.normal(0, 0.5, size=40)
    got = oracle.best_slate(weight, value, none, 3, none_value=idle)
    for n in range(40):

        def worth(slate: tuple[int, ...], n: int = n) -> float:
            w, v = weight[n, list(slate)], value[n, list(slate)]
            return float((none[n] * idle[n] + w @ v) / (none[n] + w.sum()))

        best = max(worth(slate) for slate in permutations(range(7), 3))
        assert worth(tuple(got[n])) == pytest.approx(best)


@pytest.mark.parametrize(
    "name", ["Longplay", "InterestEvolution", "InterestExploration", "Boredom"]
)
def test_expected_slate_rewards_are_what_is_paid_on_average(name: str) -> None:
    env = gymnasium.make_vec(f"recsim_env/{name}-v0", num_envs=20_000)
    env.reset(seed=4)
    action = env.action_space.sample()
    expected = oracle.slate_reward(env, action)
    reward = env.step(action)[1]
    error = (reward - expected).std() / 20_000**0.5
    assert abs((reward - expected).mean()) < 4 * error
    assert np.corrcoef(reward, expected)[0, 1] > 0.03


def test_a_singletons_expected_reward_by_hand() -> None:
    env = gymnasium.make_vec("recsim_env/InterestEvolution-v0", num_envs=5)
    obs, _ = env.reset(seed=0)
    topic = obs["candidate_features"].argmax(2)
    weight = np.take_along_axis(obs["user"][:, :20], topic, axis=1) + 1
    assert oracle.expected_reward(env) == pytest.approx(4 * weight / (2 + weight), rel=1e-5)


def test_rules_under_one_seed_meet_the_same_users() -> None:
    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=300)
    first = oracle.session_returns(env, oracle.greedy_oracle, seed=1).total
    again = oracle.session_returns(env, oracle.greedy_oracle, seed=1).total
    assert np.array_equal(first, again)


def test_planning_pays_in_the_flagship() -> None:
    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=600)
    greedy, planned = (
        oracle.session_returns(env, rule, seed=2).total
        for rule in (oracle.greedy_oracle, oracle.look_ahead)
    )
    gain = planned - greedy
    assert gain.mean() - 3 * gain.std() / 600**0.5 > 0.2 * greedy.mean()
