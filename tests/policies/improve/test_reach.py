"""The furthest step by weights: its bound holds, floors are the judge's, none to what is worse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from offpolicy import GateRule, LogError, LoggedDataset, Outcome
from offpolicy.diagnostics import diagnose
from offpolicy.gate.guardrails import GuardrailSpec
from offpolicy.weighting.horizons import terms
from policies import score_log
from policies.improve.path import between
from policies.improve.reach import reached_step, scorer
from policies.improve.step import Step
from tests.policies.improve.factories import A, fixed, rows, served, truth

NOW, TARGET = np.zeros(A), np.array([-2.0, 0.0, 1.0, 3.0])
RULE = GateRule(min_ess=200)


def stepped(seed: int, n: int = 500, **more: Any) -> Step:
    now, target = fixed(NOW), fixed(TARGET)
    return reached_step(served(now, n, seed), now, target, **{"rule": RULE} | more)


def test_the_step_goes_as_far_as_weights_hold_the_floors() -> None:
    step = stepped(1)
    assert step.taken
    assert step.judged is not None
    assert step.verdict.outcome is Outcome.PASS
    far, near = step.judged.candidates
    assert near.report.diagnostics.least_ess > far.report.diagnostics.least_ess >= RULE.min_ess
    log, now, target = served(fixed(NOW), 500, 1), fixed(NOW), fixed(TARGET)
    weights = score_log(between(now, target, step.share * 1.25), log, n_slates=0)
    assert diagnose(terms(log, weights, horizon="per_decision")).least_ess < RULE.min_ess
    assert step.uplift == far.uplift
    assert step.ess == far.report.diagnostics.least_ess
    want = between(now, target, step.share)
    both = [score_log(p, log, n_slates=0).propensity for p in (step.policy, want)]
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize("kind", ["geometric", "mixture"])
def test_scores_of_a_share_are_those_of_its_policy(kind: Any) -> None:
    now, target = fixed(NOW), fixed(TARGET, epsilon=0.1)
    log = served(now, 60, 3)
    score = scorer(log, now, target, kind)
    for share in (0.01, 0.4, 1.0):
        one = score_log(between(now, target, share, kind), log, n_slates=0)
        np.testing.assert_allclose(score(share).propensity, one.propensity)
        np.testing.assert_allclose(score(share).position_propensity, one.position_propensity)


def test_logged_probabilities_stand_for_what_served() -> None:
    now, target = fixed(NOW), fixed(TARGET)
    log = served(now, 60, 3)
    first = now.distribution(rows(len(log))).first_place()
    logged = served(now, 60, 3, candidate_propensity=first)
    calls = now.score_model.calls  # type: ignore[attr-defined]
    score = scorer(logged, now, target)
    assert now.score_model.calls == calls + 1  # type: ignore[attr-defined]
    for share in (0.3, 1.0):
        np.testing.assert_allclose(
            score(share).propensity, scorer(log, now, target)(share).propensity
        )
    other = fixed(np.array([0.5, 0.0, 0.0, 0.0]))  # has not served it: it is asked itself
    one = score_log(between(other, target, 0.3), logged, n_slates=0)
    np.testing.assert_allclose(scorer(logged, other, target)(0.3).propensity, one.propensity)


def test_the_stated_bound_holds_in_most_runs() -> None:
    steps = [stepped(seed, 300) for seed in range(1, 61)]
    taken = [s for s in steps if s.taken]
    held = [truth(s.policy) - truth(fixed(NOW)) > s.bound for s in taken]
    assert len(taken) >= 50
    assert np.mean(held) >= 0.9


def test_a_target_that_is_worse_is_not_served() -> None:
    now, worse = fixed(NOW), fixed(-TARGET)
    for seed in range(4):
        step = reached_step(served(now, 300, 900 + seed), now, worse, rule=RULE)
        assert not step.taken
        assert step.policy is now
        assert step.bound == 0
        assert step.verdict.outcome is not Outcome.PASS


def test_a_near_target_is_served_whole_and_as_a_copy() -> None:
    now, near = fixed(NOW), fixed(np.array([-0.2, 0.0, 0.1, 0.3]))
    step = reached_step(served(now, 800, 5), now, near, rule=RULE)
    assert step.share == 1
    before = truth(step.policy)
    near.score_model.update(None)  # type: ignore[arg-type]
    assert truth(step.policy) == before


def test_where_the_shortest_step_is_too_far_it_says_so() -> None:
    step = stepped(1, rule=GateRule(min_ess=499.9999))
    assert not step.taken
    assert step.judged is None
    assert step.verdict.step == "overlap"
    assert "is below 500" in step.verdict.reason


def test_sessions_that_the_target_has_learnt_are_no_judge() -> None:
    now, target = fixed(NOW), fixed(TARGET)
    log, other = served(now, 300, 1), served(now, 300, 2)
    with pytest.raises(LogError, match="among those of the learner"):
        reached_step(log, now, target, rule=RULE, learn_log=log)
    assert reached_step(log, now, target, rule=RULE, learn_log=other).taken


def test_a_guardrail_that_breaks_is_no_step() -> None:
    now, target = fixed(NOW), fixed(TARGET)
    log = served(now, 500, 2)
    rail = GuardrailSpec(name="item 3", values=(log.slate == 3).any(1), at_most=0.001)
    step = reached_step(log, now, target, rule=RULE, guardrails=[rail])
    assert not step.taken
    assert step.verdict.step == "guardrails"


def test_logged_probabilities_of_several_loggers_are_not_those_of_one() -> None:
    """The first rows alone would tell that `now` served them all."""
    now, other, target = fixed(NOW), fixed(np.array([2.0, -1.0, 0.0, 1.0])), fixed(TARGET)
    for names in (("a", "b"), ("", "")):
        parts = [
            served(
                policy, 400, seed, logger=np.full(800, name),
                candidate_propensity=policy.distribution(rows(800)).first_place(),
            )
            for seed, (policy, name) in enumerate(zip((now, other), names, strict=True))
        ]  # fmt: skip
        log = LoggedDataset.concat(parts)
        want = score_log(between(now, target, 0.3), log, n_slates=0).propensity
        np.testing.assert_allclose(scorer(log, now, target)(0.3).propensity, want)


def test_no_step_says_which_floor_is_missed() -> None:
    log = served(fixed(NOW), 500, 1)
    wrong = log.propensity * 0.5  # every weight is twice what it was
    step = reached_step(
        replace(log, propensity=wrong, position_propensity=None),
        fixed(NOW),
        fixed(TARGET),
        rule=RULE,
    )
    assert not step.taken
    assert "mean weight" in step.verdict.reason
