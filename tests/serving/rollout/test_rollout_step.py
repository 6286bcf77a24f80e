"""What follows from a look: each stop, each stay and each step forward, with numbers by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from serving.rollout.actions import Step
from serving.rollout.beginning import begin, hold, resume
from serving.rollout.hard import lower_share, silences
from serving.rollout.step import step
from serving.rollout.window import ArmSeen, Shares, Window
from tests.serving.rollout.looks import DAY, RULE, WELL, at, difference, window


def kinds(s: Step) -> list[str]:
    return [a.kind for a in s.actions]


def test_it_passes_the_shadow_climbs_the_stages_and_is_promoted() -> None:
    state, time = begin(RULE, rollout="r", version="v2", time=0.0).state, 0.0
    weights = []
    while not state.final:
        time += 2 * DAY
        did = step(state, window(state.weight, time=time), RULE)
        state = did.state
        weights.append(state.weight)
    assert weights == [0.01, 0.05, 0.25, 0.5, 1.0]
    assert state.phase == "done"
    assert kinds(did) == ["promote"]


def test_a_loss_is_allowed_by_what_all_users_together_lose() -> None:
    """At most 2 margins of 3 % before the last step: to 25 % by a lower bound of -24 %, to 50 %
    by -12 %; at the last step -3 %."""
    for stage, limit in ((1, 0.24), (2, 0.12), (3, 0.03)):
        for low, goes in ((limit - 0.001, True), (limit + 0.001, False)):
            recent = {n: difference(0.0, 0.01, "recent", n) for n in RULE.metrics}
            seen = window(RULE.stages[stage], value=0.0, half=low, recent=recent)
            bounces = {"bounces": difference(0.0, 0.01, "rollout", "bounces")}
            seen = replace(seen, rollout={**seen.rollout, **bounces})
            assert (step(at(stage), seen, RULE).state.stage == stage + 1) is goes, (stage, low)


def test_the_recent_part_by_itself_holds_it_back() -> None:
    """Better on the whole, but lately 10 % worse."""
    recent = {n: difference(-0.1, 0.05, "recent", n) for n in ("reward",)}
    seen = window(0.5, value=0.04)
    did = step(at(3), replace(seen, recent={**seen.recent, **recent}), RULE)
    assert did.state.weight == 0.5
    assert "recent part" in did.reason
    assert step(at(3), seen, RULE).state.phase == "done"


def test_a_canary_that_falls_waits() -> None:
    """All: +4 % with se 1 %; recent part with se 2 %: the two differ by sqrt(4 - 1) = 1.73 %, and
    1.645 of that is 2.85 %."""
    for recent, goes in ((0.0120, True), (0.0110, False)):
        late = {n: difference(0.0, 0.02 * 3.3, "recent", n) for n in RULE.metrics}
        late["reward"] = difference(recent, 0.02 * 3.3, "recent")
        late = {n: replace(s, se=2 * 0.02) for n, s in late.items()}
        good = {n: difference(0.04, 0.033, "rollout", n) for n in RULE.metrics}
        rise = {"bounces": difference(0.0, 0.02, "rollout", "bounces")}
        seen = window(0.5, rollout={**good, **rise}, recent=late)
        assert (step(at(3), seen, RULE).state.phase == "done") is goes, step(at(3), seen, RULE)


@pytest.mark.parametrize("scope", ["rollout", "stage"])
def test_an_upper_bound_below_the_margin_rolls_back_from_either_scope(scope: str) -> None:
    seen = window(0.25)
    for value, back in ((-0.0601, True), (-0.0599, False)):  # half a width of 3 %
        changed = {**getattr(seen, scope), "reward": difference(value, 0.03, scope)}
        did = step(at(2), replace(seen, **{scope: changed}), RULE)
        assert (did.state.phase == "rolled_back") is back
        assert ("rollback" in kinds(did)) is back


def test_a_guardrail_of_which_less_is_better_rolls_back_when_it_rises() -> None:
    seen = window(0.25)
    risen = {**seen.rollout, "bounces": difference(0.16, 0.05, "rollout", "bounces")}
    assert step(at(2), replace(seen, rollout=risen), RULE).state.phase == "rolled_back"
    fallen = {**seen.rollout, "bounces": difference(-0.16, 0.05, "rollout", "bounces")}
    assert step(at(2), replace(seen, rollout=fallen), RULE).state.phase == "canary"


def test_a_goal_of_superiority_asks_for_a_gain_at_the_last_step_alone() -> None:
    rule = replace(RULE, goal="superior")
    assert step(at(2), window(0.25, value=0.01), rule).state.stage == 3
    assert step(at(3), window(0.5, value=0.01), rule).state.phase == "canary"
    assert step(at(3), window(0.5, value=0.03), rule).state.phase == "done"
    assert step(at(3), window(0.5, value=-0.03, half=0.02), rule).state.phase == "rolled_back"


@pytest.mark.parametrize(
    ("hard", "said"),
    [
        ({"violations": 1}, "1 broken constraints"),
        ({"errors": 200}, "failed"),
        ({"slow": 200}, "took longer"),
        ({"fallbacks": 600}, "fallback"),
        ({"mean_weight_low": 1.01, "mean_weight_high": 1.2}, "mean weight"),
        ({"mean_weight_low": 0.8, "mean_weight_high": 0.99}, "mean weight"),
    ],
)
@pytest.mark.parametrize("phase", ["canary", "held", "paused", "shadow"])
def test_hard_stops_act_in_every_phase(phase: str, hard: dict[str, Any], said: str) -> None:
    bad = replace(WELL, **hard)
    state = at(-1, weight=0.0, phase=phase) if phase == "shadow" else at(2, phase=phase)
    did = step(state, window(state.weight, hard=bad, shadow=bad), RULE)
    assert did.state.phase == "rolled_back"
    assert did.state.weight == 0.0
    assert said in did.reason


def test_one_slow_request_or_one_error_stops_nothing() -> None:
    """1 of 1 has the exact lower bound .000001: the share of which one event has that chance."""
    assert lower_share(1, 1) == pytest.approx(1e-6)
    few = replace(WELL, decisions=3, slow=1, errors=1)
    assert step(at(2), window(0.25, hard=few), RULE).state.phase == "canary"


def test_wrong_arms_stop_it() -> None:
    assert step(at(2), window(0.25, sample_ratio_p=0.0009), RULE).state.phase == "rolled_back"
    assert step(at(2), window(0.25, multiple_exposure=0.2), RULE).state.phase == "rolled_back"
    assert step(at(2), window(0.25, multiple_exposure=0.002), RULE).state.phase == "canary"


def test_a_silent_log_pauses_goes_on_by_itself_and_rolls_back_in_the_end() -> None:
    def silent(seconds: float, time: float) -> Window:
        return window(0.5, time=time, canary=ArmSeen(users=500, silent_seconds=seconds))

    paused = step(at(3), silent(1_900.0, 2 * DAY), RULE)  # 950 s for one half of the users
    assert paused.state.phase == "paused"
    assert kinds(paused) == ["alert"]
    again = step(paused.state, silent(2_000.0, 2 * DAY + 100), RULE)
    assert kinds(again) == []
    assert step(again.state, silent(1.0, 2 * DAY + 200), RULE).state.phase == "done"
    lost = step(again.state, silent(14_500.0, 3 * DAY), RULE)
    assert lost.state.phase == "rolled_back"
    rare = window(0.01, canary=ArmSeen(users=500, silent_seconds=1_900.0))
    assert step(at(0), rare, RULE).state.phase == "canary"  # 19 s for one hundredth
    assert silences(rare)[0] == pytest.approx(19.0)
    assert silences(window(0.01, canary=ArmSeen(users=500)))[0] is None


def test_what_is_unknown_never_moves_it_forward() -> None:
    seen = window(0.25)
    assert step(at(2), seen, RULE).state.stage == 3
    for changed in (
        {"rollout": {}},
        {"recent": {}},
        {"recent_from": None},
        {"hard": Shares()},
        {"sample_ratio_p": None},
        {"multiple_exposure": None},
        {"canary": ArmSeen()},
    ):
        did = step(at(2), replace(seen, **changed), RULE)
        assert did.state.stage == 2, changed
        assert did.actions == ()
    unsure = {n: replace(s, level=0.9) for n, s in seen.rollout.items()}
    assert step(at(2), replace(seen, rollout=unsure), RULE).state.stage == 2


def test_the_least_exposure_is_asked_for() -> None:
    assert step(at(2), window(0.25, time=0.9 * DAY, recent_from=0.0), RULE).state.stage == 2
    assert step(at(3), window(0.5, time=1.9 * DAY), RULE).state.stage == 3  # the last: two days
    few = window(0.25, canary=ArmSeen(users=99, silent_seconds=1.0))
    assert step(at(2), few, RULE).state.stage == 2
    young = window(0.25, recent_from=2 * DAY - 100)
    assert step(at(2), young, RULE).state.stage == 2


def test_planned_exposure_spent_without_a_decision_asks_a_person() -> None:
    wide = window(0.5, half=0.2, time=15 * DAY)
    held = step(at(3), wide, RULE)
    assert held.state.phase == "held"
    assert "cannot tell" in held.reason
    assert kinds(held) == ["alert"]
    good = window(0.5, value=0.05, time=16 * DAY)
    assert step(held.state, good, RULE).state.phase == "held"
    resumed = resume(held.state, by="ada", why="wait").state
    assert step(resumed, replace(wide, time=16 * DAY), RULE).state.phase == "canary"
    assert step(resumed, replace(wide, time=28.9 * DAY), RULE).state.phase == "canary"
    assert step(resumed, replace(wide, time=29.1 * DAY), RULE).state.phase == "held"
    bad = window(0.5, value=-0.1, time=16 * DAY)
    assert step(held.state, bad, RULE).state.phase == "rolled_back"


def test_a_repeated_look_changes_nothing() -> None:
    seen = window(0.25)
    once = step(at(2), seen, RULE)
    assert step(at(2), seen, RULE) == once
    again = step(once.state, seen, RULE)
    assert again.state == once.state
    assert again.actions == ()


def test_a_wrong_share_of_users_is_set_right_before_anything_is_decided() -> None:
    did = step(at(2), window(0.05), RULE)
    assert [(a.kind, a.weight) for a in did.actions] == [("weigh", 0.25)]
    assert did.state.stage == 2


def test_a_pause_ends_in_what_it_interrupted() -> None:
    held = hold(at(3), by="ada", why="a holiday").state
    silent = window(0.5, canary=ArmSeen(users=500, silent_seconds=2_000.0))
    paused = step(held, silent, RULE).state
    assert paused.phase == "paused"
    after = step(paused, window(0.5, time=3 * DAY), RULE)
    assert after.state.phase == "held"
    assert "speaks again" in after.reason


def test_a_person_holds_it_however_good_it_is() -> None:
    held = hold(at(3), by="ada", why="a holiday").state
    assert step(held, window(0.5, value=0.1), RULE).state.phase == "held"
