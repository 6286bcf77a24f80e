"""Disturbances: each does its harm on schedule, and leaves the rest of the world as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsim_env import RecVectorEnv, disturb

N, T = 60, 14


def world(**parameters: Any) -> RecVectorEnv:
    return RecVectorEnv(N, model="longplay", **parameters)


def played(env: Any, steps: int = T) -> list[Any]:
    out = [env.reset(seed=3)]
    space = world().action_space
    space.seed(0)
    return out + [env.step(space.sample()) for _ in range(steps)]


PLAIN = [
    (disturb.Drift, {}),
    (disturb.StaleObservations, {}),
    (disturb.MissingFeatures, {}),
    (disturb.ColdStart, {}),
    (disturb.Bots, {"share": 0.3}),
    (disturb.DelayedRewards, {}),
    (disturb.LatencyBudget, {"rate": 0.5}),
]


@pytest.mark.parametrize(("kind", "settings"), PLAIN)
def test_nothing_happens_before_the_schedule_and_something_after(kind: Any, settings: Any) -> None:
    clean, hurt = played(world()), played(kind(world(), start=6, **settings))
    for t, (a, b) in enumerate(zip(clean[:6], hurt[:6], strict=True)):
        assert all(np.array_equal(a[0][k], b[0][k]) for k in a[0]), t
        assert t == 0 or np.array_equal(a[1], b[1])
    late = [
        all(np.array_equal(a[0][k], b[0][k]) for k in a[0]) and np.array_equal(a[1], b[1])
        for a, b in zip(clean[8:], hurt[8:], strict=True)
    ]
    assert not all(late)


@pytest.mark.parametrize(("kind", "settings"), PLAIN)
def test_disturbed_observations_stay_in_their_space_and_repeat_under_a_seed(
    kind: Any, settings: Any
) -> None:
    env = kind(world(), **settings)
    first, again = played(env), played(env)
    for a, b in zip(first, again, strict=True):
        assert env.observation_space.contains(a[0])
        assert all(np.array_equal(a[0][k], b[0][k]) for k in a[0])


def test_delayed_rewards_come_in_full() -> None:
    late = disturb.DelayedRewards(world(max_steps=5))
    clean, hurt = (
        np.array([out[1] for out in played(env)[1:]]) for env in (world(max_steps=5), late)
    )
    assert hurt[:3].sum() < clean[:3].sum()
    assert np.allclose(hurt.sum(0) + late.owed.sum(0), clean.sum(0))


def test_stale_observations_are_the_old_ones() -> None:
    calm = {"leave_base": -99.0, "budget": 1e6}
    clean, stale = played(world(**calm)), played(disturb.StaleObservations(world(**calm), lag=2))
    for t in range(3, T):
        for key in ("history_items", "user"):
            assert np.array_equal(stale[t][0][key], clean[t - 2][0][key])
        assert np.array_equal(stale[t][0]["candidates"], clean[t][0]["candidates"])


def test_lost_rows_are_marked_at_their_rate() -> None:
    lost = [out[4]["lost"] for out in played(disturb.LostRows(world(), rate=0.2))[1:]]
    assert np.mean(lost) == pytest.approx(0.2, abs=0.06)


def test_bots_poison_the_log_and_the_histories_alike() -> None:
    from policies import build, collect

    env = disturb.Bots(world(leave_base=-99.0, budget=1e6), share=0.2)  # nobody leaves
    log = collect(env, build("uniform", env), n_steps=12, seed=1)
    shown = env.past
    derived, _ = log.histories(20)
    assert log.consumed is not None
    last = np.flatnonzero(log.truncated | log.terminated)
    going = last[log.truncated[last]]  # one a slot, in the order of slots: the run was cut there
    assert len(going) == N
    after = np.concatenate([derived[going][:, 1:], log.consumed[going][:, None]], axis=1)
    assert np.array_equal(after[env.bots], shown["history_items"][env.bots])
    assert (log.consumed[going[env.bots]] == log.slate[going[env.bots], 0]).all()


def test_reward_that_does_not_vary_gives_the_bots_away() -> None:
    env = disturb.Bots(world(), share=0.2)
    reward = np.array([out[1] for out in played(env)[1:]])
    assert 3 <= env.bots.sum() <= 25
    assert np.array_equal(reward.std(0) == 0, env.bots)


def test_wrappers_compose() -> None:
    env = disturb.Bots(disturb.MissingFeatures(disturb.Drift(world())), share=0.5, reward=9.0)
    out = played(env)
    assert (out[-1][1] == 9.0).sum() == env.bots.sum() > 0


def test_churn_keeps_most_items_available() -> None:
    from recsim_env import Catalogue

    since, until = disturb.churning(200)
    assert Catalogue.of(np.zeros(200, int)).with_windows(since, until).fewest_open() >= 120
