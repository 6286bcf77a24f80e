"""Columns that belong together stay together under every disturbance: the reward and what its
positions earned, an observation and a session's last one, a mask and the info that repeats it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from recsim_env import RecVectorEnv, disturb

N = 40
CALM = {"leave_base": -99.0, "budget": 1e6}  # nobody leaves
EVERY = [
    (disturb.Churn, {"every": 3, "ticks": 20, "share": 0.6}),
    (disturb.Drift, {}),
    (disturb.StaleObservations, {"lag": 2}),
    (disturb.MissingFeatures, {"rate": 0.5}),
    (disturb.ColdStart, {}),
    (disturb.Bots, {"share": 0.5}),
    (disturb.DelayedRewards, {"delay": 2}),
    (disturb.LostRows, {"rate": 0.5}),
    (disturb.LatencyBudget, {"rate": 0.5}),
]


def world(**parameters: Any) -> RecVectorEnv:
    return RecVectorEnv(N, **{"model": "longplay", "max_steps": 4} | parameters)


@pytest.mark.parametrize("n_candidates", [12, None])
@pytest.mark.parametrize(("kind", "settings"), EVERY)
def test_what_belongs_together_stays_together(
    kind: Any, settings: Any, n_candidates: int | None
) -> None:
    env = kind(world(n_candidates=n_candidates, n_items=60), **settings)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(9):
        obs, reward, _, _, infos = env.step(env.action_space.sample())
        np.testing.assert_allclose(infos["position_reward"].sum(axis=1), reward, atol=1e-9)
        assert np.array_equal("action_mask" in obs, "action_mask" in infos)
        if "action_mask" in obs:
            np.testing.assert_array_equal(infos["action_mask"], obs["action_mask"])
        for row in np.flatnonzero(infos.get("_final_obs", np.zeros(N, bool))):
            assert env.single_observation_space.contains(infos["final_obs"][row]), row


def last_and_next(env: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The last observations of N sessions of four decisions, and those that follow."""
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(3):
        env.step(env.action_space.sample())
    obs, _, _, truncated, infos = env.step(env.action_space.sample())
    rows = np.flatnonzero(truncated)
    last = {key: np.stack([infos["final_obs"][row][key] for row in rows]) for key in obs}
    return last, {key: obs[key][rows] for key in obs}


def test_a_sessions_last_observation_is_disturbed_like_the_others() -> None:
    clean, _ = last_and_next(world())
    empty, _ = last_and_next(disturb.ColdStart(world()))
    assert (clean["history_items"] >= 0).any()
    assert (empty["history_items"] == -1).all()
    assert (empty["history_responses"] == 0).all()
    stale, following = last_and_next(disturb.StaleObservations(world(), lag=2))
    assert (clean["user"][:, -3] == 4).all()
    assert (stale["user"][:, -3] == 2).all(), "two steps behind"
    assert (following["user"][:, -3] == 0).all(), "and a new session is not that old"
    missing, _ = last_and_next(disturb.MissingFeatures(world(), rate=1.0))
    assert not missing["user"].any()
    churned = disturb.Churn(world(), share=0.9, every=1, ticks=3)
    offered, _ = last_and_next(churned)
    assert churned.there()[offered["candidates"]].all()
    bots = disturb.Bots(world(), share=1.0, reward=3.0)
    theirs, _ = last_and_next(bots)
    assert (theirs["user"][:, -2] == 12.0).all(), "four clicks of 3 minutes"


def test_a_late_reward_comes_at_the_positions_that_earned_it() -> None:
    paid, earned = [], []
    for env, out in (
        (disturb.DelayedRewards(world(**CALM), delay=2), paid),
        (world(**CALM), earned),
    ):
        env.reset(seed=0)
        env.action_space.seed(0)
        for _ in range(4):
            out.append(env.step(env.action_space.sample())[4]["position_reward"])
    assert not paid[0].any()
    assert not paid[1].any()
    np.testing.assert_array_equal(paid[2], earned[0])
    np.testing.assert_allclose(paid[3], earned[1] + earned[2] + earned[3])  # the end settles all


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.DISABLED])
def test_sessions_begin_where_the_world_begins_them(mode: AutoresetMode) -> None:
    """Without a reset in the step that ends it, a session's last observation is its own."""
    env = disturb.StaleObservations(world(autoreset_mode=mode, **CALM), lag=2)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(4):
        obs, _, _, truncated, _ = env.step(env.action_space.sample())
    assert truncated.all()
    assert (obs["user"][:, -3] == 2).all(), "two steps behind, though the session ended"
    if mode is AutoresetMode.DISABLED:
        obs, _ = env.reset(options={"reset_mask": truncated})
    else:
        obs, *_ = env.step(env.action_space.sample())
    assert (obs["user"][:, -3] == 0).all()


def test_a_reset_of_some_leaves_the_others_as_they_are() -> None:
    env = disturb.Drift(world(autoreset_mode=AutoresetMode.DISABLED, drift=0.0), size=0.3)
    env.reset(seed=0)
    env.step(env.action_space.sample())
    mask = np.arange(N) < 3
    env.reset(options={"reset_mask": mask})
    np.testing.assert_array_equal(env.moved, np.where(mask, 0.0, 0.3))
    late = disturb.DelayedRewards(world(autoreset_mode=AutoresetMode.DISABLED), delay=3)
    late.reset(seed=0)
    late.step(late.action_space.sample())
    assert late.owed[:, mask].any()
    late.reset(options={"reset_mask": mask})
    assert not late.owed[:, mask].any()
    assert late.owed[:, ~mask].any()
    assert not late.owed_positions[:, mask].any()


def test_bots_stay_in_spaces_whose_responses_are_bounded() -> None:
    env = disturb.Bots(RecVectorEnv(20, model="curriculum"), share=1.0, reward=5.0)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(4):
        obs, reward, *_ = env.step(env.action_space.sample())
        assert env.observation_space.contains(obs)
        assert (reward == 5.0).all()


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (disturb.Bots, {"reward": float("nan")}),
        (disturb.Bots, {"share": float("nan")}),
        (disturb.Drift, {"size": float("inf")}),
        (disturb.Drift, {"period": 2.5}),
        (disturb.StaleObservations, {"lag": 1.5}),
        (disturb.DelayedRewards, {"delay": 2.5}),
        (disturb.LatencyBudget, {"places": 0.5}),
        (disturb.LostRows, {"rate": float("nan")}),
        (disturb.Churn, {"every": 2.5}),
        (disturb.ColdStart, {"start": 0.5}),
        (disturb.ColdStart, {"seed": -1}),
    ],
)
def test_settings_that_no_disturbance_can_have_are_refused(kind: Any, wrong: Any) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} = "):
        kind(world(), **wrong)
