"""The controller over a registry: it begins, says who runs, and ends what cannot go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from serving import JoinRule, MemoryLog, Registry
from serving.contracts.fields import ContractError
from serving.rollout import controller
from serving.rollout.controller import Controller, order, start
from serving.rollout.journal import STATE, STEPS, Journal
from serving.rollout.lease import ControllerRunsError
from serving.rollout.rule import RolloutRule
from tests.serving.registry.factories import make_registry
from tests.serving.rollout.kills import forward
from tests.serving.rollout.traffic import decision

RULE = RolloutRule(stages=(0.05, 1.0), shadow_decisions=0, least_seconds=0.0)
JOIN = JoinRule(window=60.0, windows={"bought": 120.0}, reward={"liked": 1.0})


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    registry, (a, _) = make_registry(tmp_path)
    registry.promote(a, by="ann")
    return registry


def other(registry: Registry) -> str:
    live = registry.pointer().live
    return next(one.version for one in registry.versions() if one.version != live)


def test_it_begins_with_all_that_it_needs_to_go_on(registry: Registry) -> None:
    log = MemoryLog()
    log.append(decision(0, "ann", 1.0).to_json())
    step = start(registry, log, other(registry)[:6], RULE, JOIN, by="ann", why="it learned more")
    pointer, record = registry.pointer(), Journal(registry.folder).load()
    assert record is not None
    assert (pointer.canary, pointer.weight) == (other(registry), 0.05)
    assert (pointer.rollout, pointer.salt) == (record.rollout, record.salt)
    assert (record.rule, record.join, record.read) == (RULE, JOIN, {"memory": 0})
    assert (record.state, record.steps, record.intent) == (step.state, 1, None)
    change = pointer.change
    assert change is not None
    assert change.by == "ann"
    with pytest.raises(ValueError, match="goes on"):
        start(registry, log, other(registry), RULE, JOIN)


def test_what_cannot_be_rolled_out_is_refused_before_anything_is_written(
    registry: Registry,
) -> None:
    live = registry.pointer().live
    assert live is not None
    with pytest.raises(ValueError, match="is live"):
        start(registry, MemoryLog(), live, RULE, JOIN)
    with pytest.raises(ValueError, match="is not there"):
        start(registry, MemoryLog(), "zz", RULE, JOIN)
    assert Journal(registry.folder).load() is None
    with pytest.raises(ContractError, match="none began"):
        order(registry, "hold")
    with Controller(registry, MemoryLog()) as one:
        assert one.look() is None


def test_the_second_controller_says_who_the_first_one_is(registry: Registry) -> None:
    start(registry, MemoryLog(), other(registry), RULE, JOIN)
    first, second = (Controller(registry, MemoryLog(), by=by) for by in ("one", "two"))
    with first:
        assert first.look() is not None
        with pytest.raises(ControllerRunsError, match=r"process \d+ on .*, by one, since 20"):
            second.look()
    assert second.look() is not None
    second.close()


def test_a_version_that_is_damaged_before_its_first_step_ends_the_rollout(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("serving.rollout.carrying._move", killed)
        with pytest.raises(KeyboardInterrupt):
            start(registry, MemoryLog(), other(registry), RULE, JOIN)
    (registry.folder / "versions" / other(registry) / "golden.safetensors").write_bytes(b"")
    with Controller(registry, MemoryLog()) as one:
        step = one.look()
        assert step is not None
        assert step.reason.startswith("did not begin: ")
        assert one.look() is None
    assert registry.pointer().canary is None


def test_a_change_that_does_not_touch_the_rollout_does_not_end_it(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    start(registry, MemoryLog(), other(registry), RULE, JOIN)
    live = registry.pointer().live
    assert live is not None
    registry.promote(live, fallback=("item-1", "item-2", "item-3", "item-4"), by="ann")
    monkeypatch.setattr(controller, "step", forward)
    with Controller(registry, MemoryLog()) as one:
        step = one.look()
        assert step is not None
        assert step.state.phase == "done"
    assert registry.pointer().live != live


def test_files_that_are_damaged_are_named(registry: Registry) -> None:
    start(registry, MemoryLog(), other(registry), RULE, JOIN)
    steps = registry.folder / STEPS
    whole = steps.read_bytes()
    steps.write_bytes(whole + b'{"half')
    assert len(Journal(registry.folder).made()) == 1
    steps.write_bytes(whole + b"{}\n")
    with pytest.raises(ContractError, match=r"rollout\.jsonl is damaged in its last line"):
        Journal(registry.folder).load()
    with pytest.raises(ContractError, match="at line 2"):
        Journal(registry.folder).made()
    (registry.folder / STATE).write_bytes(b"{}")
    with pytest.raises(ContractError, match=r"rollback stops a canary"):
        Journal(registry.folder).load()
    assert registry.rollback().canary is None
