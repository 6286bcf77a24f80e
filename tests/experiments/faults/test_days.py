"""A day with a fault: which signal sees it, and what the controller does; and a clean day."""

from __future__ import annotations

from experiments.faults.catalogue_log import LOG
from experiments.faults.day import play
from experiments.faults.service.fault import Fault, nothing
from serving.signals.rules import BURNS, alert_rules

SEED = 901
BY_NAME = {fault.name: fault for fault in LOG}
CLEAN = Fault(name="clean", title="nothing", stands_for="a clean day", inject=nothing)


def test_a_clean_day_raises_no_alarm_and_is_the_same_when_it_is_played_again() -> None:
    day = play(CLEAN, SEED)
    assert day["fired"] == {}
    assert [step["phase"] for step in day["steps"]] == ["canary"]
    assert play(CLEAN, SEED) == day


def test_a_dead_log_is_seen_at_once_and_the_canary_is_paused_and_taken_back() -> None:
    fault = BY_NAME["log-dies"]
    day = play(fault, SEED)
    n = fault.detection(day["fired"])
    assert n is not None
    assert n <= 150
    assert {"LongplayLogged", "LongplayFallback", "engine: event log failed"} <= day["fired"].keys()
    assert [step["phase"] for step in day["steps"]] == ["canary", "paused", "rolled_back"]


def test_what_is_lost_after_it_was_acknowledged_is_seen_by_the_numbers() -> None:
    day = play(BY_NAME["log-drops"], SEED)
    assert "LongplayLogIncomplete" in day["fired"]
    assert "LongplayLogged" not in day["fired"]


def test_signals_that_ought_to_see_a_fault_have_names_of_the_table() -> None:
    burns = [burn.suffix for burn in BURNS]
    known = {rule.name for rule in alert_rules()}
    for fault in LOG:
        for key in fault.seen_by:
            if key.startswith("Longplay"):
                assert key in known or any(key + burn in known for burn in burns), key
