"""Abstractions of slates: right where the reward knows no more than they do."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset, TargetScores, estimate, lips_terms
from tests.offpolicy.factories import plackett

B, E = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])  # Plackett-Luce weights of 3 items

SLATES = list(permutations(range(3), 2))
P_B, P_E = (np.array([np.prod(plackett(p, s)) for s in SLATES]) for p in (B, E))


def logged(pay: list[float]) -> LoggedDataset:
    """Every slate once."""
    return LoggedDataset.from_columns(
        session=np.arange(6), step=np.zeros(6), slate=SLATES, propensity=P_B, reward=pay, n_items=3
    )


def policy(p: np.ndarray) -> TargetScores:
    """All slates with their probabilities, on every row."""
    return TargetScores(
        p, slates=np.tile(np.array(SLATES, np.int32), (6, 1, 1)), slate_weight=np.tile(p, (6, 1))
    )


def as_set(slates: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Which items, in any order: the one that is missing names the set."""
    return 3 - slates.sum(1)


def first(slates: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """A chance for each first item."""
    return np.eye(3)[slates[:, 0]]


def expectation(log: LoggedDataset, abstraction: object) -> float:
    """Of the estimator over all slates of the logger; a row's share of the sum is w r / 6."""
    t = lips_terms(log, policy(P_E), policy(P_B), abstraction=abstraction)  # type: ignore[arg-type]
    assert estimate(t, "lips").value == pytest.approx(float((t.weight * t.reward).mean()))
    return float(P_B @ (t.weight * t.reward))


@pytest.mark.parametrize(
    ("abstraction", "pay"),
    [
        (as_set, [3.0 - sum(s) for s in SLATES]),
        (first, [1.0 + s[0] for s in SLATES]),
        (lambda slates, rows: slates @ [3, 1], [1.0, -2.0, 0.5, 4.0, 2.0, 7.0]),
    ],
)
def test_unbiased_by_enumeration(abstraction: object, pay: list[float]) -> None:
    """The reward knows the set, the first item, the whole slate; so does the abstraction."""
    log = logged(pay)
    assert expectation(log, abstraction) == pytest.approx(float(P_E @ log.reward), abs=1e-12)


def test_weights_by_hand_and_lighter_than_those_of_slates() -> None:
    """The first item alone: Plackett-Luce draws it with .5, .3, .2 and .1, .3, .6."""
    log = logged([1.0] * 6)
    t = lips_terms(log, policy(P_E), policy(P_B), abstraction=first)
    np.testing.assert_allclose(t.weight, [0.2, 0.2, 1, 1, 3, 3], atol=1e-12)
    assert t.weight.max() < (P_E / P_B).max()


def test_an_open_abstraction_averages_its_ratios() -> None:
    """Each slate shows its first item's value with .75 and the next item's with .25."""

    def blurred(slates: np.ndarray, rows: np.ndarray) -> np.ndarray:
        shift = np.eye(3)[(slates[:, 0] + 1) % 3]
        return 0.75 * np.eye(3)[slates[:, 0]] + 0.25 * shift

    t = lips_terms(logged([1.0] * 6), policy(P_E), policy(P_B), abstraction=blurred)
    above, below = (0.75 * p + 0.25 * np.roll(p, 1) for p in (E, B))
    ratio = above / below
    assert t.weight[0] == pytest.approx(0.75 * ratio[0] + 0.25 * ratio[1], abs=1e-12)
    assert float(P_B @ t.weight) == pytest.approx(1, abs=1e-12)


def test_what_the_logger_never_shows_and_what_is_no_abstraction_is_refused() -> None:
    log = logged([1.0] * 6)
    thin = TargetScores(P_B, slates=np.tile(np.array([[0, 1]], np.int32), (6, 1, 1)))
    with pytest.raises(LogError, match="row 2: the logging policy's slates never have"):
        lips_terms(log, policy(P_E), thin, abstraction=first)
    with pytest.raises(LogError, match="target's scores carry no slates"):
        lips_terms(log, TargetScores(P_E), policy(P_B), abstraction=first)
    with pytest.raises(LogError, match="sum to 1 in every row"):
        lips_terms(log, policy(P_E), policy(P_B), abstraction=lambda s, r: np.ones((len(s), 2)))
    with pytest.raises(LogError, match=r"made \(2,\) of 6 slates"):
        lips_terms(log, policy(P_E), policy(P_B), abstraction=lambda s, r: [0, 1])
