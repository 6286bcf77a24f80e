"""RecVectorEnv: autoreset in each mode, seeds per slot, sizes that make sense."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from recsim_env import Catalogue, LongplayConfig, Population, RecVectorEnv


def made(n: int, **parameters: Any) -> RecVectorEnv:
    return RecVectorEnv(n, model="longplay", **parameters)


def test_same_step_hands_out_the_next_session_and_keeps_the_last_observation() -> None:
    env = made(30, max_steps=3)
    env.reset(seed=0)
    ended_before = np.zeros(30, int)
    for t in range(1, 13):
        obs, _, terminated, truncated, infos = env.step(env.action_space.sample())
        ended = terminated | truncated
        assert not (terminated & truncated).any()
        assert (obs["user"][ended, -3:] == 0).all()
        if ended.any():
            assert np.array_equal(infos["_final_obs"], ended)
            for row in range(30):
                last = infos["final_obs"][row]
                assert (last is not None) == ended[row]
                if ended[row]:
                    assert 1 <= last["user"][-3] <= 3
                    assert truncated[row] == (last["user"][-3] == 3 and not terminated[row])
        ended_before += ended
        assert t > 1 or truncated.sum() == 0
    assert (env.live.users["session"] == ended_before).all()


def test_next_step_ignores_one_action_and_pays_nothing() -> None:
    env = made(20, max_steps=2, autoreset_mode=AutoresetMode.NEXT_STEP)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    obs, _, terminated, truncated, infos = env.step(env.action_space.sample())
    ended = terminated | truncated
    assert ended.any()
    assert "final_obs" not in infos
    assert (obs["user"][ended, -3] > 0).all()
    obs, reward, terminated, truncated, infos = env.step(env.action_space.sample())
    assert (obs["user"][ended, -3] == 0).all()
    assert (reward[ended] == 0).all()
    assert not (terminated | truncated)[ended].any()
    assert (infos["consumed"][ended] == -1).all()


def test_disabled_waits_for_a_masked_reset() -> None:
    env = made(20, max_steps=4, autoreset_mode=AutoresetMode.DISABLED)
    obs, _ = env.reset(seed=0)
    ended = np.zeros(20, bool)
    while not ended.any():
        obs, _, terminated, truncated, _ = env.step(env.action_space.sample())
        ended = terminated | truncated
    with pytest.raises(RuntimeError, match="reset_mask"):
        env.step(env.action_space.sample())
    env.reset(options={"reset_mask": np.roll(ended, 1) & ~ended})  # others: it waits still
    with pytest.raises(RuntimeError, match="reset_mask"):
        env.step(env.action_space.sample())
    after, _ = env.reset(options={"reset_mask": ended})
    assert (after["user"][ended, -3] == 0).all()
    others = ~ended & ~np.roll(ended, 1)
    for key, array in after.items():
        assert np.array_equal(array[others], obs[key][others]), key
    env.step(env.action_space.sample())


def test_a_seed_per_slot_gives_each_the_session_of_that_seed_alone() -> None:
    many, _ = made(3).reset(seed=[5, 6, 7])
    for i, seed in enumerate((5, 6, 7)):
        alone, _ = made(1).reset(seed=seed)
        assert np.array_equal(many["candidates"][i], alone["candidates"][0])


def test_reset_without_a_seed_moves_on_and_with_it_starts_again() -> None:
    env = made(4)
    first, _ = env.reset(seed=9)
    second, _ = env.reset()
    again, _ = env.reset(seed=9)
    assert np.array_equal(first["candidates"], again["candidates"])
    assert not np.array_equal(first["candidates"], second["candidates"])


def test_two_policies_meet_the_same_users_on_the_same_offers() -> None:
    a, b = made(50, max_steps=8), made(50, max_steps=8)
    one, _ = a.reset(seed=1)
    other, _ = b.reset(seed=1)
    going = np.ones(50, bool)
    while going.any():
        assert np.array_equal(one["candidates"][going], other["candidates"][going])
        one, _, *ended, _ = a.step(np.tile([0, 1, 2], (50, 1)))
        going &= ~(ended[0] | ended[1])
        other, _, *ended, _ = b.step(np.tile([17, 18, 19], (50, 1)))
        going &= ~(ended[0] | ended[1])


def test_a_world_of_real_arrays_draws_its_people_and_their_first_histories() -> None:
    rng = np.random.default_rng(0)
    catalogue = Catalogue.of(  # topics and dimensions as Longplay's own: the loops are compiled
        rng.integers(4, size=30), vectors=rng.normal(size=(30, 16)), n_topics=20
    )
    items = np.array([[-1, -1, 3], [7, 8, 9]])
    responses = rng.random((2, 3, 3)).astype(np.float32)
    interests = rng.normal(size=(2, 16)).astype(np.float32)
    people = Population(interests=interests, first_items=items, first_responses=responses)
    env = made(200, catalogue=catalogue, population=people, history_length=5, n_candidates=8)
    obs, _ = env.reset(seed=0)
    person = env.live.users["person"]
    assert 60 < person.sum() < 140
    assert np.array_equal(obs["history_items"], np.c_[np.full((200, 2), -1), items[person]])
    assert np.array_equal(obs["history_responses"][:, 2:], responses[person])
    unit = interests / np.linalg.norm(interests, axis=1, keepdims=True)
    assert np.allclose(env.live.users["interest"], unit[person], atol=1e-6)
    short = made(8, catalogue=catalogue, population=people, history_length=2, n_candidates=8)
    obs, _ = short.reset(seed=0)
    assert np.array_equal(obs["history_items"], items[short.live.users["person"], -2:])


def test_popular_items_are_offered_more_often() -> None:
    weight = np.array([8.0, 4.0, 2.0, 2.0, 1.0, 1.0, 0.0])
    catalogue = Catalogue.of(
        np.zeros(7, int), popularity=weight, n_topics=20, vectors=np.eye(7, 16)
    )
    env = made(4000, catalogue=catalogue, n_candidates=1, slate_size=1, offer="popularity")
    obs, _ = env.reset(seed=0)
    share = np.bincount(obs["candidates"][:, 0], minlength=7) / 4000
    assert share == pytest.approx(weight / weight.sum(), abs=0.03)
    assert share[-1] == 0


def test_a_user_needs_less_than_two_kibibytes_at_fifty_items_of_history() -> None:
    env = made(100, history_length=50)
    assert sum(array.nbytes for array in env.live) / 100 <= 2048


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"num_envs": 0}, "at least one user"),
        ({"n_candidates": 5000}, "between one and all"),
        ({"n_candidates": 2}, "must repeat one"),
        ({"max_steps": 0}, "at least one decision"),
        ({"history_length": -1}, "must not be negative"),
        ({"offer": "random"}, "'uniform' or by 'popularity'"),
        ({"config": LongplayConfig(), "drift": 0.1}, "not both"),
        ({"drift": 1.5}, "drift = 1.5 must lie in"),
        ({"budget": float("nan")}, "budget = nan in LongplayConfig: give a number"),
        ({"concentration": 0.0}, "concentration = 0.0 must be above 0"),
        ({"slate_size": 0}, "at least one position"),
        ({"model": "organic_bandit", "organic_to_bandit": 0.0}, "ever be recommended anything"),
    ],
)
def test_impossible_worlds_raise_and_say_what_to_change(
    wrong: dict[str, Any], message: str
) -> None:
    parameters = {"num_envs": 2, "model": "longplay"} | wrong
    with pytest.raises(ValueError, match=message):
        RecVectorEnv(**parameters)


@pytest.mark.parametrize("popularity", [[1.0, 0, 0, 0], [1e9, 1e9, 1, 1], [0.0, 0, 0, 0]])
def test_an_offer_whose_last_candidate_would_never_be_found_is_refused(
    popularity: list[float],
) -> None:
    items = Catalogue.of(np.zeros(4, int), popularity=np.array(popularity))
    with pytest.raises(ValueError, match="the last candidate would not be found"):
        made(2, catalogue=items, n_candidates=3, slate_size=1, offer="popularity")


def test_sessions_and_masks_are_checked_before_anything_is_reset() -> None:
    env = made(2)
    for wrong in ([[0, 1]], [[0.5, 0], [1, 0]], [[0, -1], [1, 0]]):
        with pytest.raises(ValueError, match=r"must be whole numbers \(2, 2\)"):
            env.reset(seed=0, options={"sessions": wrong})
    far, _ = env.reset(seed=0, options={"sessions": [[10**12, 0], [1, 0]]})
    near, _ = env.reset(seed=0)
    assert np.array_equal(far["candidates"][1], near["candidates"][1])
    with pytest.raises(ValueError, match="reset_mask must be"):
        env.reset(options={"reset_mask": [1, 0]})
    env.reset(options={"reset_mask": [True, False]})


def test_gymnasiums_vector_wrappers_work() -> None:
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(made(5, max_steps=3))
    env.reset(seed=0)
    total, infos = np.zeros(5), {}
    for _ in range(3):
        _, reward, terminated, truncated, infos = env.step(env.action_space.sample())
        total += reward
        if (terminated | truncated).all():
            assert np.allclose(infos["episode"]["r"], total)
    assert "episode" in infos


def test_a_whole_number_for_a_real_constant_is_the_same_world() -> None:
    whole, real = made(2, budget=60), made(2, budget=60.0)
    assert whole.world.cfg.dtype == real.world.cfg.dtype  # else the loops are compiled again
    assert whole.world.cfg["budget"] == 60.0


def test_step_before_reset_names_the_call_to_make() -> None:
    with pytest.raises(RuntimeError, match=r"reset\(\) before step"):
        made(2).step(np.zeros((2, 3), int))
