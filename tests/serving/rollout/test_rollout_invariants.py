"""Whatever is seen in whatever order: what a rollout never does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from serving.rollout.beginning import begin
from serving.rollout.rule import Guardrail, RolloutRule
from serving.rollout.soft import relative, wanted
from serving.rollout.state import RolloutState
from serving.rollout.step import step
from serving.rollout.window import ArmSeen, Seen, Shares, Window

RULE = RolloutRule(
    shadow_decisions=10,
    least_users=5,
    most_users=50_000,
    least_seconds=10.0,
    last_seconds=20.0,
    recent_seconds=10.0,
    most_seconds=1_000.0,
    guardrails=(Guardrail(metric="sessions", margin=0.2, share=0.2),),
)


def maybe(values: Any) -> Any:
    """Mostly there."""
    return st.one_of(values, values, values, values, st.none())


shares = st.builds(
    Shares,
    decisions=maybe(st.integers(0, 2_000)),
    errors=maybe(st.integers(0, 3)),
    fallbacks=maybe(st.just(0)),
    slow=maybe(st.integers(0, 5)),
    violations=maybe(st.sampled_from([0, 0, 0, 0, 1])),
    mean_weight_low=maybe(st.floats(0.9, 1.001)),
    mean_weight_high=maybe(st.floats(0.999, 1.1)),
)
arms = st.builds(
    ArmSeen, users=maybe(st.integers(0, 20_000)), silent_seconds=maybe(st.floats(0, 4_000))
)
level = RULE.level_of("sessions", "stage")


def differences() -> Any:
    one = st.builds(
        lambda value, half, known: Seen(
            value=value, low=value - half if known else None, high=value + half, se=half / 3,
            control=1.0, users=100, level=level,
        ),
        st.floats(-0.1, 0.2), st.floats(0, 0.1), st.sampled_from([True, True, True, False]),
    )  # fmt: skip
    return st.dictionaries(st.sampled_from(RULE.metrics), one, max_size=2)


looks = st.fixed_dictionaries(
    {
        "after": st.sampled_from([0.0, 15.0, 30.0, 200.0]),
        "canary": arms,
        "control": arms,
        "rollout": differences(),
        "stage": differences(),
        "recent": differences(),
        "recent_for": maybe(st.sampled_from([5.0, 12.0])),
        "hard": shares,
        "shadow": shares,
        "sample_ratio_p": maybe(st.sampled_from([1.0, 1.0, 1.0, 1e-5])),
        "multiple_exposure": maybe(st.just(0.0)),
        "right_weight": st.sampled_from([True, True, True, False]),
    }
)


@settings(max_examples=100, deadline=None)
@given(st.lists(looks, min_size=1, max_size=15))
def test_whatever_is_seen(seen: list[dict[str, Any]]) -> None:
    state, time = begin(RULE, rollout="r", version="v", time=0.0).state, 0.0
    for look in seen:
        time += look.pop("after")
        recent_for, right = look.pop("recent_for"), look.pop("right_weight")
        w = Window(
            time=time,
            weight=state.weight if right else 0.05,
            recent_from=None if recent_for is None else time - recent_for,
            **look,
        )
        did = step(state, Window.from_json(w.to_json()), RULE)
        after = did.state
        assert RolloutState.from_json(after.to_json()) == after
        assert step(state, w, RULE) == did
        assert step(after, w, RULE).state == after
        assert step(after, w, RULE).actions == ()
        _moves_along_the_stages(state, after)
        if after.weight > state.weight:
            assert _known(w, state)
        if state.final:
            assert after == state
        for action in did.actions:
            if action.kind == "weigh":
                assert action.weight == after.weight
        state = after


def _moves_along_the_stages(before: RolloutState, after: RolloutState) -> None:
    if after.phase == "rolled_back":
        assert after.weight == 0
    elif after.stage != before.stage:
        assert after.stage == before.stage + 1
        assert after.weight == RULE.stages[after.stage]
        assert (after.phase == "done") is (after.weight == 1)
    else:
        assert after.weight == before.weight


def _known(w: Window, state: RolloutState) -> bool:
    """Whether everything was there that a step forward stands on."""
    if state.stage < 0:
        s = w.shadow
        return None not in (s.decisions, s.errors, s.slow, s.mean_weight_low, s.mean_weight_high)
    everything = [
        w.sample_ratio_p, w.multiple_exposure, w.recent_from, w.canary.users, w.control.users,
        w.hard.decisions, w.hard.errors, w.hard.violations, w.hard.mean_weight_low,
        *(relative(w, RULE, m, "rollout") for m in wanted(RULE)),
        *(relative(w, RULE, m, "recent") for m in wanted(RULE)),
    ]  # fmt: skip
    return None not in everything


def test_windows_without_numbers_hold_a_rollout_and_never_move_it() -> None:
    state = begin(replace(RULE, shadow_decisions=0), rollout="r", version="v", time=0.0).state
    for time in range(1, 60):
        state = step(state, Window(time=20.0 * time, weight=0.01), RULE).state
        assert state.weight == 0.01
    assert state.phase == "held"
