"""What is not known, comes from the future or from elsewhere, or was changed by hand: it is never
good news, and what must stop a canary still does."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from serving import JoinRule, MemoryLog, Registry
from serving.contracts.decisions import Decision
from serving.contracts.fields import ContractError
from serving.contracts.outcomes import OutcomeEvent
from serving.rollout.controller import Controller, order, start
from serving.rollout.journal import STATE, STEPS, Journal
from serving.rollout.reading import LiveReader, Told
from serving.rollout.rule import RolloutRule
from serving.rollout.state import RolloutState
from serving.rollout.step import step
from serving.rollout.window import ArmSeen, Window
from tests.serving.registry.factories import make_registry
from tests.serving.rollout.kills import forward
from tests.serving.rollout.looks import DAY, WELL, at, window
from tests.serving.rollout.looks import RULE as STEPPED
from tests.serving.rollout.traffic import ROLLOUT, decision, logged, outcome

RULE = RolloutRule(stages=(0.5, 1.0), shadow_decisions=0, least_seconds=0.0, last_seconds=0.0)
JOIN = JoinRule(window=60.0, reward={"liked": 1.0})
STATE_OF_IT = RolloutState(
    rollout=ROLLOUT, version="new", phase="canary", stage=0, weight=0.5, since=900.0
)


def reader(events: list[Decision | OutcomeEvent]) -> LiveReader:
    return LiveReader(logged(events), Told(ROLLOUT, "new"), RULE, JOIN)


def seen(events: list[Decision | OutcomeEvent], now: float = 2_000.0) -> Window:
    return reader(events).window(now, weight=0.5, since=900.0)


def test_shares_of_no_decision_are_no_good_news() -> None:
    state, well = at(1), window(0.05)
    assert step(state, well, STEPPED).state.weight == 0.25
    none = replace(well, hard=replace(WELL, decisions=0, errors=0, slow=0))
    assert step(state, none, STEPPED).state.weight == 0.05
    assert "of late unknown" in step(state, none, STEPPED).reason


def test_a_clock_that_went_back_hides_no_stop_and_moves_nothing_forward() -> None:
    state = at(1, looked=3 * DAY)
    broken = window(0.05, hard=replace(WELL, violations=1))
    assert step(state, broken, STEPPED).state.phase == "rolled_back"
    assert step(state, window(0.05, value=-0.2), STEPPED).state.phase == "rolled_back"
    well = step(state, window(0.05), STEPPED)
    assert (well.state, well.actions) == (state, ())
    assert "the clock went back by 86400 s" in well.reason


def test_a_decision_from_the_future_does_not_hide_a_silent_log() -> None:
    ahead = [decision(n, f"u{n}", 900_000.0, canary=n == 0) for n in range(2)]
    one = reader([*ahead])
    one.window(2_000.0, weight=0.5, since=900.0)
    later = one.window(52_000.0, weight=0.5, since=900.0)
    assert (later.canary.silent_seconds, later.control.silent_seconds) == (50_000.0, 50_000.0)
    assert step(STATE_OF_IT, later, RULE).state.phase == "rolled_back"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("value", [-1e300, -1.7e308])
def test_rewards_that_no_sum_can_hold_are_counted_as_huge_ones(value: float) -> None:
    events: list[Decision | OutcomeEvent] = []
    for n in range(300):
        one = decision(n, f"u{n}", 1_000.0 + n, canary=n % 2 == 0)
        gets = value if n % 2 == 0 else 1.0
        events += [one, *(outcome(one, 5.0, value=gets, nth=k) for k in range(2))]
    looked = seen(events)
    assert looked.stage["reward"].high is not None
    assert step(STATE_OF_IT, looked, RULE).state.phase == "rolled_back"


@pytest.mark.parametrize("share", ["abc", "nan", "inf", "-1", "7", ""])
def test_a_decision_of_no_share_of_users_is_of_no_stage(share: str) -> None:
    events = [decision(0, "u", 1_000.0, rollout=f"{ROLLOUT}@{share}", canary=True)]
    assert seen([*events]).canary == ArmSeen(users=0, decisions=0, silent_seconds=1_100.0)


def test_slates_under_rules_that_are_not_known_may_have_broken_them() -> None:
    def violations(**changed: Any) -> int | None:
        events = [decision(n, f"u{n}", 1_900.0, canary=True, **changed) for n in range(3)]
        return seen([*events]).hard.violations

    assert violations() == 0
    assert violations(rules="others") is None
    assert violations(rules="others", slate=(1, 1)) == 3


def test_what_went_wrong_between_two_looks_is_seen() -> None:
    """Looks may be further apart than the minutes that hard stops count."""
    log = MemoryLog()
    one = LiveReader(log, Told(ROLLOUT, "new"), RULE, JOIN)
    one.window(1_000.0, weight=0.5, since=900.0)
    for n in range(50):
        log.append(
            decision(n, f"u{n}", 1_100.0 + n, canary=True, fallback="ValueError: no").to_json()
        )
    assert one.window(9_000.0, weight=0.5, since=900.0).hard.errors == 50
    assert one.window(9_600.0, weight=0.5, since=900.0).hard.errors == 0


@pytest.mark.parametrize(
    ("changed", "field"),
    [({"stage": 4}, "stage"), ({"weight": 0.3}, "weight"), ({"phase": "shadow"}, "phase")],
)
def test_a_state_that_is_none_of_the_rule_is_refused(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(ContractError) as raised:
        step(replace(at(1), **changed), window(0.05), STEPPED)
    assert raised.value.field == field


def test_counts_below_0_are_refused() -> None:
    for make in (
        lambda: ArmSeen(users=-1),
        lambda: ArmSeen(silent_seconds=-1.0),
        lambda: replace(WELL, errors=-1),
        lambda: replace(at(1), stage=-2),
        lambda: RolloutRule(violations=-1),
    ):
        with pytest.raises(ContractError):
            make()


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry, (a, _) = make_registry(tmp_path)
    registry.promote(a, by="ann")
    return registry


def other(registry: Registry) -> str:
    return next(
        one.version for one in registry.versions() if one.version != registry.pointer().live
    )


def test_the_id_of_an_earlier_rollout_is_refused(registry: Registry) -> None:
    start(registry, MemoryLog(), other(registry), RULE, JOIN, drawn=("1", "salt"))
    order(registry, "stop")
    with pytest.raises(ValueError, match="was a rollout"):
        start(registry, MemoryLog(), other(registry), RULE, JOIN, drawn=("1", "salt"))
    assert registry.pointer().canary is None


def test_a_journal_from_elsewhere_moves_no_pointer(registry: Registry) -> None:
    """Also where the pointer has by chance the revision that the journal names."""
    start(registry, MemoryLog(), other(registry), RULE, JOIN)
    foreign = json.loads((registry.folder / STATE).read_bytes())
    order(registry, "stop")
    before = registry.pointer()
    (registry.folder / STATE).write_text(json.dumps(foreign | {"revision": before.revision}))
    (registry.folder / STEPS).unlink()
    with Controller(registry, MemoryLog()) as one:
        did = one.look()
    assert did is not None
    assert did.reason.startswith("superseded")
    assert registry.pointer() == before


def test_a_journal_with_a_stage_that_is_not_there_says_so(registry: Registry) -> None:
    start(registry, MemoryLog(), other(registry), RULE, JOIN)
    known = json.loads((registry.folder / STATE).read_bytes())
    known["state"]["stage"] = 7
    (registry.folder / STATE).write_text(json.dumps(known))
    (registry.folder / STEPS).unlink()
    with pytest.raises(ContractError, match=r"rollout\.json is damaged: state: stage is 7"):
        Journal(registry.folder).load()


def test_a_version_that_is_damaged_during_its_rollout_is_still_watched(
    registry: Registry,
) -> None:
    """A server has it in memory, and serves it."""
    version = other(registry)
    start(registry, MemoryLog(), version, RULE, JOIN, clock=lambda: 1_000.0)
    for file in (registry.folder / "versions" / version / "policy").iterdir():
        file.write_bytes(b"damaged")
    with Controller(registry, MemoryLog(), clock=lambda: 1_000_000.0) as one:
        did = one.look()
    assert did is not None
    assert did.state.phase == "rolled_back"
    assert registry.pointer().canary is None


def test_a_version_that_is_damaged_before_a_step_forward_is_held_and_still_watched(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    version, time = other(registry), 1_000.0
    start(registry, MemoryLog(), version, RULE, JOIN, clock=lambda: time)
    folder = registry.folder / "versions" / version / "policy"
    kept = {file: file.read_bytes() for file in folder.iterdir()}
    for file in kept:
        file.write_bytes(b"damaged")
    monkeypatch.setattr("serving.rollout.controller.step", forward)
    with Controller(registry, MemoryLog(), rules=(), clock=lambda: time) as one:
        time += 60
        did = one.look()
        assert did is not None
        assert did.state.phase == "held"
        assert (did.state.stage, did.state.weight) == (0, 0.5)
        assert "instead of" in did.reason
        assert [action.kind for action in did.actions] == ["alert"]
        assert registry.pointer().live != version
        for file, content in kept.items():
            file.write_bytes(content)
        order(registry, "resume", clock=lambda: time)
        time += 60
        did = one.look()
        assert did is not None
        assert did.state.phase == "done"
    assert registry.pointer().live == version
