"""The gate decides on evidence: rare rewards, missed weights, rounding, guardrails."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offpolicy import GateRule, GuardrailSpec, LoggedDataset, Outcome, Terms, diagnose, evaluate
from offpolicy.gate.guardrails import check_guardrails
from offpolicy.log.scores import TargetScores
from tests.offpolicy.factories import even, log_of, sessions_log, target


def rare_log(seed: int, n: int = 5000) -> tuple[LoggedDataset, TargetScores]:
    """Item 1 converts five times as often, and the logger shows it in 3 of 100 rows."""
    rng = np.random.default_rng([6, seed])
    item = (rng.random(n) < 0.03).astype(int)
    log = log_of(
        n,
        slate=item,
        propensity=np.where(item == 1, 0.03, 0.97),
        reward=(rng.random(n) < np.where(item == 1, 0.01, 0.002)).astype(float),
        n_items=2,
    )
    return log, TargetScores(np.where(item == 1, 0.3, 0.7))


def test_a_better_target_with_rare_rewards_is_not_failed() -> None:
    outcomes = []
    for seed in range(25):
        report = evaluate(*rare_log(seed), horizon="one_step", model=None, check=False)
        outcomes.append(report.verdict.outcome)
        assert any("rewards are rare" in note for note in report.notes)
    assert outcomes.count(Outcome.FAIL) <= 2


@pytest.mark.parametrize("horizon", ["one_step", "per_decision"])
def test_the_logging_policy_itself_is_never_passed_or_failed(horizon: str) -> None:
    for seed in range(10):
        rng = np.random.default_rng(seed)
        p1 = rng.uniform(0.05, 0.95, 2400)
        item = (rng.random(2400) < p1).astype(int)
        p = np.where(item, p1, 1 - p1)
        log = sessions_log(
            800, slate=item, consumed=item, propensity=p, reward=item + rng.normal(1e6, 1, 2400)
        )
        report = evaluate(log, p, horizon=horizon, model=None)  # type: ignore[arg-type]
        assert (report.verdict.outcome, report.verdict.step) == (Outcome.UNDECIDED, "uplift")
        assert report[report.decided_by].uplift.value == 0
        assert "chooses as the logging policy" in report.verdict.reason


def test_the_noise_of_a_model_makes_no_uplift_of_the_same_policy() -> None:
    log = sessions_log(900)
    own = np.full(len(log), 0.5 * (1 + 1e-7))  # scored again in float32
    every = np.broadcast_to(np.array([[0], [1]], np.int32), (len(log), 2, 1))
    scores = TargetScores(own, slates=every, slate_weight=np.full((len(log), 2), 0.5))
    for horizon in ("one_step", "per_decision"):
        report = evaluate(log, scores, horizon=horizon)  # type: ignore[arg-type]
        assert report.decided_by in ("dr", "seq_dr")
        assert {(x.uplift.low, x.uplift.value, x.uplift.high) for x in report.lines} == {(0, 0, 0)}
        assert report.verdict.outcome is Outcome.UNDECIDED


def test_the_effective_sample_does_not_trust_weights_whose_logarithms_spread() -> None:
    """Products of 30 ratios, log-normal with variance 4: the expected effective sample is
    n exp(-4), which Kish's exceeds wherever the heaviest weights were not drawn."""
    rng = np.random.default_rng(0)
    n = 20_000
    w = np.exp(2 * rng.normal(size=n) - 2)
    step = np.zeros(n, np.int64)
    d = diagnose(Terms(w, np.ones(n), None, None, np.arange(n), stratum=step))
    assert d.ess_expected == pytest.approx(n * np.exp(-4), rel=0.1)
    assert d.least_ess == min(d.ess, d.ess_expected)
    one = diagnose(even())
    assert one.ess_expected == one.ess  # single decisions: no products


def test_a_guardrail_is_a_mean_over_decisions_however_long_sessions_become() -> None:
    """Item 1 halves the chance to leave; the column is .2 under either item."""
    rng = np.random.default_rng(1)
    rows: list[tuple[int, int, int, bool]] = []
    for s in range(1500):
        for t in range(15):
            a = int(rng.random() < 0.4)
            end = bool(rng.random() < (0.2, 0.1)[a]) or t == 14
            rows.append((s, t, a, end))
            if end:
                break
    session, step, item, end_of = (np.array(x) for x in zip(*rows, strict=True))
    log = LoggedDataset.from_columns(
        session=session, step=step, slate=item, propensity=np.where(item, 0.4, 0.6),
        reward=np.ones(len(item)), n_items=2, terminated=end_of,
    )  # fmt: skip
    scores = TargetScores(np.where(item, 0.55, 0.45))
    same = (rng.random(len(item)) < 0.2).astype(float)
    spec = GuardrailSpec(name="broken rule", values=same, at_most=0.02)
    kept = check_guardrails(log, scores, [spec], horizon="per_decision")[0].interval
    total = check_guardrails(log, scores, [replace(spec, per="session")], horizon="per_decision")[
        0
    ].interval
    assert kept.low < 0 < kept.high < 0.05
    assert total.low > 0  # longer sessions: more of everything


def test_a_guardrail_of_which_no_event_was_seen_has_room_above() -> None:
    log = sessions_log(2000, steps=1)
    never = GuardrailSpec(name="complaint", values=np.zeros(len(log)), at_most=0.01, change=False)
    i = check_guardrails(log, target(log, 0.6), [never], horizon="one_step")[0].interval
    assert i.low == 0
    assert 1.5 / 2000 < i.high < 8 / 2000


def test_monitored_bounds_are_wider_and_still_pass_what_is_clear() -> None:
    log = sessions_log(3000, steps=1)
    once = evaluate(log, target(log, 0.9), horizon="one_step")
    watched = evaluate(log, target(log, 0.9), horizon="one_step", rule=GateRule(monitored=True))
    assert once.verdict.outcome is watched.verdict.outcome is Outcome.PASS

    def low(reason: str) -> float:
        return float(reason.split("[")[1].split(",")[0])

    assert low(watched.verdict.reason) < low(once.verdict.reason)


def test_contexts_slates_and_models_that_contradict_the_weights_stop_the_gate() -> None:
    rng = np.random.default_rng(3)
    n = 6000
    x = rng.normal(size=n)
    p1 = 1 / (1 + np.exp(-0.4 * x))
    item = (rng.random(n) < p1).astype(int)
    q1 = np.clip(p1 + 0.2, 0, 1)
    seen_after = 0.6 * x + (2 * item - 1) + 0.3 * rng.normal(size=n)  # the next observation
    columns = {
        "slate": item, "propensity": np.where(item, p1, 1 - p1), "n_items": 2,
        "reward": x + 0.3 * item + 0.3 * rng.normal(size=n),
    }  # fmt: skip
    listed = np.broadcast_to(np.array([[0], [1]], np.int32), (n, 2, 1))
    share = np.stack([1 - q1, q1], 1)
    own = np.where(item, q1, 1 - q1)
    right = TargetScores(own, slates=listed, slate_weight=share)
    swapped = TargetScores(own, slates=listed, slate_weight=share[:, ::-1])
    good = evaluate(log_of(n, **columns, context=x[:, None]), right, horizon="one_step")
    assert good.log_check is not None
    assert not good.log_check.troubles
    late = evaluate(log_of(n, **columns, context=seen_after[:, None]), right, horizon="one_step")
    assert (late.verdict.outcome, late.verdict.step) == (Outcome.UNDECIDED, "propensities")
    assert "context before the decision" in late.verdict.reason
    wrong = evaluate(log_of(n, **columns, context=x[:, None]), swapped, horizon="one_step")
    assert wrong.verdict.outcome is Outcome.UNDECIDED
    assert wrong.log_check is not None
    assert {f.check for f in wrong.log_check.troubles} >= {"listed slates", "model of rewards"}


def test_draws_of_the_target_itself_are_not_accused() -> None:
    for seed in range(5):
        log = sessions_log(1500, seed=seed)
        report = evaluate(log, target(log), horizon="per_decision")
        assert report.log_check is not None
        assert report.log_check["listed slates"].found.startswith("largest |z|")
        assert not report.log_check.troubles
