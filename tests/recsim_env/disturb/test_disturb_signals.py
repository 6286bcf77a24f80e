"""Signals: what a wrapper's docstring says will see its failure does, and is quiet without it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offpolicy import LoggedDataset, check_log
from offpolicy.doctor.findings import Level
from offpolicy.errors import LogError
from policies import build, collect
from recsim_env import RecVectorEnv, disturb

N, STEPS = 150, 24


def world(**parameters: Any) -> RecVectorEnv:
    return RecVectorEnv(N, model="longplay", **parameters)


def logged(env: Any) -> LoggedDataset:
    """Uniform slates; rows stand slot by slot, STEPS each."""
    return collect(env, build("uniform", env), n_steps=STEPS, seed=4)


def off_slate(log: LoggedDataset) -> float:
    """Share of consumed items that the logged slate does not hold."""
    assert log.consumed is not None
    took = log.consumed >= 0
    return float((log.consumed[took, None] != log.slate[took]).all(1).mean())


def steps_seen(log: LoggedDataset) -> np.ndarray:
    """The count of steps as the policy saw it."""
    assert log.context is not None
    return log.context[:, -3]


@pytest.fixture(scope="module")
def clean() -> LoggedDataset:
    return logged(world())


def test_drift_shows_in_the_value_per_day_and_not_in_the_propensities() -> None:
    # one decision a session, so that a day's value does not depend on how old its sessions are
    time = np.tile(np.arange(STEPS) // (STEPS // 2) * 86_400.0, N)
    calm, moved = (
        check_log(logged(env), time=time)
        for env in (
            world(max_steps=1),
            disturb.Drift(world(max_steps=1), start=STEPS // 2, size=5.0),
        )
    )
    assert calm["value per day"].level is Level.PASS
    assert moved["value per day"].level is Level.WARN
    assert moved["mean weight, uniform target (T2)"].level is Level.PASS


def test_stale_observations_disagree_with_the_logs_own_steps(clean: LoggedDataset) -> None:
    stale = logged(disturb.StaleObservations(world(), lag=2))
    assert np.array_equal(steps_seen(clean), clean.step)
    assert (steps_seen(stale) != stale.step).mean() > 0.5


def test_missing_features_are_rows_of_zeros(clean: LoggedDataset) -> None:
    lost = logged(disturb.MissingFeatures(world(), rate=0.2))
    blank, known = (
        (log.context[log.step > 0] == 0).all(1).mean()
        for log in (lost, clean)
        if log.context is not None
    )
    assert known == 0
    assert blank == pytest.approx(0.2, abs=0.04)


def test_a_wave_of_newcomers_shows_in_the_share_of_empty_histories() -> None:
    def unknown(env: Any) -> float:
        env.reset(seed=0)
        for _ in range(8):
            obs, *_ = env.step(env.action_space.sample())
        return float((obs["history_items"] < 0).all(1).mean())

    assert unknown(world()) < 0.5
    assert unknown(disturb.ColdStart(world(), start=6)) == 1.0


def test_a_few_well_paid_bots_are_heavy_units(clean: LoggedDataset) -> None:
    env = disturb.Bots(world(), share=0.02, reward=60.0)
    assert 1 <= env.bots.sum() <= 6
    assert check_log(clean)["heavy units"].level is Level.PASS
    assert check_log(logged(env))["heavy units"].level is Level.WARN


def test_reward_that_does_not_vary_gives_the_bots_away() -> None:
    env = disturb.Bots(world(), share=0.2)
    reward = logged(env).reward.reshape(N, STEPS)
    assert 10 <= env.bots.sum() <= 50
    assert np.array_equal(reward.std(1) == 0, env.bots)


def test_delayed_rewards_are_missing_from_the_first_steps(clean: LoggedDataset) -> None:
    late = logged(disturb.DelayedRewards(world(), delay=3))
    early = (late.step < 3) & ~late.terminated
    assert (late.reward[early] == 0).all()
    assert clean.reward[(clean.step < 3) & ~clean.terminated].mean() > 0.5


def test_lost_rows_are_not_in_the_log_which_says_so(clean: LoggedDataset) -> None:
    lost = logged(disturb.LostRows(world(), rate=0.2))
    assert len(lost) / len(clean) == pytest.approx(0.8, abs=0.03)
    clean.histories(5)
    with pytest.raises(LogError, match="missing steps"):
        lost.histories(5)


def test_what_a_late_ranker_served_is_not_on_the_logged_slate(clean: LoggedDataset) -> None:
    late = logged(disturb.LatencyBudget(world(), rate=0.5))
    assert off_slate(clean) == 0
    assert off_slate(late) > 0.1
    assert check_log(late)["mean weight, uniform target (T2)"].level is Level.PASS


def test_churn_leaves_items_that_the_log_never_shows(clean: LoggedDataset) -> None:
    env = disturb.Churn(world(), share=0.9, every=50, ticks=100)  # half are not there at first
    known, shown = (np.unique(log.candidates) for log in (clean, logged(env)))
    assert len(known) == 1000
    assert len(shown) < 700
