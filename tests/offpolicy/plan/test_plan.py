"""Plans: two arms by hand, bounds of mixtures, promises kept, and who carries a plan."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from offpolicy import (
    GateRule,
    LogError,
    LoggedDataset,
    Outcome,
    TargetScores,
    confidence_sequence,
    diagnose,
    evaluate,
    judge,
    terms,
)
from offpolicy.plan.making import PlanSettings, make_plan
from offpolicy.plan.record import Plan, Source
from offpolicy.plan.sessions import mixed_sessions, moments, sessions_of
from offpolicy.plan.trial import trial_uplift
from offpolicy.weighting.session_mixture import session_mixture
from tests.offpolicy.factories import sessions_log, target


def two_arms(n: int = 4000, p1: float = 0.5, share1: float = 0.5, **more: object) -> LoggedDataset:
    """Single decisions, items in exact shares: item 1 pays 1 in a share p1 of its rows, item 0
    pays 1 in half of its rows."""
    item = (np.arange(n) < n * share1).astype(int)
    first = np.arange(n) / (n * share1)
    second = (np.arange(n) / n - share1) / (1 - share1)
    within = np.where(item == 1, first, second)
    paid = (within < np.where(item == 1, p1, 0.5)).astype(float)
    return LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n, int), slate=item, reward=paid, n_items=2,
        propensity=np.where(item == 1, share1, 1 - share1), **more,  # type: ignore[arg-type]
    )  # fmt: skip


def test_moments_of_two_arms_by_hand() -> None:
    """Target: item 1 surely. b = (1/2, 1/2), s = 1/4: m = (3/8, 5/8), w = (0, 8/5), E_m[w^2] =
    5/8 (8/5)^2 = 8/5. Uplift weights (pi - b) / m = (-4/3, 4/5); regressed on itself, what is left
    of rewards of variance 1/4 each is (16/9) 3/8 1/4 + (16/25) 5/8 1/4 = 1/6 + 1/10."""
    log = two_arms()
    t = terms(log, TargetScores(log.slate[:, 0].astype(float)), horizon="one_step")
    m = moments(sessions_of(t), mixed_sessions(t, 0.25))
    assert m.ess_share == pytest.approx(5 / 8)
    assert m.variance == pytest.approx(1 / 6 + 1 / 10, rel=1e-3)


def test_a_plan_of_two_arms_by_hand() -> None:
    """As above with a margin of .1: about (1.645 + .842)^2 (4/15) / .01 = 165 rows, 500 / (5/8) =
    800 until judged, and s (uplift 0) = 0 a decision."""
    log = two_arms()
    scores = TargetScores(log.slate[:, 0].astype(float))
    asked = PlanSettings(margin=0.1, shares=(0.25,), trial_share=0.25)
    plan = make_plan(log, scores, horizon="one_step", settings=asked)
    now, mixed = plan.loggers
    assert mixed.to_judge == pytest.approx(800)
    assert mixed.to_see == pytest.approx(165, rel=0.08)
    assert mixed.source is Source.ESTIMATED
    assert mixed.cost.low < 0 < mixed.cost.high
    assert now.to_judge == pytest.approx(1000)
    assert plan.best_log == mixed
    variance = 0.25 * (1 / 0.75 + 1 / 0.25)  # a quarter in the target's arm
    drift = 0.1 / np.sqrt(variance / plan.trial.sessions)
    assert 3.3 < drift < 3.6  # `drift_to_see`, a little wider than a normal's
    assert plan.trial.loss == pytest.approx(plan.trial.until_stopped * 0.25 * 0.1)
    assert plan.trial.until_seen < plan.trial.sessions


def test_the_furthest_mixture_by_hand() -> None:
    """Weights 0 and 2: ESS of a log of 900 is 450 at share 1, 900 / (1 + l^2) at share l: 500 at
    l = sqrt(.8)."""
    log = two_arms(900)
    plan = make_plan(log, TargetScores(log.slate[:, 0].astype(float)), horizon="one_step")
    (step,) = plan.steps
    assert step.share == pytest.approx(np.sqrt(0.8))
    assert step.ess == pytest.approx(500)


def test_the_furthest_mixture_of_decisions_stands_at_the_floor() -> None:
    log = sessions_log(900, steps=8)
    plan = make_plan(log, target(log, 0.9), horizon="per_decision")
    by_session, by_decision = plan.steps
    assert by_session.share < by_decision.share < 1
    assert by_decision.ess == pytest.approx(500, rel=0.01)
    share, pi = by_decision.share, target(log, 0.9).propensity
    mixed = (1 - share) * log.propensity + share * pi
    t = terms(log, TargetScores(mixed), horizon="per_decision")
    assert diagnose(t).least_ess == pytest.approx(by_decision.ess)
    assert by_decision.uplift.low < by_decision.uplift.value < by_decision.uplift.high


def dealt(n: int, share: float, steps: int, p1: float, seed: int) -> LoggedDataset:
    """Sessions served whole by the target (item 1 with p1) with chance `share`, else uniformly, as
    the log of the mixture; item 1 pays .6, item 0 .5."""
    rng = np.random.default_rng(seed)
    served = np.repeat(rng.random(n) < share, steps)
    item = (rng.random(n * steps) < np.where(served, p1, 0.5)).astype(int)
    paid = (rng.random(n * steps) < np.where(item == 1, 0.6, 0.5)).astype(float)
    log = sessions_log(n, steps, slate=item, consumed=item, reward=paid)
    return session_mixture(log, log.propensity, chance(log, p1), share)


def chance(log: LoggedDataset, p1: float) -> np.ndarray:
    """Of each logged slate, under a target that serves item 1 with p1."""
    return np.where(log.slate[:, 0] == 1, p1, 1 - p1)


def test_a_log_of_dealt_out_sessions_has_bounded_weights_of_mean_1() -> None:
    log = dealt(3000, 0.2, 12, 0.9, seed=0)
    scores = TargetScores(chance(log, 0.9))
    t = terms(log, scores, horizon="per_decision")
    d = diagnose(t, weight_bound=5.0)
    assert d.max_weight <= 5.0
    assert d.mean_weight is not None
    assert d.mean_weight.low < 1 < d.mean_weight.high
    assert d.least_ess >= 0.2 * 3000 * 0.95
    assert diagnose(t).least_ess < d.least_ess  # whose spread of log weights looks like missed ones
    ratio = np.bincount(log.sessions, np.log(scores.propensity / 0.5))
    last = t.layout.last
    np.testing.assert_allclose(t.weight[last], np.exp(ratio) / (0.8 + 0.2 * np.exp(ratio)))
    with pytest.raises(ValueError, match="weight_bound"):
        diagnose(t, weight_bound=1.5)
    report = evaluate(log, scores, horizon="per_decision", weight_bound=5.0)
    assert report.verdict.outcome is Outcome.PASS, report.verdict


def test_a_dealt_out_log_needs_probabilities_that_fit() -> None:
    log = sessions_log(10)
    half = np.full(len(log), 0.5)
    with pytest.raises(ValueError, match="share"):
        session_mixture(log, half, half, 0.0)
    with pytest.raises(LogError, match="each is"):
        session_mixture(log, half[:3], half, 0.5)
    with pytest.raises(LogError, match="row 0: neither"):
        session_mixture(log, np.zeros(len(log)), np.zeros(len(log)), 0.5)


def test_a_planned_log_is_judged_and_seen_as_promised() -> None:
    """400 logs of the planned number of sessions: power within 10 % of 80 %."""
    rng = np.random.default_rng(1)
    log = sessions_log(6000, 4, seed=3)
    paid = (rng.random(len(log)) < np.where(log.slate[:, 0] == 1, 0.6, 0.5)).astype(float)
    asked = PlanSettings(margin=4 * (0.8 - 0.5) * 0.1, shares=(0.5,))
    scores = TargetScores(chance(log, 0.8))
    plan = make_plan(replace(log, reward=paid), scores, horizon="per_decision", settings=asked)
    row = plan.loggers[1]
    assert row.source is Source.ESTIMATED
    n, seen, ess = int(np.ceil(row.to_see)), 0, []
    for seed in range(400):
        log = dealt(n, 0.5, 4, 0.8, seed)
        report = evaluate(
            log, TargetScores(chance(log, 0.8)), horizon="per_decision", estimators=["pdis"],
            model=None, check=False, plan=False, level=0.9, weight_bound=2.0,
        )  # fmt: skip
        seen += report["pdis"].uplift.low > 0
        ess.append(report.diagnostics.least_ess / n)
    assert seen / 400 == pytest.approx(0.8, abs=0.08)
    assert float(np.mean(ess)) == pytest.approx(plan.min_ess / row.to_judge, rel=0.05)


def test_a_planned_trial_ends_as_promised() -> None:
    """400 trials of skewed returns: power within 10 % of 80 %, sessions as expected."""
    rng = np.random.default_rng(2)
    n = 8000
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n, int), slate=np.arange(n) % 2, n_items=2,
        propensity=np.full(n, 0.5), reward=rng.gamma(0.5, 2.0, n),
    )  # fmt: skip
    same = np.where(log.slate[:, 0] == 1, 0.6, 0.4)
    asked = PlanSettings(margin=0.3, trial_share=0.2)
    trial = make_plan(log, TargetScores(same), horizon="one_step", settings=asked).trial
    rule, size, seen, length = GateRule(), int(np.ceil(trial.sessions)), 0, []
    for _ in range(400):
        arm = rng.random(size) < trial.share
        paid = rng.choice(log.reward, size) + 0.3 * arm
        for m in np.ceil(size * np.arange(1, trial.looks + 1) / trial.looks).astype(int):
            e = trial_uplift(paid[:m], arm[:m], np.arange(m))
            if confidence_sequence(e, rule.level, tuned_at=trial.tuned_at).low > 0:
                seen += 1
                break
        length.append(m)
    assert seen / 400 == pytest.approx(0.8, abs=0.08)
    assert float(np.mean(length)) == pytest.approx(trial.until_seen, rel=0.1)


def test_the_uplift_of_a_trial_is_clustered() -> None:
    e = trial_uplift([1.0, 3.0, 2.0, 6.0], [False, False, True, True], np.array([7, 7, 8, 9]))
    assert e.value == 2.0
    np.testing.assert_allclose(e.psi, [0.0, -3.0, 3.0])  # user 7's sessions cancel
    with pytest.raises(ValueError, match="a trial has both"):
        trial_uplift([1.0, 2.0], [True, True], np.arange(2))


def undecided(n: int = 1200) -> tuple[LoggedDataset, TargetScores]:
    log = sessions_log(n, user=np.repeat(np.arange(n // 2), 6))
    return log, target(log, 0.9)


def test_an_undecided_verdict_carries_a_plan_that_reads() -> None:
    log, scores = undecided()
    report = evaluate(log, scores, horizon="per_decision")
    assert report.verdict.outcome is Outcome.UNDECIDED
    plan = report.plan
    assert plan is not None
    assert plan.unit == "user"
    text = report.to_markdown()
    assert "What would settle it, if the uplift is" in text
    for words in (
        "A step",
        "A better log",
        "A trial",
        "80% power at 0.95",
        "per_decision",
        "of users",
    ):
        assert words in text, words
    assert json.loads(report.to_json())["plan"]["trial"]["sessions"] == plan.trial.sessions
    assert "A better log" in report.to_html()
    assert evaluate(log, scores, horizon="per_decision", plan=False).plan is None


def test_pass_and_fail_carry_none() -> None:
    log = sessions_log(4000)
    for p1, outcome in ((0.7, Outcome.PASS), (0.3, Outcome.FAIL)):
        report = evaluate(log, target(log, p1), horizon="per_decision")
        assert report.verdict.outcome is outcome
        assert report.plan is None
        assert json.loads(report.to_json())["plan"] is None
        assert "What would settle it" not in report.to_markdown() + report.to_html()


def test_the_gate_attaches_plans_to_the_undecided_alone() -> None:
    log = sessions_log(4000, steps=10)
    judged = judge(
        log,
        {"near": target(log, 0.6), "far": target(log, 0.999)},
        horizon="per_decision",
    )
    assert judged["near"].verdict.outcome is Outcome.PASS
    assert judged["near"].report.plan is None
    far = judged["far"].report.plan
    assert isinstance(far, Plan)
    assert far.trial.source == "as logged"
    assert any("at most" in line for line in far.lines())
    assert far.loggers[1].to_judge == pytest.approx(500 / 0.1)


@pytest.mark.parametrize("horizon", ["one_step", "per_decision", "trajectory"])
def test_units_of_several_sessions_need_more_sessions(horizon: str) -> None:
    """Users whose two sessions are alike: as many users as sessions would be needed alone."""
    log = sessions_log(2000)
    twice = LoggedDataset.concat([log, log])
    alike = replace(twice, user=np.tile(log.session, 2))
    alone, pairs = (
        make_plan(x, TargetScores(np.where(x.slate[:, 0] == 1, 0.6, 0.4)), horizon=horizon)  # type: ignore[arg-type]
        for x in (log, alike)
    )
    assert pairs.trial.sessions == pytest.approx(2 * alone.trial.sessions, rel=0.03)
    assert pairs.loggers[0].to_judge == pytest.approx(2 * alone.loggers[0].to_judge, rel=0.03)


def planned(log: LoggedDataset, **settings: float) -> Plan:
    asked = PlanSettings(**settings)  # type: ignore[arg-type]
    return make_plan(log, target(log), horizon="one_step", settings=asked)


def test_what_cannot_be_planned_says_so() -> None:
    log = sessions_log(300)
    with pytest.raises(ValueError, match="paid the same"):
        make_plan(replace(log, reward=np.ones(len(log))), target(log), horizon="one_step")
    wrong = ({"margin": -1.0}, "margin"), ({"power": 1.0}, "power"), ({"shares": (0.0,)}, "shares")
    for given, words in wrong:
        with pytest.raises(ValueError, match=words):
            planned(log, **given)  # type: ignore[arg-type]
    never = TargetScores(np.zeros(len(log)))
    plan = make_plan(log, never, horizon="per_decision")
    assert plan.steps == ()
    assert plan.loggers[1].source is Source.AT_MOST
    assert "no number" in plan.to_markdown()


def test_wrong_propensities_leave_a_trial_alone_and_cut_sessions_nothing() -> None:
    log, scores = undecided(4000)
    shy = replace(log, propensity=np.full(len(log), 0.25))
    report = evaluate(shy, TargetScores(chance(shy, 0.6)), horizon="per_decision")
    assert report.verdict.step == "propensities"
    assert report.plan is not None
    assert report.plan.steps == report.plan.loggers == ()
    assert report.plan.lines()[0].startswith("A trial")
    never = np.zeros(len(log), bool)
    cut = replace(log, terminated=never, truncated=log.terminated)
    report = evaluate(cut, scores, horizon="per_decision")
    assert report.verdict.step == "sessions"
    assert report.plan is None


def test_a_marginal_verdict_has_a_plan_of_whole_sessions() -> None:
    log, scores = undecided(600)
    report = evaluate(log, scores, horizon="marginal", state=log.step.astype(np.int64))
    assert report.plan is not None, report.verdict
    assert report.plan.horizon == "marginal"
    whole = make_plan(log, scores, horizon="per_decision")
    assert report.plan.trial == whole.trial


@pytest.mark.parametrize("wanted", [-0.05, 0.0, 0.05])
def test_sessions_follow_what_is_wanted_and_losses_are_bounded(wanted: float) -> None:
    """To see .1 above .05 takes 4 times the sessions of .1 above 0, above -.05 four ninths."""
    log = sessions_log(3000)
    plan = make_plan(
        log, target(log, 0.6), horizon="per_decision", rule=GateRule(min_uplift=wanted),
        settings=PlanSettings(margin=0.1),
    )  # fmt: skip
    plain = make_plan(
        log, target(log, 0.6), horizon="per_decision", settings=PlanSettings(margin=0.1)
    )
    ratio = (0.1 / (0.1 - wanted)) ** 2
    assert plan.trial.sessions == pytest.approx(ratio * plain.trial.sessions, rel=0.05)
    t = plan.trial
    assert 0 < t.loss <= t.worst_loss * 1.05
    assert t.loss <= t.loss_bound <= t.harm * t.share * t.sessions * (1 + 1e-9)


def test_a_margin_that_few_units_show_is_planned_for_though_rewards_are_rare() -> None:
    """None of the few units that a trial begins with stands for the 2 % that are paid."""
    log = two_arms()
    paid = np.arange(len(log)) % 50 == 0
    rare = replace(log, reward=paid.astype(float))
    scores = TargetScores(np.full(len(log), 0.5))
    plan = make_plan(rare, scores, horizon="one_step", rule=GateRule(min_uplift=-5.0))
    assert 0 < plan.trial.sessions < 100
    assert np.isfinite(plan.trial.worst_loss)
