"""The log's one writer: whole sessions, users' own streams, the histories that were shown."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import recsim_env  # noqa: F401
from policies import act, build, collect, observation_of
from policies.rollout import _split
from recsim_env import Population


def make_env(num_envs: int = 6, **settings: Any) -> Any:
    sizes = {"n_items": 30, "slate_size": 2, "n_candidates": 5, "history_length": 4} | settings
    return gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=num_envs, **sizes)


@pytest.mark.parametrize("given", ["items", "nothing"])
def test_histories_derived_from_the_log_are_what_the_environment_showed(given: str) -> None:
    settings: dict[str, Any] = {}
    if given == "items":
        rng = np.random.default_rng(0)
        first = np.where(
            np.arange(3) >= rng.integers(0, 4, (9, 1)), rng.integers(0, 30, (9, 3)), -1
        )
        settings["population"] = Population(
            interests=rng.normal(size=(9, 16)).astype(np.float32),
            first_items=first.astype(np.int32),
        )
    env = make_env(**settings)
    policy = build("uniform", env)
    log = collect(env, policy, n_steps=25, seed=7)
    items, responses = log.histories(4)

    # the same run by hand, one observation at a time
    env_seed, act_seed = np.random.SeedSequence(7).spawn(2)
    rng = np.random.default_rng(act_seed)
    obs, _ = env.reset(seed=int(env_seed.generate_state(1)[0]))
    shown: dict[tuple[int, int], list[Any]] = {}
    session = np.zeros(6, int)
    for _ in range(25):
        for slot in range(6):
            row = (obs["history_items"][slot], obs["history_responses"][slot])
            shown.setdefault((slot, session[slot]), []).append(row)
        action = act(policy, observation_of(obs), rng).action
        obs, _, terminated, truncated, _ = env.step(action)
        session += terminated | truncated
    flat = [row for key in sorted(shown) for row in shown[key]]
    np.testing.assert_array_equal(items, [row[0] for row in flat])
    np.testing.assert_array_equal(responses, [row[1] for row in flat])
    assert (items >= 0).any()


def test_n_sessions_are_whole_and_each_users_first() -> None:
    log = collect(make_env(), build("uniform", make_env()), n_sessions=20, seed=1)
    assert log.n_sessions == 20
    last = np.append(np.flatnonzero(np.diff(log.sessions)), len(log) - 1)
    assert (log.terminated | log.truncated)[last].all()
    assert (log.terminated | log.truncated).sum() == 20
    np.testing.assert_array_equal(_split(20, 6), [4, 4, 3, 3, 3, 3])


def test_n_steps_truncates_what_is_still_open() -> None:
    log = collect(make_env(), build("uniform", make_env()), n_steps=5, seed=1)
    assert len(log) == 30
    last = np.append(np.flatnonzero(np.diff(log.sessions)), len(log) - 1)
    assert (log.terminated | log.truncated)[last].all()
    assert log.truncated.any()


def test_the_same_seed_gives_the_same_log_and_another_seed_another() -> None:
    env = make_env()
    first, again, other = (
        collect(env, build("uniform", env), n_sessions=12, seed=s) for s in (4, 4, 5)
    )
    assert first.hash() == again.hash()
    assert first.hash() != other.hash()


def test_two_policies_meet_the_same_users() -> None:
    env = make_env()
    greedy, flat = build("popularity", env), build("uniform", env)
    logs = [collect(env, p, n_sessions=12, seed=9) for p in (greedy, flat)]
    firsts = [log.candidates[log.step == 0] for log in logs if log.candidates is not None]
    np.testing.assert_array_equal(firsts[0], firsts[1])


def test_dead_rows_are_refused() -> None:
    env = make_env(autoreset_mode=AutoresetMode.NEXT_STEP)
    with pytest.raises(ValueError, match="SAME_STEP"):
        collect(env, build("uniform", env), n_steps=2, seed=0)


@pytest.mark.parametrize("sizes", [{}, {"n_steps": 2, "n_sessions": 2}, {"n_steps": 0}])
def test_a_length_is_asked_for_once(sizes: dict[str, int]) -> None:
    env = make_env()
    with pytest.raises(ValueError, match="n_steps"):
        collect(env, build("uniform", env), seed=0, **sizes)
