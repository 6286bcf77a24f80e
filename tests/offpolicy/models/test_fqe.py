"""Fitted Q evaluation: the expectation under the target, never the greedy action."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import LoggedDataset
from offpolicy.models import fqe
from offpolicy.models.fqe import fitted_q

GAMMA, P_E = 0.9, 0.3  # the target takes action 1 with this probability


def endless(n: int = 300, steps: int = 20, seed: int = 0) -> tuple[LoggedDataset, np.ndarray]:
    """One state, action 1 pays 1, sessions are cut after 20 steps and would go on for ever."""
    a = np.random.default_rng(seed).integers(0, 2, n * steps)
    step = np.tile(np.arange(steps), n)
    log = LoggedDataset.from_columns(
        session=np.repeat(np.arange(n), steps), step=step, slate=a,
        propensity=np.full(n * steps, 0.5), reward=a.astype(float), n_items=2,
        truncated=step == steps - 1,
    )  # fmt: skip
    return log, a


def test_truncated_sessions_bootstrap_and_the_value_is_the_targets() -> None:
    """v = .3 / (1 - .9) = 3 everywhere; the greedy action would be worth 10."""
    log, a = endless()
    logged = np.eye(2)[a]
    target = np.tile([1 - P_E, P_E], (len(log), 1))
    found = fitted_q(
        log, logged=lambda r: logged[r], target=lambda r: target[r], after=lambda r: target[r],
        gamma=GAMMA, ridge=1e-6,
    )  # fmt: skip
    np.testing.assert_allclose(found.v_target, P_E / (1 - GAMMA), rtol=1e-3)
    np.testing.assert_allclose(found.q_logged, a + GAMMA * P_E / (1 - GAMMA), rtol=1e-3)


def test_a_finite_horizon_makes_that_many_backups() -> None:
    log, a = endless()
    logged = np.eye(2)[a]
    target = np.tile([1 - P_E, P_E], (len(log), 1))
    found = fitted_q(
        log, logged=lambda r: logged[r], target=lambda r: target[r], after=lambda r: target[r],
        horizon=2, ridge=1e-6, tolerance=0.0,
    )  # fmt: skip
    np.testing.assert_allclose(found.v_target, 3 * P_E, rtol=1e-3)


def test_an_infinite_value_is_refused() -> None:
    log, a = endless(10)
    with pytest.raises(ValueError, match="the value is infinite"):
        fitted_q(log, logged=lambda r: np.eye(2)[a][r], target=lambda r: np.eye(2)[a][r])


def one(rows: slice) -> np.ndarray:
    """One state, one action."""
    return np.ones((600, 1))[rows]


def cut_or_ended() -> LoggedDataset:
    """Sessions of one step that pay 1: every other one ends there, the rest were cut."""
    ends = np.arange(600) % 2 == 0
    return LoggedDataset.from_columns(
        session=np.arange(600), step=np.zeros(600), slate=np.zeros(600), propensity=np.ones(600),
        reward=np.ones(600), n_items=1, terminated=ends, truncated=~ends,
    )  # fmt: skip


def test_undiscounted_values_settle_beyond_the_longest_logged_session() -> None:
    """v = 1 + v / 2; the backups of the longest logged session, one step, would stop at 1."""
    found = fitted_q(cut_or_ended(), logged=one, target=one, after=one, ridge=1e-9)
    np.testing.assert_allclose(found.v_target, 2.0, rtol=0.2)
    now = fitted_q(cut_or_ended(), logged=one, target=one, after=one, horizon=0, ridge=1e-9)
    np.testing.assert_allclose(now.v_target, 1.0, rtol=1e-6)  # no backup: the row's own reward


def test_values_that_never_settle_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut sessions that never end pay 1 a step for ever."""
    monkeypatch.setattr(fqe, "MOST", 30)
    with pytest.raises(ValueError, match="have not settled in 30 backups"):
        fitted_q(cut_or_ended(), logged=one, target=one, after=lambda r: 2 * one(r))
    with pytest.raises(ValueError, match="gamma = 2 is outside"):
        fitted_q(cut_or_ended(), logged=one, target=one, gamma=2)
    with pytest.raises(ValueError, match="horizon = -1"):
        fitted_q(cut_or_ended(), logged=one, target=one, horizon=-1)


@pytest.mark.parametrize(
    ("gamma", "horizon"), [(0.9, None), (0.9, 50), (0.9, 2000), (0.45, None), (1.0, 100)]
)
@pytest.mark.filterwarnings("error")
def test_values_that_no_return_can_reach_are_refused(gamma: float, horizon: int | None) -> None:
    """Rewards of 1; the target's features are twice the logged ones, so that a backup multiplies
    what is ahead by 2 gamma, at .45 by .9: that settles, at 10, where no return exceeds 1.82."""
    log = LoggedDataset.from_columns(
        session=np.arange(600), step=np.zeros(600), slate=np.zeros(600), propensity=np.ones(600),
        reward=np.ones(600), n_items=1, truncated=np.ones(600, bool),
    )  # fmt: skip

    def twice(rows: slice) -> np.ndarray:
        return 2 * one(rows)

    with pytest.raises(ValueError, match="fitted Q diverges: values reach"):
        fitted_q(log, logged=one, target=one, after=twice, gamma=gamma, horizon=horizon)
    near = fitted_q(log, logged=one, target=one, after=one, gamma=0.9, ridge=1e-9)
    np.testing.assert_allclose(near.v_target, 10.0, rtol=1e-3)  # 1 / (1 - .9), not refused
