"""The planner meets the users that the policies met."""

from __future__ import annotations

from typing import Any

import numpy as np

from experiments.common.worlds import EnvFactory
from experiments.compare.regret import first_sessions, planned, regret
from experiments.compare.settings import Settings
from policies import act, build, collect
from policies.observation import observation_of
from recsim_env import session_returns
from tests.factories import make_env


def test_first_sessions_are_the_same_users_with_the_same_chance() -> None:
    greedy = build("popularity", make_env(8))
    greedy.update(collect(make_env(8), build("uniform", make_env(8)), n_sessions=50, seed=1))
    best = build("top_rated", make_env(8), temperature=None)
    best.update(collect(make_env(8), build("uniform", make_env(8)), n_sessions=50, seed=1))
    log = collect(make_env(8), best, n_sessions=21, seed=5)
    first = first_sessions(21, 8)
    assert first.tolist() == [0, 3, 6, 9, 12, 15, 17, 19]

    def rule(env: Any, obs: Any, rng: np.random.Generator) -> Any:
        return act(best, observation_of(obs), rng).action

    start = int(np.random.SeedSequence(5).spawn(2)[0].generate_state(1)[0])
    served = session_returns(make_env(8), rule, seed=start)
    np.testing.assert_allclose(log.session_rewards()[first], served.total)


def test_a_single_user_is_not_planned() -> None:
    world = EnvFactory("Boredom", make_env, None)
    assert planned(world, Settings(users=1, truth_sessions=8), 0) is None


def test_regret_is_a_paired_difference() -> None:
    lost = regret({"returns": [5.0, 7.0]}, [4.0, 4.0], 0.95)
    assert lost is not None
    assert lost["value"] == 2
    assert regret(None, [1.0], 0.95) is None
