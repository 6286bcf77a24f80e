"""A run begins when it is due, one at a time, and one that was killed goes on first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from offpolicy.storage.claims import held
from serving.contracts.fields import ContractError
from serving.relearning.cut import Cut
from serving.relearning.recipe import Recipe
from serving.relearning.relearn import Challenge, relearn
from serving.relearning.running import CUTS, STATE, raise_alarm, read_state, run_when_due
from serving.relearning.triggers import RelearnRule, RelearnState
from tests.serving.relearning.factories import TERMS, registry_of, served


def test_runs_when_due_and_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)
    clock = [1_000.0]
    registry.clock = lambda: clock[0]
    rule = RelearnRule(sessions=log.n_sessions - 10, when_drift=True, apart=60.0)
    early = log.take(log.session < 300)

    def learn(cut: Cut, why: str) -> Challenge:
        return relearn(registry, log, Recipe(), cut=cut, terms=TERMS, trigger=why)

    def killed(cut: Cut, why: str) -> Any:
        raise KeyboardInterrupt

    first = run_when_due(registry, early, rule, learn)
    assert first.trigger is None
    assert "300 of 1,190 new sessions" in first.why
    with pytest.raises(KeyboardInterrupt):
        run_when_due(registry, log, rule, killed, name="monday")
    assert read_state(registry).running == "monday"
    again = run_when_due(registry, log, rule, learn)  # too soon for a new one: the old one goes on
    assert again.challenge is not None
    assert again.cut is not None
    assert again.cut.name == "monday"
    assert "interrupted" in again.why
    assert read_state(registry).running is None
    raise_alarm(registry, "reward fell")
    assert "60 s apart" in run_when_due(registry, log, rule, learn).why
    clock[0] += 61
    drift = run_when_due(registry, log, rule, learn, name="tuesday")
    assert drift.trigger is not None
    assert drift.trigger.kind == "drift"
    assert drift.challenge is not None
    assert drift.challenge.lineage.trigger == "drift: reward fell"
    assert read_state(registry).alarm is None
    assert registry.pointer().live == registry.history()[-1].after


def test_an_error_ends_the_run_and_two_do_not_run_at_once(tmp_path: Path) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)

    def fails(cut: Cut, why: str) -> Any:
        raise ValueError("no such setting")

    with pytest.raises(ValueError, match="no such setting"):
        run_when_due(registry, log, None, fails)
    assert read_state(registry).running is None
    with held(registry.folder / CUTS), pytest.raises(OSError, match="another run is learning"):
        run_when_due(registry, log, None, fails)
    assert np.isfinite(read_state(registry).began or np.nan)


def test_a_run_whose_cut_is_gone_holds_back_no_other(tmp_path: Path) -> None:
    policy, log = served()
    registry = registry_of(tmp_path, policy)
    (registry.folder / STATE).write_bytes(RelearnState(running="gone", began=0.0).to_json())

    def learn(cut: Cut, why: str) -> Any:
        return cut.name

    with pytest.raises(FileNotFoundError, match="no cut 'gone'"):
        run_when_due(registry, log, None, learn)
    again = run_when_due(registry, log, None, learn, name="next")
    assert again.cut is not None
    assert again.cut.name == "next"
    (registry.folder / STATE).write_text('{"sessions": "x"}')
    with pytest.raises(ContractError, match=r"relearning\.json is damaged: sessions"):
        run_when_due(registry, log, None, learn)
