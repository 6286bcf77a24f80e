"""What a step leaves out or makes late: features of candidates, and last observations."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
import pytest

from recsim_env import RecVectorEnv
from recsim_env.observations import StepInfos

WORLD = "recsim_env/Longplay-v0"


def ended(env: RecVectorEnv) -> tuple[dict[str, Any], dict[str, Any]]:
    """Observation and infos of a step in which sessions ended."""
    env.reset(seed=0)
    for _ in range(3):
        obs, *_, infos = env.step(np.tile([0, 1, 2], (env.num_envs, 1)))
    assert isinstance(infos, StepInfos)
    return obs, infos


def made(**settings: Any) -> RecVectorEnv:
    return RecVectorEnv(20, model="longplay", max_steps=3, **settings)


@pytest.mark.parametrize("threads", [1, 3])
def test_without_features_all_else_is_the_same(threads: int) -> None:
    whole, short = made(threads=threads), made(threads=threads, candidate_features=False)
    (obs, infos), (less, told) = ended(whole), ended(short)
    assert obs.keys() - less.keys() == {"candidate_features"}
    assert all(np.array_equal(less[name], obs[name]) for name in less)
    for one, other in zip(told["final_obs"], infos["final_obs"], strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert other.keys() - one.keys() == {"candidate_features"}
            assert all(np.array_equal(one[name], other[name]) for name in one)
    assert short.observation_space.contains(less)
    assert "candidate_features" not in short.single_observation_space.spaces
    whole.close(), short.close()


def test_one_user_and_a_whole_catalogue_and_a_wrong_switch() -> None:
    one = gymnasium.make(WORLD, candidate_features=False)
    assert one.observation_space.contains(one.reset(seed=0)[0])
    assert "candidate_features" not in one.observation_space.spaces
    every = made(n_candidates=None)
    assert "candidate_features" not in every.reset(seed=0)[0]
    with pytest.raises(ValueError, match="candidate_features = 'no': choose True or False"):
        made(candidate_features="no")


def test_features_are_left_out_for_a_while() -> None:
    class Reader(RecVectorEnv):
        """Reads what its parent observes."""

    env, other = made(), Reader(20, model="longplay", max_steps=3)
    with env.without_features(), other.without_features():
        with env.without_features():
            assert "candidate_features" not in env.reset(seed=0)[0]
        obs, infos = ended(env)
        assert "candidate_features" not in obs
        assert "candidate_features" in other.reset(seed=0)[0]
    row = int(np.flatnonzero(infos["_final_obs"])[0])
    assert "candidate_features" not in infos["final_obs"][row]
    obs, infos = ended(env)
    assert np.array_equal(obs["candidate_features"], env.item_features[obs["candidates"]])
    last = infos["final_obs"][row]
    assert np.array_equal(last["candidate_features"], env.item_features[last["candidates"]])


def pair(infos: dict[str, Any]) -> dict[str, Any]:
    key, value = infos.popitem()
    return infos | {key: value}


READ: dict[str, Callable[[dict[str, Any]], Any]] = {
    "entry": lambda infos: infos["final_obs"],
    "get": lambda infos: infos.get("final_obs"),
    "items": lambda infos: dict(infos.items())["final_obs"],
    "values": lambda infos: dict(zip(infos.keys(), infos.values(), strict=True))["final_obs"],
    "dict": lambda infos: dict(infos)["final_obs"],
    "stars": lambda infos: {**infos}["final_obs"],
    "union": lambda infos: (infos | {})["final_obs"],
    "union from the right": lambda infos: ({} | infos)["final_obs"],
    "update": lambda infos: (out := {}, out.update(infos))[0]["final_obs"],
    "copy": lambda infos: infos.copy()["final_obs"],
    "shallow": lambda infos: copy.copy(infos)["final_obs"],
    "deep": lambda infos: copy.deepcopy(infos)["final_obs"],
    "pickle": lambda infos: pickle.loads(pickle.dumps(infos))["final_obs"],
    "pop": lambda infos: infos.pop("final_obs"),
    "popitem": lambda infos: pair(infos)["final_obs"],
    "setdefault": lambda infos: infos.setdefault("final_obs", None),
}


@pytest.mark.parametrize("way", READ)
def test_last_observations_are_there_in_whatever_way_they_are_read(way: str) -> None:
    env, twin = made(), made()
    _, infos = ended(env)
    _, wanted = ended(twin)
    for _ in range(4):  # they are of their own step, however late they are read
        env.step(np.tile([0, 1, 2], (20, 1)))
    final = READ[way](infos)
    assert isinstance(final, np.ndarray)
    for one, other in zip(final, wanted["final_obs"], strict=True):
        assert (one is None) == (other is None)
        if one is not None:
            assert one.keys() == other.keys()
            assert all(one[name].tobytes() == other[name].tobytes() for name in one)


def test_what_is_written_into_last_observations_stays() -> None:
    _, infos = ended(made())
    row = int(np.flatnonzero(infos["_final_obs"])[0])
    infos["final_obs"][row] = {"user": np.zeros(3)}
    assert list(infos["final_obs"][row]) == ["user"]
    assert infos["final_obs"] is infos["final_obs"]
    infos["final_obs"] = np.full(20, None)
    assert infos["final_obs"][row] is None
    del infos["final_obs"]
    assert "final_obs" not in infos
    assert infos.get("final_obs", "gone") == "gone"
