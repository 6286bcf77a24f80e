"""State-marginal weights: right in a Markov chain, lighter than products."""

from __future__ import annotations

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset, TargetScores, estimate, terms
from offpolicy.marginals import marginal_terms

STEPS = 15
TO_1 = np.array([[0.2, 0.7], [0.4, 0.9]])  # probability of state 1 after (state, action)
P_B, P_E = np.array([0.5, 0.5]), np.array([0.3, 0.8])  # probability of action 1 in each state


def chain(n: int, seed: int, p1: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    s = np.zeros((n, STEPS + 1), int)
    a = np.zeros((n, STEPS), int)
    for t in range(STEPS):
        a[:, t] = rng.random(n) < p1[s[:, t]]
        s[:, t + 1] = rng.random(n) < TO_1[s[:, t], a[:, t]]
    return s[:, :-1], a, (s[:, 1:] + 0.5 * a).astype(float)


def truth() -> float:
    d, total = np.array([1.0, 0.0]), 0.0
    for _ in range(STEPS):
        joint = d[:, None] * np.column_stack([1 - P_E, P_E])
        total += float((joint * (TO_1 + np.array([0.0, 0.5]))).sum())
        d = np.array([1 - (joint * TO_1).sum(), (joint * TO_1).sum()])
    return total


def logged(n: int, seed: int) -> tuple[LoggedDataset, TargetScores, np.ndarray]:
    s, a, r = chain(n, seed, P_B)
    log = LoggedDataset.from_columns(
        session=np.repeat(np.arange(n), STEPS), step=np.tile(np.arange(STEPS), n),
        slate=a.ravel(), propensity=np.full(n * STEPS, 0.5), reward=r.ravel(), n_items=2,
    )  # fmt: skip
    p = np.where(a == 1, P_E[s], 1 - P_E[s]).ravel()
    return log, TargetScores(p), s.ravel()


@pytest.mark.parametrize(
    ("name", "kind"),
    [("mis_state", "state"), ("mis_state_action", "state_action"), ("drl", "double")],
)
def test_unbiased_within_a_z_test_and_lighter_than_pdis(name: str, kind: str) -> None:
    values, plain = [], []
    for seed in range(60):
        log, scores, state = logged(300, seed)
        values.append(estimate(marginal_terms(log, scores, state=state, kind=kind), name).value)  # type: ignore[arg-type]
        plain.append(estimate(terms(log, scores, horizon="per_decision"), "pdis").value)
    error = np.std(values) / np.sqrt(len(values))
    assert abs(np.mean(values) - truth()) < 4.5 * error + 0.01
    assert np.std(values) < 0.7 * np.std(plain)


def test_weights_by_hand() -> None:
    """Two sessions meet in one state at step 1: both carry the mean of their first ratios."""
    log = LoggedDataset.from_columns(
        session=[0, 0, 1, 1], step=[0, 1, 0, 1], slate=[0, 1, 1, 1], propensity=[0.5] * 4,
        reward=[1.0, 2, 3, 4], n_items=2,
    )  # fmt: skip
    scores = TargetScores(np.array([1.0, 0.25, 0.5, 0.75]))
    t = marginal_terms(log, scores, state=[7, 9, 7, 9])
    assert t.weight_before.tolist() == [1, 1.5, 1, 1.5]
    assert t.weight.tolist() == [2, 0.75, 1, 2.25]
    both = marginal_terms(log, scores, state=[7, 9, 7, 9], kind="state_action")
    assert both.weight.tolist() == [2, 1.5, 1, 1.5]


def test_holes_are_refused() -> None:
    log, scores, state = logged(3, 0)
    keep = np.arange(len(log)) != 1
    with pytest.raises(LogError, match="missing steps"):
        marginal_terms(log.take(keep), TargetScores(scores.propensity[keep]), state=state[keep])
