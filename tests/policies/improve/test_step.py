"""The step that a log vouches for: its bound holds, and only sessions of its own judge it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offpolicy import GateRule, LogError, Outcome
from offpolicy.gate.guardrails import GuardrailSpec
from offpolicy.log.splitting import split_sessions
from policies import score_log
from policies.improve.path import Path, between
from policies.improve.step import SHARES, Step, furthest_step, score_shares
from tests.policies.improve.factories import A, fixed, served, truth

NOW, TARGET = np.zeros(A), np.array([-2.0, 0.0, 1.0, 3.0])
RULE = GateRule(min_ess=100)
FEW = (0.1, 0.3, 0.6, 1.0)


def stepped(seed: int, n: int = 500, **more: Any) -> Step:
    now, target = fixed(NOW), fixed(TARGET)
    logs = served(now, n, 2 * seed), served(now, n, 2 * seed + 1)
    return furthest_step(*logs, now, target, **{"rule": RULE, "shares": FEW, "model": None} | more)


@pytest.fixture(scope="module")
def step() -> Step:
    return stepped(0, shares=SHARES, model="ridge")


def test_a_step_is_taken_and_says_what_it_was_chosen_from(step: Step) -> None:
    assert step.taken
    assert step.verdict.outcome is Outcome.PASS
    assert step.judged is not None
    assert step.uplift == step.judged.candidates[0].uplift
    assert step.bound == step.uplift.low > 0
    assert [t.share for t in step.tried] == list(SHARES)
    ess = [t.ess for t in step.tried]
    assert ess == sorted(ess, reverse=True)
    for t in step.tried:  # floors decide who is compared
        assert (t.uplift is None) == bool(t.why_not)
    best = max((t for t in step.tried if t.uplift), key=lambda t: t.uplift.low if t.uplift else 0)
    assert best.share == step.share
    assert step.notes == ()
    want = between(fixed(NOW), fixed(TARGET), step.share)
    log = served(fixed(NOW), 50, 9)
    both = [score_log(p, log, n_slates=0).propensity for p in (step.policy, want)]
    np.testing.assert_array_equal(*both)


@pytest.mark.parametrize("kind", ["geometric", "mixture"])
def test_scores_of_all_shares_are_those_of_the_policies_one_by_one(kind: Any) -> None:
    now, target = fixed(NOW), fixed(TARGET, epsilon=0.1)
    log = served(now, 60, 3)
    every = score_shares(log, now, target, (0.0, 0.25, 1.0), kind, chunk=7)
    for share, scores in every.items():
        one = score_log(between(now, target, share, kind), log, n_slates=0)
        np.testing.assert_allclose(scores.propensity, one.propensity)
        np.testing.assert_allclose(scores.position_propensity, one.position_propensity)


def test_the_stated_bound_holds_in_most_runs() -> None:
    steps = [stepped(seed, shares=(0.15, 0.3)) for seed in range(1, 111)]
    taken = [s for s in steps if s.taken]
    value = {f: truth(between(fixed(NOW), fixed(TARGET), f)) for f in (0.15, 0.3)}
    held = [value[s.share] - truth(fixed(NOW)) > s.bound for s in taken]
    assert len(taken) >= 100
    assert np.mean(held) >= 0.93


def test_a_target_that_is_no_better_is_hardly_ever_served() -> None:
    now, worse = fixed(NOW), fixed(-TARGET)
    for seed in range(4):
        logs = served(now, 300, 900 + seed), served(now, 300, 950 + seed)
        step = furthest_step(*logs, now, worse, rule=RULE, shares=FEW, model=None)
        assert not step.taken
        assert step.policy is now
        assert (step.share, step.bound, step.judged, step.uplift) == (0, 0, None, None)
        assert "none has an estimated uplift above +0" in step.verdict.reason


def test_sessions_that_chose_or_taught_must_not_judge() -> None:
    now, target = fixed(NOW), fixed(TARGET)
    log = served(now, 400, 5)
    with pytest.raises(
        LogError, match=r"400 of 400 sessions.*among those of the choice.*split_ses"
    ):
        furthest_step(log, log, now, target, rule=RULE, model=None)
    half, late = log.take(log.session < 250), log.take(log.session >= 200)
    with pytest.raises(LogError, match=r"50 of 200 sessions of the judge \(the first: 200\)"):
        furthest_step(half, late, now, target, rule=RULE, model=None)
    other = served(now, 400, 6)  # numbers its sessions alike, and shares none
    assert furthest_step(log, other, now, target, rule=RULE, model=None).taken
    with pytest.raises(LogError, match="among those of the learner"):
        furthest_step(log, other, now, target, rule=RULE, model=None, learn_log=other)


def test_where_no_share_holds_the_floors_it_says_which() -> None:
    step = stepped(1, rule=GateRule(min_ess=499.9))
    assert not step.taken
    assert step.verdict.outcome is Outcome.UNDECIDED
    assert "no share of the way holds the floors: at the smallest, 0.1" in step.verdict.reason
    assert "effective sample" in step.verdict.reason
    now, target = fixed(NOW), fixed(TARGET)
    logs = served(now, 500, 1), served(now, 90, 2)
    step = furthest_step(*logs, now, target, rule=RULE, model=None)
    assert "is to be expected of the judge's 90 units" in step.verdict.reason


def test_a_judgement_that_does_not_pass_is_no_step() -> None:
    now, target = fixed(NOW), fixed(TARGET)
    choose, judge_log = served(now, 500, 1), served(now, 500, 2)
    rail = GuardrailSpec(name="item 3", values=(judge_log.slate == 3).any(1), at_most=0.01)
    step = furthest_step(
        choose, judge_log, now, target, rule=RULE, shares=FEW, model=None, guardrails=[rail]
    )
    assert not step.taken
    assert step.policy is now
    assert step.verdict.step == "guardrails"
    assert step.judged is not None
    assert step.bound == 0


def test_several_shares_are_judged_together() -> None:
    one, three = stepped(7, shares=SHARES), stepped(7, shares=SHARES, candidates=3)
    assert three.judged is not None
    assert one.judged is not None
    assert len(three.judged.candidates) == 3
    name = one.judged.candidates[0].name
    assert three.judged[name].uplift.low < one.judged[name].uplift.low
    assert three.bound == max(c.uplift.low for c in three.judged.candidates)


def test_a_clone_of_what_served_is_said_to_be_one() -> None:
    now, clone, target = fixed(NOW), fixed([0.0, 0.1, 0.0, 0.0]), fixed(TARGET)
    logs = served(now, 500, 1), served(now, 500, 2)
    step = furthest_step(*logs, clone, target, rule=RULE, shares=FEW, model=None)
    assert "`now` did not serve this log" in step.notes[0]
    straight = between(clone, target, step.share)
    realised = truth(straight) - truth(now)
    assert step.bound < realised < step.bound + 1


def test_steps_compose_and_a_whole_way_is_a_copy() -> None:
    now: Any = fixed(NOW)
    target = fixed(TARGET)
    for nth in range(3):
        logs = served(now, 500, 60 + nth), served(now, 500, 70 + nth)
        step = furthest_step(*logs, now, target, rule=RULE, shares=(0.3,), model=None)
        assert step.taken
        now = step.policy
    assert isinstance(now, Path)
    assert now.weights == pytest.approx((0.7**3, 1 - 0.7**3))
    logs = served(now, 500, 80), served(now, 500, 81)
    last = furthest_step(*logs, now, target, rule=RULE, shares=(1.0,), model=None)
    assert last.share == 1
    before = truth(last.policy)
    target.score_model.update(None)  # type: ignore[arg-type]
    assert truth(last.policy) == before


def test_shares_are_numbers_above_0() -> None:
    with pytest.raises(ValueError, match="shares is 2; a share lies in"):
        stepped(1, shares=(2,))
    with pytest.raises(ValueError, match="shares holds no number above 0"):
        stepped(1, shares=(0,))


def test_a_split_keeps_users_whole_and_stays_as_the_log_grows() -> None:
    user = np.repeat(np.arange(300) % 90, 2)
    log = served(fixed(NOW), 300, 1, user=user)
    parts = split_sessions(log, (0.5, 0.2, 0.3), seed=4)
    assert sum(len(p) for p in parts) == len(log)
    users = [set(p.user.tolist()) for p in parts if p.user is not None]
    assert users[0] | users[1] | users[2] == set(range(90))
    assert not users[0] & users[1] and not users[0] & users[2] and not users[1] & users[2]  # noqa: PT018
    assert [len(u) / 90 for u in users] == pytest.approx([0.5, 0.2, 0.3], abs=0.12)
    early = split_sessions(log.take(log.session < 200), (0.5, 0.2, 0.3), seed=4)
    for whole, part in zip(parts, early, strict=True):
        assert set(part.session.tolist()) == {s for s in whole.session.tolist() if s < 200}
    assert any(
        set(a.session.tolist()) != set(b.session.tolist())
        for a, b in zip(parts, split_sessions(log, (0.5, 0.2, 0.3), seed=5), strict=True)
    )
    with pytest.raises(LogError, match="numbers above 0 that sum to 1"):
        split_sessions(log, (0.5, 0.6))
    with pytest.raises(LogError, match=r"part 1 of 2.* got none of the log's 2 independent units"):
        split_sessions(served(fixed(NOW), 2, 1), (0.999, 0.001))
