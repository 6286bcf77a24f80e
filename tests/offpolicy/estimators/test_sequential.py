"""Sessions: every trajectory of a tiny MDP, and numbers worked by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from offpolicy import LoggedDataset, TargetScores, Terms, estimate
from offpolicy import terms as make_terms

# Two states, two actions, three steps at most. From state 1 action 1 ends the session.
PI_B = np.array([[0.7, 0.3], [0.4, 0.6]])
PI_E = np.array([[0.2, 0.8], [0.9, 0.1]])
REWARD = np.array([[1.0, -0.5], [2.0, 3.0]])
MOVES = np.array([[0.6, 0.4], [0.25, 0.75]])  # probability of going to state 1 after (s, a)
STEPS, GAMMA = 3, 0.9


def value(policy: np.ndarray, s: int, t: int) -> float:
    if t == STEPS:
        return 0.0
    total = 0.0
    for a in range(2):
        total += policy[s, a] * (REWARD[s, a] + GAMMA * ahead(policy, s, a, t))
    return total


def ahead(policy: np.ndarray, s: int, a: int, t: int) -> float:
    if (s, a) == (1, 1):
        return 0.0
    p = MOVES[s, a]
    return (1 - p) * value(policy, 0, t + 1) + p * value(policy, 1, t + 1)


def trajectories(s: int = 0, t: int = 0) -> list[tuple[float, list[tuple[int, int]]]]:
    """(probability under logging, [(state, action), ...]) of every possible session."""
    if t == STEPS:
        return [(1.0, [])]
    found = []
    for a in range(2):
        if (s, a) == (1, 1):
            found.append((PI_B[s, a], [(s, a)]))
            continue
        for after, p in ((0, 1 - MOVES[s, a]), (1, MOVES[s, a])):
            for chance, rest in trajectories(after, t + 1):
                found.append((PI_B[s, a] * p * chance, [(s, a), *rest]))
    return found


def session_terms(path: list[tuple[int, int]], q_off: float = 0.0) -> Terms:
    s, a = np.array(path).T
    ratio = PI_E[s, a] / PI_B[s, a]
    running = np.cumprod(ratio)
    before = np.append(1.0, running[:-1])
    q = [
        REWARD[i, j] + GAMMA * ahead(PI_E, i, j, t) + q_off * (i + 2 * j)
        for t, (i, j) in enumerate(path)
    ]
    v = [
        sum(
            PI_E[i, b] * (REWARD[i, b] + GAMMA * ahead(PI_E, i, b, t) + q_off * (i + 2 * b))
            for b in range(2)
        )
        for t, (i, _) in enumerate(path)
    ]
    step = np.arange(len(path))
    return Terms(running, REWARD[s, a], q, v, np.zeros(len(path)), before, GAMMA**step, step)


def test_trajectories_are_all_there() -> None:
    assert sum(p for p, _ in trajectories()) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("name", "q_off"), [("pdis", 0.0), ("seq_dr", 0.0), ("seq_dr", 0.7)])
def test_unbiased_by_enumeration(name: str, q_off: float) -> None:
    truth = value(PI_E, 0, 0)
    mean = sum(p * estimate(session_terms(path, q_off), name).value for p, path in trajectories())
    assert mean == pytest.approx(truth, abs=1e-12)


def test_tis_is_unbiased_by_enumeration() -> None:
    mean = 0.0
    for p, path in trajectories():
        t = session_terms(path)
        whole = Terms(
            np.full(len(t), t.weight[-1]), t.reward, None, None, t.unit, None, t.discount, t.stratum
        )
        mean += p * estimate(whole, "tis").value
    assert mean == pytest.approx(value(PI_E, 0, 0), abs=1e-12)


def test_a_right_model_leaves_no_variance_at_the_start() -> None:
    for _, path in trajectories():
        assert estimate(session_terms(path), "dm").value == pytest.approx(value(PI_E, 0, 0))


# session A: steps 0, 1; session B ends after step 0
W = Terms(
    weight=[2.0, 3.0, 0.5],
    reward=[1.0, 1.0, 4.0],
    q_logged=[0.5, 0.5, 1.0],
    v_target=[1.0, 2.0, 3.0],
    unit=[0, 0, 1],
    weight_before=[1.0, 2.0, 1.0],
    discount=[1.0, 0.5, 1.0],
    stratum=[0, 1, 0],
)
MEAN0, MEAN1, BEFORE1 = 2.5 / 2, 3.5 / 2, 2.5 / 2  # at step 1 session B keeps its weight 0.5
BY_HAND = {
    "pdis": (2 + 1.5 + 2) / 2,
    "snpdis": ((2 + 2) / MEAN0 + 1.5 / MEAN1) / 2,
    "tis": (2 + 1.5 + 2) / 2,
    "sntis": (2 + 1.5 + 2) / 3.5,
    "dm": (1 + 3) / 2,
    "seq_dr": (2 * 0.5 + 1 + 0.5 * (3 * 0.5 + 2 * 2) + 0.5 * 3 + 3) / 2,
    "wdr": ((1.0 + 1.5) / MEAN0 + 0.75 / MEAN1 + (1 + 3) / 1 + 0.5 * 2 * 2 / BEFORE1) / 2,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_value_by_hand_with_a_session_that_ended_early(name: str) -> None:
    assert estimate(W, name).value == pytest.approx(BY_HAND[name], abs=1e-12)


def test_an_ended_session_equals_one_padded_with_nothing() -> None:
    """Steps that never came are rows with the last weight and reward 0."""
    padded = Terms(
        [2.0, 3.0, 0.5, 0.5], [1, 1, 4, 0], None, None, [0, 0, 1, 1], [1, 2, 1, 0.5],
        [1, 0.5, 1, 0.5], [0, 1, 0, 1],
    )  # fmt: skip
    for name in ("pdis", "snpdis"):
        assert estimate(padded, name).value == pytest.approx(BY_HAND[name], abs=1e-12)


def small_log() -> tuple[LoggedDataset, TargetScores]:
    log = LoggedDataset.from_columns(
        session=[7, 9, 7, 9, 7], step=[0, 0, 1, 1, 2], slate=[0, 1, 1, 0, 0],
        propensity=[0.5, 0.5, 0.25, 0.5, 1.0], reward=[1, 2, 3, 4, 5], n_items=2,
    )  # fmt: skip
    return log, TargetScores(np.array([1.0, 0.25, 0.5, 1.0, 0.5]))


def test_weights_of_interleaved_sessions_by_hand() -> None:
    log, scores = small_log()
    t = make_terms(log, scores, horizon="per_decision", gamma=0.5)
    assert t.weight.tolist() == [2, 0.5, 4, 1, 2]  # ratios 2, .5, 2, 2, .5
    assert t.weight_before.tolist() == [1, 1, 2, 0.5, 4]
    assert t.discount.tolist() == [1, 1, 0.5, 0.5, 0.25]
    whole = make_terms(log, scores, horizon="trajectory")
    assert whole.weight.tolist() == [2, 1, 2, 1, 2]
    once = make_terms(log, scores, horizon="one_step")
    assert once.weight.tolist() == [2, 0.5, 2, 2, 0.5]
    assert estimate(t, "pdis").value == pytest.approx((2 + 1 + 6 + 2 + 2.5) / 2)


def test_session_values_of_a_log_with_holes_are_refused() -> None:
    log, scores = small_log()
    part = log.take([0, 1, 3, 4])
    cut = TargetScores(scores.propensity[[0, 1, 3, 4]])
    with pytest.raises(ValueError, match="missing steps before row 3"):
        make_terms(part, cut, horizon="per_decision")
    make_terms(part, cut, horizon="one_step")


def test_a_user_with_several_sessions_counts_sessions_but_varies_as_one() -> None:
    t = Terms(
        [1.0, 1, 1, 1],
        [1.0, 2, 3, 6],
        None,
        None,
        [0, 0, 0, 1],
        None,
        None,
        [0, 1, 0, 0],
        [5, 5, 6, 7],
    )
    found = estimate(t, "pdis")
    assert found.value == pytest.approx(12 / 3)
    assert found.unit.tolist() == [0, 1]
    assert found.psi == pytest.approx([2 * (6 - 8) / 3, 2 * (6 - 4) / 3])


def test_all_estimators_agree_with_a_slow_twin() -> None:
    rng = np.random.default_rng(0)
    for lengths in product((1, 2, 3), repeat=3):
        t = _random_sessions(rng, lengths)
        for name in ("snpdis", "wdr"):
            assert estimate(t, name).value == pytest.approx(_twin(t, lengths, name), abs=1e-12)


def _random_sessions(rng: np.random.Generator, lengths: tuple[int, ...]) -> Terms:
    session = np.repeat(np.arange(len(lengths)), lengths)
    step = np.concatenate([np.arange(n) for n in lengths])
    n = len(session)
    w = rng.uniform(0.2, 3, n)
    before = np.where(step > 0, np.append(1.0, w[:-1]), 1.0)
    return Terms(w, rng.random(n), rng.random(n), rng.random(n), session, before, None, step)


def _twin(t: Terms, lengths: tuple[int, ...], name: str) -> float:
    """One step at a time over sessions padded to the longest."""
    n, T = len(lengths), max(lengths)
    w, before, r, q, v = (np.zeros((n, T)) for _ in range(5))
    row = 0
    for s, length in enumerate(lengths):
        for k in range(T):
            if k < length:
                w[s, k], before[s, k] = t.weight[row], t.weight_before[row]
                r[s, k], q[s, k], v[s, k] = t.reward[row], t.q_logged[row], t.v_target[row]
                row += 1
            else:
                w[s, k] = before[s, k] = w[s, k - 1]
    if name == "snpdis":
        return float(((w / w.mean(0)) * r).sum() / n)
    return float(((w / w.mean(0)) * (r - q) + (before / before.mean(0)) * v).sum() / n)
