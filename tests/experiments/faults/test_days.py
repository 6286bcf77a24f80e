"""A day with a fault: which signal sees it, and what the controller does; and a clean day."""

from __future__ import annotations

import pytest

from experiments.faults.catalogue import FAULTS
from experiments.faults.catalogue_engine import ENGINE
from experiments.faults.catalogue_log import LOG
from experiments.faults.catalogue_state import STATE
from experiments.faults.day import play
from experiments.faults.service.fault import Fault, nothing
from experiments.faults.service.parts import Parts
from experiments.faults.service.readings import joined
from serving.signals.rules import BURNS, alert_rules

SEED = 901
BY_NAME = {fault.name: fault for fault in (*ENGINE, *STATE, *LOG)}
CLEAN = Fault(name="clean", title="nothing", stands_for="a clean day", inject=nothing)


def test_a_clean_day_raises_no_alarm_and_is_the_same_when_it_is_played_again() -> None:
    day = play(CLEAN, SEED)
    assert day["fired"] == {}
    assert [step["phase"] for step in day["steps"]] == ["canary"]
    assert play(CLEAN, SEED) == day


@pytest.mark.parametrize(
    ("name", "signals", "phase"),
    [
        ("slow-engine", "LongplayWithin50ms LongplayFallback", "rolled_back"),
        ("cpu-hog", "LongplayWithin50ms", "canary"),
        ("memory-leak", "LongplayRestarts", "canary"),
        ("rule-vanishes", "LongplayViolations", "rolled_back"),
        ("nan-scores", "LongplayFallback", "rolled_back"),
        ("store-lags", "LongplayHistoryMismatch LongplayHistoryAgeP50", "canary"),
        ("store-fails", "LongplayFallback LongplayLogged", "rolled_back"),
        ("half-written", "LongplayUnfollowed", "rolled_back"),
        ("clock-back", "", "canary"),
        ("log-drops", "LongplayLogIncomplete", "canary"),
        ("log-stalls", "LongplayWithin50ms LongplayFallback", "rolled_back"),
        ("log-dies", "LongplayLogged LongplayFallback LongplayLogSilence", "rolled_back"),
        ("log-fills", "LongplayLogged", "rolled_back"),
    ],
)
def test_which_signals_see_a_fault_and_what_becomes_of_the_rollout(
    name: str, signals: str, phase: str
) -> None:
    day = play(BY_NAME[name], SEED)
    n = BY_NAME[name].detection(day["fired"])
    assert n is not None
    assert n <= (300 if name == "nan-scores" else 250), (
        "a quarter of the decisions are the canary's"
    )
    assert set(signals.split()) <= day["fired"].keys()
    assert day["steps"][-1]["phase"] == phase
    assert not [key for key in day["before"] if key.startswith("Longplay")]


def test_a_server_that_is_killed_in_a_write_goes_on_and_loses_nothing() -> None:
    day = play(BY_NAME["killed-in-a-write"], SEED, judge=lambda parts, _: counts_of(parts))
    assert day["fired"] == {}
    assert day["judged"]["missing_events"] == day["judged"]["unreadable_events"] == 0
    assert day["judged"]["starts"] == 2


def counts_of(parts: Parts) -> dict[str, int]:
    """Of the log's events, and how often the server began."""
    counts = joined(parts)[1]
    names = ("missing_events", "unreadable_events")
    return {name: counts[name] for name in names} | {"starts": len(parts.starts)}


def test_signals_that_ought_to_see_a_fault_have_names_of_the_table() -> None:
    burns = [burn.suffix for burn in BURNS]
    known = {rule.name for rule in alert_rules()}
    for fault in FAULTS:
        for key in fault.seen_by:
            if key.startswith("Longplay"):
                assert key in known or any(key + burn in known for burn in burns), key
