"""The gate: three verdicts, a reason, and an order that was learnt the hard way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import GateRule, Guardrail, Outcome, Terms, decide, diagnose
from tests.offpolicy.factories import GOOD, even


def test_pass_fail_and_cannot_tell() -> None:
    d = diagnose(even())
    assert decide(GOOD, d).outcome is Outcome.PASS
    assert decide(replace(GOOD, low=-0.2, high=-0.1), d).outcome is Outcome.FAIL
    assert decide(replace(GOOD, low=-0.1), d).outcome is Outcome.UNDECIDED
    assert str(decide(replace(GOOD, low=-0.1), d)).startswith("cannot tell: uplift [-0.1, +0.15]")


def test_a_margin_makes_it_non_inferiority() -> None:
    d = diagnose(even())
    near = replace(GOOD, low=-0.005, high=0.02)
    assert decide(near, d).outcome is Outcome.UNDECIDED
    assert decide(near, d, GateRule(min_uplift=-0.01)).outcome is Outcome.PASS


def test_thin_overlap_is_said_before_propensities_are_blamed() -> None:
    """Honest heavy-tailed weights (log-normal, sigma 2, mean 1) are never called wrong."""
    blamed = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        w = np.exp(2 * rng.standard_normal(3000) - 2)
        d = diagnose(Terms(w, np.ones(3000), None, None, np.arange(3000)))
        verdict = decide(GOOD, d)
        assert verdict.outcome is Outcome.UNDECIDED
        blamed += verdict.step == "propensities"
    assert blamed == 0


def test_right_propensities_with_mean_weight_below_one_are_not_blamed() -> None:
    """0.876 with a clustered interval that holds 1 is no reason to doubt the log."""
    rng = np.random.default_rng(1)
    w = np.repeat(rng.gamma(2.0, 0.45, 2000), 5)
    d = diagnose(Terms(w, np.ones(10_000), None, None, np.repeat(np.arange(2000), 5)))
    assert d.mean_weight is not None
    assert d.mean_weight.high < 1  # truly 0.9: this one IS blamed
    assert decide(GOOD, d).step == "propensities"
    few = diagnose(Terms(w[:3000], np.ones(3000), None, None, np.repeat(np.arange(600), 5)))
    assert few.mean_weight is not None
    if few.mean_weight.high >= 1:
        assert decide(GOOD, few, GateRule(min_ess=300)).outcome is Outcome.PASS


def test_wrong_propensities_come_before_guardrails_and_uplift() -> None:
    d = diagnose(even(weight=1.3))
    broken = Guardrail("diversity", GOOD, at_least=0.2)
    verdict = decide(GOOD, d, guardrails=[broken])
    assert (verdict.outcome, verdict.step) == (Outcome.UNDECIDED, "propensities")
    assert "mean weight is 1.3" in verdict.reason


def test_guardrails_come_before_uplift() -> None:
    d = diagnose(even())
    held = Guardrail("share of long tail", GOOD, at_least=0.04)
    unsure = Guardrail("fairness gap", GOOD, at_most=0.1)
    broken = Guardrail("diversity", GOOD, at_least=0.2)
    assert decide(GOOD, d, guardrails=[held]).outcome is Outcome.PASS
    assert decide(GOOD, d, guardrails=[held, unsure]).outcome is Outcome.UNDECIDED
    verdict = decide(GOOD, d, guardrails=[unsure, broken])
    assert (verdict.outcome, verdict.step) == (Outcome.FAIL, "guardrails")
    assert "diversity" in verdict.reason


def test_impossible_rules_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 2 units"):
        GateRule(min_ess=0)
