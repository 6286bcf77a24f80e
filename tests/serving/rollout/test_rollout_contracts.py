"""Rule, state, window and step go through JSON unchanged, and refuse what they cannot mean."""

from __future__ import annotations

import pytest

from serving.contracts.fields import ContractError
from serving.rollout.actions import WEIGH, Action, Step
from serving.rollout.beginning import begin, hold, resume, stop
from serving.rollout.rule import Guardrail, RolloutRule
from serving.rollout.state import RolloutState
from serving.rollout.window import ArmSeen, Seen, Shares, Window

RULE = RolloutRule(guardrails=(Guardrail(metric="sessions", margin=0.05, share=0.2),))


def test_everything_goes_through_json_unchanged() -> None:
    began = begin(RULE, rollout="r", version="v2", time=7.0)
    window = Window(
        time=9.5,
        weight=0.05,
        canary=ArmSeen(users=3, decisions=4, silent_seconds=0.25),
        rollout={"reward": Seen(value=0.1, low=-0.2, level=0.95, users=7)},
        hard=Shares(decisions=10, errors=1, mean_weight_low=0.97),
    )
    assert RolloutRule.from_json(RULE.to_json()) == RULE
    assert RolloutState.from_json(began.state.to_json()) == began.state
    assert Window.from_json(window.to_json()) == window
    assert Step.from_json(began.to_json()) == began
    assert Action.from_json(b'{"kind": "weigh", "weight": 0.25}') == Action(kind=WEIGH, weight=0.25)


def test_a_broken_field_is_named_also_inside_another_message() -> None:
    with pytest.raises(ContractError, match=r"rollout\.reward: value is a string"):
        Window.from_json(b'{"time": 1, "weight": 0, "rollout": {"reward": {"value": "x"}}}')
    with pytest.raises(ContractError, match="stages"):
        RolloutRule(stages=(0.5, 0.2, 1.0))
    with pytest.raises(ContractError, match="stages"):
        RolloutRule(stages=(0.1, 0.5))
    with pytest.raises(ContractError, match="guardrails"):
        RolloutRule(guardrails=(Guardrail(metric="reward", margin=0.1, share=0.1),))
    with pytest.raises(ContractError, match="goal"):
        RolloutRule(goal="best")
    with pytest.raises(ContractError, match="least_users"):
        RolloutRule(least_users=10, most_users=5)


def test_misses_of_all_metrics_and_scopes_sum_to_what_the_rule_allows() -> None:
    """A two-sided sequence misses on one side with half of 1 - level."""
    stages = len(RULE.stages) - 1
    spent = sum(
        (1 - RULE.level_of(m, "rollout")) / 2 + stages * (1 - RULE.level_of(m, "stage")) / 2
        for m in RULE.metrics
    )
    assert spent == pytest.approx(1 - RULE.level)


def test_a_person_holds_resumes_and_stops_until_it_has_ended() -> None:
    state = begin(RULE, rollout="r", version="v2", time=0.0).state
    held = hold(state, by="ada", why="a holiday").state
    assert held.phase == "held"
    assert "ada" in held.reason
    assert resume(held, by="ada", why="back").state.phase == "shadow"
    ended = stop(held, by="ada", why="a complaint")
    assert ended.state.phase == "rolled_back"
    assert ended.actions[0].kind == "rollback"
    for say in (hold, resume, stop):
        with pytest.raises(ContractError):
            say(ended.state, by="ada", why="again")
