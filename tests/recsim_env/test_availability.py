"""Items that come and go, masks that say so, and what becomes of a slate that ignores them."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import pytest

from recsim_env import Catalogue, RecVectorEnv
from recsim_env.catalogue import NEVER

N = NEVER
TICKS = np.array([[0, N], [0, N], [0, N], [0, 2], [0, 2], [2, N], [2, N], [4, N]])


def churning() -> Catalogue:
    plain = Catalogue.of(np.arange(8) % 3, n_topics=20, vectors=np.eye(8, 16))  # Longplay's sizes
    return plain.with_windows(TICKS[:, 0], TICKS[:, 1])


def made(n: int = 3, **parameters: Any) -> RecVectorEnv:
    settings = {"n_candidates": None, "slate_size": 2} | parameters
    return RecVectorEnv(n, model="longplay", catalogue=churning(), leave_base=-99.0, **settings)


def open_at(tick: int) -> np.ndarray:
    return (TICKS[:, 0] <= tick) & (tick < TICKS[:, 1])


def test_masks_follow_the_windows_wherever_they_stand() -> None:
    env = made()
    obs, _ = env.reset(seed=0)
    for tick in range(6):
        assert (obs["action_mask"] == open_at(tick)).all()
        assert (env.action_masks() == open_at(tick)).all()
        obs, _, _, _, infos = env.step(np.tile([0, 1], (3, 1)))
        assert (infos["action_mask"] == open_at(tick + 1)).all()
        assert env.observation_space.contains(obs)


def test_candidates_are_drawn_among_the_available() -> None:
    env = made(200, n_candidates=4)
    obs, _ = env.reset(seed=0)
    for tick in range(6):
        assert set(np.unique(obs["candidates"])) == set(np.flatnonzero(open_at(tick)))
        assert env.action_masks().all()
        obs = env.step(env.action_space.sample())[0]


def test_an_unavailable_item_raises_where_that_is_asked_for() -> None:
    env = made(on_invalid="raise")
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"slot 1.*action_masks"):
        env.step(np.array([[0, 1], [0, 7], [1, 2]]))


def test_it_is_replaced_by_default_and_marked() -> None:
    env, clone = made(), made(on_invalid="raise")
    env.reset(seed=0), clone.reset(seed=0)
    _, reward, _, _, infos = env.step(np.array([[0, 1], [0, 7], [4, 4]]))
    _, clean, _, _, _ = clone.step(np.array([[0, 1], [0, 1], [4, 0]]))
    assert infos["invalid"].tolist() == [False, True, True]
    assert infos["_invalid"].all()
    assert reward.tolist() == clean.tolist()


def test_or_is_replaced_at_a_price() -> None:
    env, clone = made(on_invalid="penalise", penalty=5.0), made()
    env.reset(seed=0), clone.reset(seed=0)
    _, reward, _, _, infos = env.step(np.array([[0, 1], [0, 7], [4, 4]]))
    _, clean, _, _, _ = clone.step(np.array([[0, 1], [0, 1], [4, 0]]))
    assert infos["invalid"].tolist() == [False, True, True]
    assert reward == pytest.approx(clean - [0, 5, 5])


def test_the_space_samples_within_the_mask() -> None:
    env = made()
    env.reset(seed=0)
    for _ in range(50):
        assert open_at(0)[env.single_action_space.sample(open_at(0))].all()


def test_one_user_has_a_mask_per_place() -> None:
    env = gymnasium.make(
        "recsim_env/Longplay-v0", catalogue=churning(), n_candidates=None, slate_size=2
    )
    env.reset(seed=0)
    assert env.unwrapped.action_masks().tolist() == open_at(0).tolist() * 2


def test_windows_that_leave_too_little_raise() -> None:
    with pytest.raises(ValueError, match="only 5 items are available and 6 are needed"):
        made(n_candidates=6)


def test_catalogues_name_the_row_that_is_wrong() -> None:
    with pytest.raises(ValueError, match=r"topics\[1\] = 4 must lie in 0..2"):
        Catalogue.of(np.array([0, 4]), n_topics=3)
    with pytest.raises(ValueError, match=r"topics are float64 \(1,\): give whole numbers"):
        Catalogue.of(np.array([0.5]))
    with pytest.raises(ValueError, match=r"A at least 1"):
        Catalogue.of(np.array([], int))
    with pytest.raises(ValueError, match=r"length\[0\] = 0.0 must be above 0"):
        Catalogue.of(np.array([0, 1]), length=np.array([0.0, 1.0]))
    with pytest.raises(ValueError, match=r"until\[1\] = 3 must come after since"):
        Catalogue.of(np.array([0, 1])).with_windows(np.array([0, 3]), np.array([1, 3]))


def test_offers_of_a_session_do_not_depend_on_how_long_the_last_one_was() -> None:
    tails = {"catalogue": churning(), "n_candidates": 4, "slate_size": 1, "session_ticks": 2}
    long = RecVectorEnv(40, model="longplay", leave_base=-99.0, max_steps=7, **tails)
    short = RecVectorEnv(40, model="longplay", leave_base=-99.0, max_steps=1, **tails)
    wanted = [long.reset(seed=5)[0]["candidates"]]
    for _ in range(2):  # the first offers of sessions 0, 1 and 2
        for _ in range(7):
            obs = long.step(np.zeros(40, int))[0]
        wanted.append(obs["candidates"])
    assert np.array_equal(short.reset(seed=5)[0]["candidates"], wanted[0])
    for offer in wanted[1:]:
        assert np.array_equal(short.step(np.zeros(40, int))[0]["candidates"], offer)
    assert not np.array_equal(np.unique(wanted[0]), np.unique(wanted[2]))


def test_the_last_observation_has_the_mask_of_its_own_tick() -> None:
    env = made(max_steps=3, session_ticks=2)
    env.reset(seed=0)
    for _ in range(3):
        obs, _, _, truncated, infos = env.step(np.tile([0, 1], (3, 1)))
    assert truncated.all()
    assert (infos["final_obs"][0]["action_mask"] == open_at(3)).all()
    assert (obs["action_mask"] == open_at(2)).all()
