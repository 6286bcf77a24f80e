"""Who may be served what: rules by age, region and sponsor, in offers, masks and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsim_env import Catalogue, Group, RecVectorEnv
from recsim_env.random import members

GROUPS = (
    Group(share=3, age=30, region=0),
    Group(share=1, age=12, region=1, sponsored=False),
)
# items 0-3 for all; 4, 5 from 18 years; 6 in region 0 and 7 in region 1 only; 8 sponsored
AGES = [0, 0, 0, 0, 18, 18, 0, 0, 0]
REGIONS = [[1, 1]] * 6 + [[1, 0], [0, 1], [1, 1]]
SPONSORED = [0] * 8 + [1]
ALLOWED = np.array([[1, 1, 1, 1, 1, 1, 1, 0, 1], [1, 1, 1, 1, 0, 0, 0, 1, 0]], bool)


def ruled() -> Catalogue:
    plain = Catalogue.of(np.arange(9) % 3, n_topics=20, vectors=np.eye(9, 16))  # Longplay's sizes
    return plain.with_groups(GROUPS, min_age=AGES, regions=REGIONS, sponsored=SPONSORED)


def made(n: int = 40, **parameters: Any) -> RecVectorEnv:
    settings = {"n_candidates": None, "slate_size": 2} | parameters
    return RecVectorEnv(n, model="longplay", catalogue=ruled(), **settings)


def test_rules_by_hand() -> None:
    assert np.array_equal(ruled().eligible, ALLOWED)


def test_masks_follow_the_group_of_every_session_the_last_observation_too() -> None:
    env = made(max_steps=2)
    obs, _ = env.reset(seed=0)
    for _ in range(6):
        before = env.live.users["group"].copy()
        assert np.array_equal(obs["action_mask"], ALLOWED[before])
        assert np.array_equal(env.action_masks(), ALLOWED[before])
        obs, _, terminated, truncated, infos = env.step(np.tile([0, 1], (40, 1)))
        assert np.array_equal(infos["action_mask"], ALLOWED[env.live.users["group"]])
        for row in np.flatnonzero(terminated | truncated):
            assert np.array_equal(infos["final_obs"][row]["action_mask"], ALLOWED[before[row]])
    assert (before != env.live.users["group"]).any()


def test_groups_come_in_their_shares_and_the_twin_knows_them() -> None:
    env = made(4000)
    env.reset(seed=1)
    users = env.live.users
    assert users["group"].mean() == pytest.approx(0.25, abs=0.03)
    clone = members(users["stream"], users["session"], np.array([0.75, 1.0]))
    assert np.array_equal(users["group"], clone)


def test_candidates_are_drawn_among_the_eligible() -> None:
    env = made(200, n_candidates=4)
    obs, _ = env.reset(seed=0)
    for _ in range(3):
        for group in (0, 1):
            rows = env.live.users["group"] == group
            assert set(np.unique(obs["candidates"][rows])) == set(np.flatnonzero(ALLOWED[group]))
        obs = env.step(env.action_space.sample())[0]


def test_a_forbidden_item_is_refused_or_mended() -> None:
    env, mends = made(on_invalid="raise"), made(on_invalid="penalise")
    env.reset(seed=0), mends.reset(seed=0)
    young = int(np.flatnonzero(env.live.users["group"] == 1)[0])
    slates = np.tile([0, 1], (40, 1))
    slates[young] = [4, 0]
    with pytest.raises(ValueError, match=rf"slot {young}.*action_masks"):
        env.step(slates)
    assert mends.step(slates)[4]["invalid"].tolist() == (np.arange(40) == young).tolist()


def test_the_users_met_are_those_of_the_world_without_rules() -> None:
    plain = Catalogue.of(np.arange(9) % 3, n_topics=20, vectors=np.eye(9, 16))
    free = RecVectorEnv(40, model="longplay", catalogue=plain, n_candidates=None, slate_size=2)
    bound = made()
    free.reset(seed=0), bound.reset(seed=0)
    for _ in range(5):
        slates = np.tile([0, 1], (40, 1))
        assert np.array_equal(free.step(slates)[1], bound.step(slates)[1])


def test_rules_that_leave_too_little_or_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="only 5 items are available and 6 are needed"):
        made(n_candidates=6)
    with pytest.raises(ValueError, match="share above 0"):
        Group(share=0)
    with pytest.raises(ValueError, match="one row for each of the 9 items"):
        ruled().with_groups(GROUPS, min_age=[1, 2])
    with pytest.raises(ValueError, match="with every group's region"):
        ruled().with_groups(GROUPS, regions=np.ones((9, 1)))
