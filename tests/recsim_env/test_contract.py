"""Every registered user model keeps the promises of an environment."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode

import recsim_env
from recsim_env.oracles.oracle import random_slates

pytestmark = pytest.mark.parametrize("name", recsim_env.USERS)


def made(name: str, n: int, **parameters: Any) -> recsim_env.RecVectorEnv:
    env = gymnasium.make_vec(f"recsim_env/{name}-v0", num_envs=n, **parameters)
    assert isinstance(env, recsim_env.RecVectorEnv)
    return env


def slates(env: recsim_env.RecVectorEnv, steps: int, seed: int = 0) -> np.ndarray:
    env.action_space.seed(seed)
    return np.array([env.action_space.sample() for _ in range(steps)])


def played(env: recsim_env.RecVectorEnv, actions: np.ndarray, seed: int = 3) -> list[Any]:
    out: list[Any] = [env.reset(seed=seed)]
    return out + [env.step(a) for a in actions]


def same(a: Any, b: Any) -> bool:
    """Equal bytes, through any nesting."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, np.ndarray) and a.dtype == object:
        return all(map(same, a, b))
    return bool(np.array_equal(a, b))


def leaves(x: Any) -> Iterator[np.ndarray]:
    """All arrays, through any nesting."""
    if isinstance(x, np.ndarray) and x.dtype != object:
        yield x
        return
    for part in x.values() if isinstance(x, dict) else x if isinstance(x, tuple | list) else ():
        yield from leaves(part)


def test_gymnasium_and_sb3_find_nothing_to_warn_of(name: str) -> None:
    from stable_baselines3.common.env_checker import check_env as check_sb3

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env = gymnasium.make(f"recsim_env/{name}-v0")
        check_env(env)
        check_sb3(env)


def test_make_vec_builds_no_environment_per_user(name: str) -> None:
    env = made(name, 64)
    assert env.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert env.live.users.shape == (64,)


def test_observations_stay_inside_the_declared_space(name: str) -> None:
    env = made(name, 32, max_steps=9)
    for out in played(env, slates(env, 25)):
        assert env.observation_space.contains(out[0])
    obs, reward, terminated, truncated, infos = out
    assert (reward.dtype, terminated.dtype, truncated.dtype) == (np.float64, np.bool_, np.bool_)
    assert infos["consumed"].shape == (32,)
    assert infos["responses"].shape == (32, len(env.response_names))
    assert infos["position_reward"].shape == (32, env.slate_size)
    assert obs["user"].shape == (32, len(env.user_names))


def test_same_seed_same_bytes_and_another_seed_others(name: str) -> None:
    a, b = made(name, 16), made(name, 16)
    actions = slates(a, 20)
    assert same(played(a, actions), played(b, actions))
    assert not same(played(a, actions), played(b, actions, seed=4))


def test_a_slot_does_not_know_how_many_slots_there_are(name: str) -> None:
    big, small = made(name, 40, max_steps=7), made(name, 5, max_steps=7)
    actions = slates(big, 30)
    for one, other in zip(played(big, actions), played(small, actions[:, :5]), strict=True):
        for key in one[0]:
            assert np.array_equal(one[0][key][:5], other[0][key]), key
        if len(one) > 2:
            assert all(np.array_equal(one[i][:5], other[i]) for i in (1, 2, 3))


def test_another_users_slate_changes_nothing_here(name: str) -> None:
    a, b = made(name, 8), made(name, 8)
    actions = slates(a, 20)
    others = slates(a, 20, seed=1)
    others[:, 3] = actions[:, 3]
    for one, other in zip(played(a, actions), played(b, others), strict=True):
        for key in one[0]:
            assert np.array_equal(one[0][key][3], other[0][key][3]), key


def test_one_user_is_slot_zero_session_by_session(name: str) -> None:
    vector, single = (
        made(name, 3, max_steps=6),
        gymnasium.make(f"recsim_env/{name}-v0", max_steps=6),
    )
    actions = slates(vector, 30)
    rows, (alone, _) = played(vector, actions), single.reset(seed=3)
    assert same(alone, {key: array[0].ravel() for key, array in rows[0][0].items()})
    for action, (obs, reward, terminated, truncated, infos) in zip(actions, rows[1:], strict=True):
        alone, paid, gone, cut, info = single.step(action[0])
        assert (paid, gone, cut) == (reward[0], terminated[0], truncated[0])
        assert info["consumed"] == infos["consumed"][0]
        if gone or cut:
            assert same(alone, {k: v.ravel() for k, v in infos["final_obs"][0].items()})
            alone, _ = single.reset()
        assert same(alone, {key: array[0].ravel() for key, array in obs.items()})


def test_threads_change_nothing(name: str) -> None:
    one, two, three = (made(name, 70, max_steps=6, threads=n) for n in (1, 2, 3))
    actions = slates(one, 15)
    runs = [played(env, actions) for env in (one, two, three)]
    assert any("final_obs" in out[-1] for out in runs[0])
    assert same(runs[0], runs[1])
    assert same(runs[0], runs[2])


def test_nothing_returned_is_live(name: str) -> None:
    a, b = made(name, 6, max_steps=5), made(name, 6, max_steps=5)
    actions = slates(a, 15)
    clean = copy.deepcopy(played(a, actions))
    first = b.reset(seed=3)
    spoilt: list[Any] = [copy.deepcopy(first)]
    for array in first[0].values():
        array[...] = 0
    for given in actions:
        action = given.copy()
        out = b.step(action)
        spoilt.append(copy.deepcopy(out))
        for array in leaves(out):
            array[...] = 0
        action[...] = 0
    assert same(clean, spoilt)


def test_the_history_is_what_was_consumed_most_recent_last(name: str) -> None:
    env = made(name, 12, history_length=4, max_steps=50)
    obs, _ = env.reset(seed=1)
    items, responses = obs["history_items"], obs["history_responses"]
    for action in slates(env, 15):
        obs, _, terminated, truncated, infos = env.step(action)
        going = ~(terminated | truncated)
        took = infos["consumed"] >= 0
        items = np.where(took[:, None], np.c_[items[:, 1:], infos["consumed"]], items)
        shifted = np.concatenate([responses[:, 1:], infos["responses"][:, None]], axis=1)
        responses = np.where(took[:, None, None], shifted, responses)
        items[~going], responses[~going] = (
            obs["history_items"][~going],
            obs["history_responses"][~going],
        )
        assert np.array_equal(items, obs["history_items"])
        assert np.array_equal(responses, obs["history_responses"])


def test_what_is_consumed_was_shown_and_positions_pay_the_reward(name: str) -> None:
    env = made(name, 50)
    obs, _ = env.reset(seed=0)
    rng = np.random.default_rng(0)
    for _ in range(10):
        action = random_slates(env, obs, rng).reshape(50, -1)
        shown = np.take_along_axis(env.live_choices(), action, axis=1)
        obs, reward, _, _, infos = env.step(action)
        took = infos["consumed"] >= 0
        assert (infos["consumed"][took, None] == shown[took]).any(1).all()
        assert (infos["responses"][~took] == 0).all()
        assert np.allclose(infos["position_reward"].sum(1), reward)


def test_session_sums_are_the_last_three_entries(name: str) -> None:
    env = made(name, 20)
    env.reset(seed=2)
    sums = np.zeros((20, 3))
    for action in slates(env, 12):
        obs, _, terminated, truncated, infos = env.step(action)
        _, watch, quality = infos["responses"][:, :3].T
        sums += np.c_[np.ones(20), watch, watch * quality]
        sums[terminated | truncated] = 0
        assert np.allclose(obs["user"][:, -3:], sums, atol=1e-3)


def test_a_slate_that_repeats_or_leaves_the_choices_raises_and_changes_nothing(name: str) -> None:
    env, clone = made(name, 4, on_invalid="raise"), made(name, 4, on_invalid="raise")
    action = slates(env, 1)[0]
    env.reset(seed=0), clone.reset(seed=0)
    stray = action.copy()
    stray.reshape(4, -1)[2, 0] = env.n_choices
    with pytest.raises(ValueError, match=r"slot 2: positions must hold"):
        env.step(stray)
    if env.slate_size > 1:
        repeat = action.copy()
        repeat[1, 1] = repeat[1, 0]
        with pytest.raises(ValueError, match=r"slot 1.*without replacement"):
            env.step(repeat)
    with pytest.raises(ValueError, match="integer candidate indices"):
        env.step(action.astype(float))
    with pytest.raises(ValueError, match="actions have shape"):
        env.step(action[:2])
    assert same(env.step(action), clone.step(action))


def test_the_whole_catalogue_may_be_on_offer(name: str) -> None:
    env = made(name, 3, n_candidates=None, slate_size=2, history_length=3)
    obs, _ = env.reset(seed=0)
    assert set(obs) == {"history_items", "history_responses", "user"}
    assert env.single_action_space.nvec.tolist() == [env.n_items] * 2
    env.step(env.action_space.sample())


def test_candidates_are_distinct_and_uniform(name: str) -> None:
    env = made(name, 400, n_candidates=7, slate_size=2)
    obs, _ = env.reset(seed=0)
    counts = np.zeros(env.n_items)
    for action in slates(env, 20):
        drawn = obs["candidates"]
        assert all(len(set(row)) == env.n_candidates for row in drawn.tolist())
        assert np.array_equal(obs["candidate_features"], env.item_features[drawn])
        np.add.at(counts, drawn, 1)
        obs = env.step(action)[0]
    expected = counts.sum() / env.n_items
    spread = (
        4.5 * (2 / (env.n_items - 1)) ** 0.5
    )  # 4.5 s.d. of the dispersion of multinomial counts
    assert counts.var() / expected == pytest.approx(1 - 7 / env.n_items, abs=spread)


def test_a_session_can_be_looked_at(name: str) -> None:
    """Of every world: text and picture of what the user model's own records hold, step by step."""
    env: Any = gymnasium.make(f"recsim_env/{name}-v0", render_mode="rgb_array", history_length=2)
    env.reset(seed=0)
    core, trace = env.unwrapped.vector, env.unwrapped.trace
    paid, over = 0.0, False
    env.action_space.seed(0)
    while not over and len(trace) < 3:
        _, reward, terminated, truncated, info = env.step(env.action_space.sample())
        over, paid, trace = terminated or truncated, paid + reward, env.unwrapped.trace
    for field, values in trace.state.items():
        assert np.array_equal(values[-1], core.live.users[field][0])
    assert set(trace.state) == {n for n, *_ in core.model.fields(core.config, core.catalogue)}
    assert trace.reward.sum() == pytest.approx(paid)
    assert trace.consumed[-1] == info["consumed"]
    text = recsim_env.session_text(trace)
    told = text.splitlines()[-2 if over else -1]
    assert all(f"{field} " in told for field in trace.state)
    taken = "nothing" if info["consumed"] < 0 else f"item {info['consumed']}"
    assert f"step {len(trace)} | slate {' '.join(map(str, trace.slates[-1]))} | " in text
    assert f"taken {taken} | reward {reward:.2f}" in text
    panels = recsim_env.session_picture(trace).axes
    assert len(panels) >= 2
    assert len(panels[0].patches) == trace.slates.size
