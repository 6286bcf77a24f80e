"""The table of faults, from runs worked by hand."""

from __future__ import annotations

from typing import Any

from experiments.faults.service.fault import Fault, nothing
from experiments.faults.table import clean_table, holds, row, seen_after

FAULT = Fault(
    name="dead-log",
    title="a dead log",
    stands_for="it is dead",
    inject=nothing,
    seen_by=("LongplayLogged", "engine: event log failed"),
)


def run(fired: dict[str, int], phase: str = "canary") -> dict[str, Any]:
    return {"fired": fired, "steps": [{"phase": phase}], "judged": {}}


def test_the_first_signal_that_ought_to_see_a_fault_counts_and_no_other() -> None:
    runs = [
        run({"LongplayLogged": 30, "engine: event log failed": 12, "LongplayFallback": 4}),
        run({"LongplayLogged": 50}, "rolled_back"),
        run({"LongplayFallback": 4, "rollout: paused": 80}, "rolled_back"),
    ]
    assert seen_after(FAULT, runs) == [12, 50]
    assert holds(FAULT, runs) is False
    assert row(FAULT, runs, 1.0)[2:6] == (
        "2 of 3 (too few)",
        "31, 48",
        "Logged 2; engine: event log failed 1; Fallback 2",
        "rolled back 2; canary 1 (paused 1)",
    )


def test_nineteen_of_twenty_are_enough_and_eighteen_are_not() -> None:
    seen, not_seen = run({"LongplayLogged": 1}), run({})
    assert holds(FAULT, [seen] * 19 + [not_seen]) is True
    assert holds(FAULT, [seen] * 18 + [not_seen] * 2) is False


def test_more_than_one_false_alarm_in_a_hundred_days_is_said() -> None:
    said = clean_table({"LongplayDrift": 2, "LongplayBots": 3}, 200)
    assert "| Drift | 2 of 200 | 1.0 | yes |" in " ".join(said.split())
    assert "| Bots | 3 of 200 | 1.5 | NO |" in " ".join(said.split())
    assert "No signal" in clean_table({}, 200)
