"""Logs and learning under Gymnasium's wrappers, of vectors and of single environments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorWrapper
from gymnasium.wrappers import vector as wrappers

import recsim_env  # noqa: F401
from policies import build, collect
from policies.slates.distributions import SlateDistribution

WORLD = "recsim_env/Longplay-v0"


class Half(VectorWrapper):
    """A wrapper of one's own."""

    def step(self, actions: Any) -> Any:
        obs, reward, *rest = self.env.step(actions)
        return obs, reward / 2, *rest


def many(users: int = 8, **parameters: Any) -> Any:
    return gymnasium.make_vec(WORLD, num_envs=users, max_steps=6, **parameters)


def singles(wrap: Callable[[Any], Any] = lambda env: env, users: int = 3) -> SyncVectorEnv:
    return SyncVectorEnv(
        [lambda: wrap(gymnasium.make(WORLD, max_steps=6))] * users,
        autoreset_mode=AutoresetMode.SAME_STEP,
    )


def uniform_log(env: Any, n: int = 16) -> Any:
    return collect(env, build("uniform", env), n_sessions=n, seed=0)


@pytest.mark.parametrize(
    ("wrap", "changed"),
    [
        (wrappers.RecordEpisodeStatistics, lambda r: r),
        (lambda env: wrappers.TransformReward(env, lambda r: r / 2), lambda r: r / 2),
        (lambda env: wrappers.ClipReward(env, -1, 1), lambda r: np.clip(r, -1, 1)),
        (Half, lambda r: r / 2),
        (lambda env: Half(wrappers.RecordEpisodeStatistics(env)), lambda r: r / 2),
    ],
    ids=["statistics", "transform", "clip", "own", "two"],
)
def test_a_wrapped_vector_gives_the_same_log_but_for_its_rewards(wrap: Any, changed: Any) -> None:
    plain, log = uniform_log(many()), uniform_log(wrap(many()))
    np.testing.assert_allclose(log.reward, changed(plain.reward))
    for name in ("session", "step", "slate", "propensity", "consumed", "responses", "context"):
        np.testing.assert_array_equal(getattr(log, name), getattr(plain, name))


def test_environments_of_one_user_give_a_log_wrapped_or_not() -> None:
    def wrap(env: Any) -> Any:
        env = gymnasium.wrappers.TransformReward(env, lambda r: r / 2)
        return gymnasium.wrappers.RecordEpisodeStatistics(env)

    plain = uniform_log(singles())
    wrapped = uniform_log(singles(wrap))
    np.testing.assert_allclose(wrapped.reward, plain.reward / 2)
    np.testing.assert_array_equal(wrapped.slate, plain.slate)
    assert plain.consumed is not None
    assert plain.responses.shape == (len(plain), 3)
    np.testing.assert_array_equal(plain.consumed[plain.reward > 0] >= 0, True)


def test_one_user_alone_is_slot_0_of_the_vector() -> None:
    log, slot = uniform_log(gymnasium.make(WORLD, max_steps=6), 5), uniform_log(many(1), 5)
    for name in ("slate", "reward", "consumed", "responses", "position_reward", "terminated"):
        np.testing.assert_array_equal(getattr(log, name), getattr(slot, name))


def test_environments_in_processes_say_their_sizes() -> None:
    env = AsyncVectorEnv(
        [lambda: gymnasium.make(WORLD, max_steps=4)] * 2, autoreset_mode=AutoresetMode.SAME_STEP
    )
    try:
        assert uniform_log(env, 4).n_sessions == 4
    finally:
        env.close()


@pytest.mark.parametrize("make", [singles, lambda: Half(many())], ids=["singles", "wrapped"])
def test_agents_learn_in_them(make: Callable[[], Any]) -> None:
    env = make()
    for name, more in (("ppo", {"n_steps": 32, "n_epochs": 1}), ("slateq", {"warm": 64})):
        agent: Any = build(name, env, **more)
        agent.learn(env, total_steps=128, seed=0)
        assert agent.steps >= 128


def test_what_changes_the_infos_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="leave out the wrapper that changes them"):
        uniform_log(wrappers.DictInfoToList(many()))


class WholeAtFirst(VectorWrapper):
    """Responses are whole numbers until one is not: as some worlds of others give them."""

    steps = 0

    def step(self, actions: Any) -> Any:
        *step, infos = self.env.step(actions)
        self.steps += 1
        kind = np.int64 if self.steps == 1 else np.float64
        return *step, dict(infos) | {"responses": infos["responses"].astype(kind)}


@pytest.mark.parametrize("size", [{"n_steps": 5}, {"n_sessions": 8}])
def test_a_column_that_begins_in_whole_numbers_is_not_cut_to_them(size: dict[str, int]) -> None:
    env = many()
    policy = build("uniform", env)
    plain, log = (collect(e, policy, **size, seed=0) for e in (env, WholeAtFirst(many())))
    later = log.step > 0
    assert later.any()
    np.testing.assert_array_equal(log.responses[later], plain.responses[later])


class Repeating:
    """Shows column 0 at every place, and claims to be sure of it."""

    def __init__(self, serving: Any) -> None:
        self.serving = serving

    def distribution(self, obs: Any) -> SlateDistribution:
        return self  # type: ignore[return-value]

    def sample(self, rng: Any) -> Any:
        return np.zeros((8, self.serving.slate_size), np.int32)

    def prefix(self, slate: Any) -> Any:
        return np.ones(slate.shape)

    def first_place(self) -> Any:
        return np.full((8, 20), 1 / 20)


def test_a_log_never_holds_another_slate_than_was_shown() -> None:
    env = many()
    policy: Any = Repeating(build("uniform", env).serving)
    with pytest.raises(ValueError, match=r"\[0, 0, 0\] of slot 0 repeats an item"):
        collect(env, policy, n_steps=2, seed=0)
