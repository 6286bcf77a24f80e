"""Faults of callers and of canaries at one seed: which signal sees each, and what the log says."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.faults.catalogue_callers import CALLERS
from experiments.faults.catalogue_releases import RELEASES
from experiments.faults.clean import clean_days
from experiments.faults.day import play
from experiments.faults.judging import judge
from experiments.faults.releases import play_release
from experiments.faults.service.fault import Fault, nothing
from experiments.faults.service.parts import Parts
from experiments.faults.service.readings import joined
from offpolicy import LoggedDataset

SEED = 3
BY_NAME = {fault.name: fault for fault in CALLERS}


@pytest.mark.parametrize("name", ["f6-new-users", "f7-bots", "outcomes-twice", "outcomes-late"])
def test_a_fault_of_callers_is_seen(name: str) -> None:
    fault = BY_NAME[name]
    run = play(fault, SEED, judge=judge)
    assert fault.detection(run["fired"]) is not None
    assert not set(run["before"]) & set(fault.seen_by)
    judged = run["judged"]
    assert judged["check"] == ("WARN" if name == "f7-bots" else "PASS")
    assert judged["gate"] != "fail"  # the target is better, and no fault makes it look worse


def hashed(parts: Parts, reference: LoggedDataset | None) -> dict[str, Any]:
    """The log, and what the join counted."""
    both = joined(parts)[0]
    assert both.log is not None
    return {"log": both.log.hash(), "again": both.counts["duplicate_outcomes"]}


def test_outcomes_that_are_sent_again_change_no_row() -> None:
    clean = Fault(name="none", title="", stands_for="", inject=nothing, unseen="there is none")
    runs = [play(one, SEED, judge=hashed) for one in (clean, BY_NAME["outcomes-again"])]
    a, b = (run["judged"] for run in runs)
    assert a["log"] == b["log"]
    assert b["again"] > 10 * a["again"]
    assert not runs[1]["fired"]


def test_a_canary_that_misdraws_is_stopped_by_its_weights() -> None:
    [fault] = [one for one in RELEASES if one.name == "canary-propensities"]
    run = play_release(fault, SEED)
    assert fault.detection(run["fired"]) is not None
    assert run["steps"][-1]["phase"] == "rolled_back"
    assert "propensities are wrong" in run["steps"][-1]["reason"]


def test_a_clean_day_raises_nothing() -> None:
    [day] = clean_days(SEED, 1)
    assert day["fired"] == {}
    assert day["phase"] == "canary"
