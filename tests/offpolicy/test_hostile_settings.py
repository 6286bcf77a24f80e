"""Impossible settings, bounds and tables raise, with what is meant, or give the right number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier

from offpolicy import (
    GuardrailSpec,
    LoggedDataset,
    TargetScores,
    Terms,
    bootstrap,
    choose_setting,
    confidence_sequence,
    cross_validate,
    empirical_bernstein,
    empirical_likelihood,
    estimate,
    estimate_propensity,
    evaluate,
    hoeffding,
    judge,
    kernel_terms,
    logger_terms,
    mips_terms,
    offcem_terms,
    predict_rewards,
    score_estimators,
    simultaneous,
    slope,
)
from tests.offpolicy.factories import flat, log_of

ONE = estimate(flat(10), "ips")
HALF = np.full((2, 2), 0.5)


def mips(**more: Any) -> Terms:
    given: dict[str, Any] = {
        "probabilities": lambda rows: (HALF[rows], HALF[rows]), "embedding": np.zeros((2, 1), int),
        "embedding_given_action": [np.eye(2)], "reward": np.ones(2),
    }  # fmt: skip
    given |= more
    return mips_terms(given.pop("probabilities"), **given)


ORDERS: dict[str, tuple[Callable[[], object], str]] = {
    "level of a sequence": (lambda: confidence_sequence(ONE, 1.0), "level = 1.0 is outside"),
    "tuned nowhere": (lambda: confidence_sequence(ONE, tuned_at=0), "tuned_at = 0"),
    "level of a likelihood": (lambda: empirical_likelihood(ONE, 1.0), "level = 1.0 is outside"),
    "level of draws": (lambda: bootstrap(flat(9), ["ips"], level=2), "level = 2 is outside"),
    "no draws": (lambda: bootstrap(flat(9), ["ips"], draws=1), "2 draws"),
    "level of many": (lambda: simultaneous({"a": ONE}, 1.2), "level = 1.2 is outside"),
    "outside of Hoeffding": (lambda: hoeffding(ONE, (2, 3)), r"outside bounds \(2, 3\)"),
    "crossed bounds": (lambda: hoeffding(ONE, (3, 0)), r"outside bounds \(3, 0\)"),
    "one unit": (lambda: empirical_bernstein(estimate(flat(1), "ips"), (0, 1)), "2 independent"),
    "no intervals": (lambda: slope([]), "give it one at least"),
    "no grid": (lambda: choose_setting(flat(9), "clipped_ips", "cap", []), "give it one at least"),
    "no names": (lambda: cross_validate(flat(30), []), "needs the names"),
    "no splits": (lambda: cross_validate(flat(30), ["ips"], splits=0), "a split at least"),
    "no redraws": (lambda: score_estimators(log_of(), ["ips"], redraws=0), "a redraw at least"),
    "too strong": (lambda: estimate(flat(9), "exponential_ips", strength=3), "at most 1"),
    "endless": (lambda: estimate(flat(9), "log_smoothing_ips", strength=np.inf), "finite"),
    "one name": (
        lambda: evaluate(log_of(), np.full(40, 0.2), horizon="one_step", estimators="ips"),
        r"one name; pass a sequence: \['ips'\]",
    ),
    "words for chances": (
        lambda: evaluate(log_of(3), np.array(["a", "b", "c"]), horizon="one_step"),  # type: ignore[arg-type]
        "target propensity holds entries that are not numbers",
    ),
    "rewards that overflow": (
        lambda: Terms([1.0, 1.0], [1e200, 0.0], None, None, [0, 1]),
        r"reward\[0\] = 1e\+200 overflows float64",
    ),
    "products that overflow": (
        lambda: Terms([1e80, 1.0], [1e80, 0.0], None, None, [0, 1]),
        "weights up to 1e",
    ),
    "no value between": (
        lambda: GuardrailSpec(name="x", values=[1.0], at_least=1, at_most=-1),
        "no value is at least 1",
    ),
    "kernel of another length": (
        lambda: kernel_terms([1.0], [1.0, 1.0], [0.5, 0.5], [1.0, 1.0], bandwidth=1),
        "one entry a decision each",
    ),
    "chances below 0": (
        lambda: mips(probabilities=lambda rows: (np.tile([1.5, -0.5], (2, 1)), HALF)),
        "the least is -0.5",
    ),
    "too many embeddings": (lambda: mips(embedding=np.zeros((3, 1), int)), "embedding has 3 rows"),
    "no distribution": (
        lambda: mips(embedding_given_action=[2 * np.eye(2)]),
        r"embedding_given_action\[0\] is \(A, categories\)",
    ),
    "actions in halves": (
        lambda: offcem_terms(
            lambda rows: (HALF[rows], HALF[rows]), action=np.zeros(2), cluster=np.arange(2),
            reward=np.ones(2),
        ),
        "action holds float64; codes are whole numbers",
    ),
    "a context with holes": (
        lambda: estimate_propensity([0, 1] * 10, np.full(20, np.nan), n_items=2),
        "a row of finite numbers for each action",
    ),
}  # fmt: skip


@pytest.mark.parametrize("order", ORDERS)
def test_impossible_settings_raise_with_what_is_meant(order: str) -> None:
    call, said = ORDERS[order]
    with pytest.raises(ValueError, match=said):
        call()


def test_a_logger_whose_few_rows_paid_nothing_does_not_take_all_the_weight() -> None:
    """Three rows without a click have no spread: their precision was counted as infinite and the
    value came out as 0."""
    click = np.r_[np.zeros(3), np.tile([1.0, 0.0], 50)]
    log = log_of(103, logger=["new"] * 3 + ["old"] * 100, reward=click)
    t = logger_terms(log, TargetScores(np.full(103, 0.25)), mode="weighted")
    assert estimate(t, "ips").value == pytest.approx(click.mean(), abs=0.02)


def test_classifiers_predict_rewards_not_the_chance_of_their_second_class() -> None:
    """Item 1 always pays 5 and the others nothing; a fold of one class has no second one."""
    log = log_of(90)
    paid = 5.0 * (log.slate[:, 0] == 1)
    own = TargetScores(np.full(90, 0.25), slates=log.slate[:, None, :])
    for reward in (paid, np.full(90, 2.0)):
        same = LoggedDataset.from_columns(n_items=4, **(log.columns() | {"reward": reward}))
        model = RandomForestClassifier(20, random_state=0)
        predictions = predict_rewards(same, own, horizon="one_step", estimator=model)
        np.testing.assert_allclose(predictions.q_logged, reward, atol=1e-9)


def test_a_target_without_overlap_is_undecided_with_guardrails_too() -> None:
    rail = GuardrailSpec(name="x", values=np.ones(40), at_least=-0.1)
    none = {"never": TargetScores(np.zeros(40))}
    report = judge(log_of(), none, horizon="one_step", model=None, guardrails=[rail])
    assert report["never"].verdict.step == "overlap"
