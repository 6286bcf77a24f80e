"""The gate: three verdicts, a reason, and the order of its four steps."""

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


def test_thin_overlap_is_reported_before_propensities_are_blamed() -> None:
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


def clustered(units: int, mean: float) -> Terms:
    """Gamma weights of a given mean, five equal rows a unit."""
    w = np.random.default_rng(1).gamma(2.0, 0.5, units)
    w = np.repeat(w * mean / w.mean(), 5)
    return Terms(w, np.ones(len(w)), None, None, np.repeat(np.arange(units), 5))


def test_a_mean_weight_below_one_passes_while_its_clustered_interval_holds_one() -> None:
    """Rows of a unit are no separate evidence: taken as such they would blame the same log."""
    t = clustered(400, mean=0.92)
    d = diagnose(t)
    assert d.mean_weight is not None
    assert d.mean_weight.value < 1 < d.mean_weight.high
    assert decide(GOOD, d, GateRule(min_ess=200)).outcome is Outcome.PASS
    rows = diagnose(Terms(t.weight, t.reward, None, None, np.arange(len(t))))
    assert decide(GOOD, rows, GateRule(min_ess=200)).step == "propensities"


def test_a_mean_weight_whose_interval_lies_below_one_is_blamed() -> None:
    verdict = decide(GOOD, diagnose(clustered(2000, mean=0.9)))
    assert (verdict.outcome, verdict.step) == (Outcome.UNDECIDED, "propensities")
    assert "mean weight is 0.900, not 1" in verdict.reason


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


def test_impossible_rules_raise() -> None:
    with pytest.raises(ValueError, match="at least 2 units"):
        GateRule(min_ess=0)
