"""Disturbances: each does its harm on schedule, and leaves the rest of the world as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from recsim_env import Catalogue, RecVectorEnv, disturb

N, T = 60, 14


def world(**parameters: Any) -> RecVectorEnv:
    return RecVectorEnv(N, model="longplay", **parameters)


def played(env: Any, steps: int = T) -> list[Any]:
    out = [env.reset(seed=3)]
    space = world().action_space
    space.seed(0)
    return out + [env.step(space.sample()) for _ in range(steps)]


PLAIN = [
    (disturb.Churn, {"every": 3, "ticks": 20}),
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


def test_wrappers_compose() -> None:
    env = disturb.Bots(disturb.MissingFeatures(disturb.Drift(world())), share=0.5, reward=9.0)
    out = played(env)
    assert (out[-1][1] == 9.0).sum() == env.bots.sum() > 0


def test_churn_keeps_most_items_available() -> None:
    since, until = disturb.churning(200)
    assert Catalogue.of(np.zeros(200, int)).with_windows(since, until).fewest_open() >= 120


def test_churn_offers_and_serves_only_what_is_there() -> None:
    env = disturb.Churn(world(), share=0.9, every=2, ticks=10)
    obs, _ = env.reset(seed=0)
    assert 100 < env.there().sum() < 600
    for _ in range(8):
        assert env.there()[obs["candidates"]].all()
        assert all(len(set(row)) == 20 for row in obs["candidates"].tolist())
        assert np.array_equal(obs["candidate_features"], env.item_features[obs["candidates"]])
        slate = np.tile([4, 7, 1], (N, 1))
        shown = obs["candidates"][:, [4, 7, 1]]
        obs, _, _, _, infos = env.step(slate)
        took = infos["consumed"] >= 0
        assert (infos["consumed"][took, None] == shown[took]).any(1).all()


def test_churn_of_a_whole_catalogue_is_in_the_mask_and_mends_slates() -> None:
    env = disturb.Churn(world(n_candidates=None), share=0.9, every=2, ticks=10)
    obs, _ = env.reset(seed=0)
    for _ in range(8):
        mask = env.action_masks()
        assert np.array_equal(obs["action_mask"], mask)
        assert env.observation_space.contains(obs)
        gone = np.flatnonzero(~mask[0])[:3]
        fixed = env.actions(np.tile(gone, (N, 1)))
        assert np.array_equal(fixed, np.tile(np.flatnonzero(mask[0])[:3], (N, 1)))
        obs, *_ = env.step(np.tile(gone, (N, 1)))


def test_churn_that_leaves_too_little_raises() -> None:
    with pytest.raises(ValueError, match=r"are offered; lower share = 1"):
        disturb.Churn(world(n_candidates=900), share=1.0)
    with pytest.raises(ValueError, match="windows or groups already"):
        disturb.Churn(world(churn=0.5))


def test_sudden_drift_moves_whoever_comes_later_alike() -> None:
    env = disturb.Drift(world(max_steps=2, drift=0.0), size=50.0)  # nothing of the old one is left
    env.reset(seed=0)
    for _ in range(5):
        env.before_step()
        interest = env.unwrapped.live.users["interest"]
        assert np.allclose(interest @ env.direction, 1.0, atol=1e-3)
        env.step(env.action_space.sample())


def test_gradual_and_seasonal_drift_go_where_they_say() -> None:
    gradual = disturb.Drift(world(), kind="gradual", size=0.6, period=3)
    assert [gradual.amount(age) for age in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
    seasonal = disturb.Drift(world(), kind="seasonal", size=0.5, period=4)
    assert [seasonal.amount(age) for age in range(4)] == pytest.approx([0.5, 0, -0.5, 0], abs=1e-9)


@pytest.mark.parametrize(
    ("kind", "wrong", "message"),
    [
        (disturb.LostRows, {"rate": 1.5}, "rate = 1.5 must lie in 0..1"),
        (disturb.Bots, {"share": -0.1}, "share = -0.1 must lie in 0..1"),
        (
            disturb.StaleObservations,
            {"lag": -1},
            "lag = -1: give a whole number, steps must",
        ),
        (disturb.DelayedRewards, {"delay": 0}, "delay = 0: give a whole number, at least one step"),
        (disturb.Drift, {"period": 0}, "period = 0: give a whole number, at least one step"),
        (disturb.Churn, {"every": 0}, "need 1 <= every <= ticks"),
        (disturb.LatencyBudget, {"start": 3, "stop": 3}, "need 0 <= start < stop"),
    ],
)
def test_impossible_disturbances_raise(kind: Any, wrong: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(world(), **wrong)


def test_a_late_ranker_falls_back_on_what_is_there() -> None:
    churned = disturb.Churn(world(n_candidates=None), share=0.9, every=2, ticks=10)
    env = disturb.LatencyBudget(churned, rate=1.0, places=0)
    env.reset(seed=0)
    first = np.flatnonzero(churned.there())[:3]
    assert np.array_equal(env.actions(np.tile([5, 6, 7], (N, 1))), np.tile(first, (N, 1)))


def test_drift_needs_users_with_interests() -> None:
    with pytest.raises(ValueError, match="ad_slots users have no `interest`"):
        disturb.Drift(RecVectorEnv(2, model="ad_slots"))
