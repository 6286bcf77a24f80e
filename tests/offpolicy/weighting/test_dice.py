"""Linear stationary ratios: exact in cells, the log's own value at the other end."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset, TargetScores, dice_terms, estimate, marginal_terms
from tests.offpolicy.factories import chain_log, chain_value

Features = Callable[[slice], np.ndarray]


def chain() -> tuple[LoggedDataset, np.ndarray, np.ndarray]:
    """Action 0 goes to the other state, action 1 ends; both were taken equally often in each state,
    so that the log's frequencies ARE a uniform logger's. The target ends with .25 and .4."""
    log = LoggedDataset.from_columns(
        session=[0, 1, 1, 2, 2, 2], step=[0, 0, 1, 0, 1, 2], slate=[1, 0, 1, 0, 0, 1],
        propensity=[0.5] * 6, reward=[3.0, 1.0, -1.0, 1.0, 2.0, 3.0], n_items=2,
        terminated=[True, False, True, False, False, True],
    )  # fmt: skip
    state = np.asarray(log.step) % 2
    return log, state, np.array([0.25, 0.4])[state]


def cells(state: np.ndarray, action: np.ndarray, p1: np.ndarray) -> tuple[Features, Features]:
    """An indicator per state and action, and its average over the target."""
    own = np.eye(4)[2 * state + action]
    would = (1 - p1)[:, None] * np.eye(4)[2 * state] + p1[:, None] * np.eye(4)[2 * state + 1]
    return lambda rows: own[rows], lambda rows: would[rows]


@pytest.mark.parametrize("gamma", [1.0, 0.9])
def test_exact_in_cells_where_the_log_is_the_world(gamma: float) -> None:
    log, state, p1 = chain()
    action = np.asarray(log.slate[:, 0])
    own, would = cells(state, action, p1)
    goes = np.array([[1, -gamma * 0.75], [-gamma * 0.6, 1]])  # V = pay + gamma goes V
    value = np.linalg.solve(goes, [0.75 * 1 + 0.25 * 3, 0.6 * 2 + 0.4 * -1])[0]
    t = dice_terms(log, logged=own, target=would, gamma=gamma, strength=0)
    assert estimate(t, "dice").value == pytest.approx(value, abs=1e-12)
    scores = TargetScores(np.where(action == 1, p1, 1 - p1))
    ratio = marginal_terms(log, scores, state=state, kind="stationary", gamma=gamma).weight
    np.testing.assert_allclose(t.weight, ratio, atol=1e-12)


def test_strength_pulls_towards_the_log() -> None:
    """One state, one slate, sessions of one step that the target would play twice on average: one
    feature, starts 1, mean phi^2 1, A = gamma phi_next - 1 = -1, so v = (1 + strength) / (1 +
    strength) = 1; with a target that shows half of the feature, starts 1/2 and v = (1/2 + s) /
    (1 + s)."""
    log = LoggedDataset.from_columns(
        session=[0, 1], step=[0, 0], slate=[0, 0], propensity=[0.5, 0.5], reward=[1.0, 3.0],
        n_items=2,
    )  # fmt: skip
    for s in (0.0, 0.5, 2.0, np.inf):
        t = dice_terms(
            log, logged=lambda r: np.ones((2, 1))[r], target=lambda r: np.full((2, 1), 0.5)[r],
            strength=s,
        )  # fmt: skip
        v = 1.0 if np.isinf(s) else (0.5 + s) / (1 + s)
        np.testing.assert_allclose(t.weight, v, atol=1e-12)
        assert estimate(t, "dice").value == pytest.approx(2 * v)


def test_near_the_truth_of_a_markov_chain_and_lighter_than_cells_per_step() -> None:
    """Features of step, state and action: right in mean over logs."""
    values = []
    for seed in range(30):
        log, scores, state = chain_log(200, seed)
        action, step = np.asarray(log.slate[:, 0]), np.asarray(log.step)
        p1 = np.where(action == 1, scores.propensity, 1 - scores.propensity)
        own, would = cells(state, action, p1)
        late = np.eye(15)[step]

        def with_step(f: Features, late: np.ndarray = late) -> Features:
            return lambda r: (f(r)[:, :, None] * late[r][:, None, :]).reshape(len(late[r]), -1)

        t = dice_terms(log, logged=with_step(own), target=with_step(would), strength=1e-6)
        values.append(estimate(t, "dice").value)
    error = np.std(values) / np.sqrt(30)
    assert abs(np.mean(values) - chain_value()) < 4.5 * error + 0.01


def test_cut_sessions_go_on_where_the_caller_says_how() -> None:
    """One state for ever, gamma 1/2, sessions cut after one step: the target's visits are 1 + 1/2 +
    1/4 ... = 2 for each one logged."""
    log = LoggedDataset.from_columns(
        session=[0, 1], step=[0, 0], slate=[0, 0], propensity=[0.5, 0.5], reward=[1.0, 1.0],
        n_items=2, truncated=[True, True],
    )  # fmt: skip

    def one(rows: slice) -> np.ndarray:
        return np.ones((2, 1))[rows]

    t = dice_terms(log, logged=one, target=one, after=one, gamma=0.5, strength=0)
    assert estimate(t, "dice").value == pytest.approx(2.0, abs=1e-12)
    ended = dice_terms(log, logged=one, target=one, gamma=0.5, strength=0)
    assert estimate(ended, "dice").value == pytest.approx(1.0, abs=1e-12)


def test_order_of_rows_does_not_matter() -> None:
    log, state, p1 = chain()
    mixed = np.array([1, 3, 0, 4, 2, 5])
    found = []
    for rows in (np.arange(6), mixed):
        own, would = cells(state[rows], np.asarray(log.slate[:, 0])[rows], p1[rows])
        t = dice_terms(log.take(rows), logged=own, target=would, gamma=0.9)
        found.append(estimate(t, "dice").value)
    assert found[0] == pytest.approx(found[1], abs=1e-12)


def test_a_target_outside_the_log_and_settings_that_cannot_be_are_refused() -> None:
    log, state, p1 = chain()
    only = log.take(np.asarray(log.session) == 0)  # action 1 alone was ever logged
    own, would = cells(state[:1], np.array([1]), p1[:1])
    with pytest.raises(LogError, match="no features of"):
        dice_terms(only, logged=own, target=would)
    own, would = cells(state, np.asarray(log.slate[:, 0]), p1)
    with pytest.raises(ValueError, match="strength = -1"):
        dice_terms(log, logged=own, target=would, strength=-1)
    with pytest.raises(LogError, match="missing steps"):
        dice_terms(log.take([0, 1, 3, 5]), logged=own, target=would)
