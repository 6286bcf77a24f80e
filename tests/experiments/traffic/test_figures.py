"""Capacity, overload and recovery of records whose answers are known."""

from __future__ import annotations

import numpy as np

from experiments.traffic.benchmark.bench import Row
from experiments.traffic.benchmark.load import capacity, overload_rows, probe_phases, recovery
from experiments.traffic.record import Record
from experiments.traffic.schedule import Phase, due_times


def record_of(phases: list[Phase], fallback: np.ndarray, refused: np.ndarray) -> Record:
    """Every request at its time, answered after 10 ms by what the masks say."""
    record = Record("r", sum(phase.seconds for phase in phases))
    due = due_times(phases, "constant", np.random.default_rng(0))
    for n, at in enumerate(due.tolist()):
        row = record.decides.send(at, at, n)
        record.decides.answer(row, 429 if refused[n] else 200, at + 0.01)
        if fallback[n] and not refused[n]:
            record.fallback[row] = "deadline"
    return record


def test_capacity_is_the_last_rate_that_the_policy_answered() -> None:
    phases = [Phase(100, 1), Phase(200, 1), Phase(400, 1)]
    no = np.zeros(700, bool)
    late = np.arange(700) >= 300
    late &= np.arange(700) % 20 == 0  # a twentieth of the last phase
    assert capacity(record_of(phases, late, no), phases) == 200
    assert capacity(record_of(phases, no, no), phases) == 400
    half = np.arange(700) % 2 == 0
    assert capacity(record_of(phases, no, half), phases) == 50  # of the first phase's rate


def test_rates_are_tried_up_to_four_times_what_is_wanted() -> None:
    rates = [phase.rps for phase in probe_phases(1_000, 1)]
    assert rates[0] == 300
    assert rates[-2] < 4_000 <= rates[-1]


def test_overload_is_told_apart_and_recovery_is_timed() -> None:
    phases = [Phase(100, 1), Phase(200, 2), Phase(100, 3)]
    n = np.arange(800)
    flood = (n >= 100) & (n < 500)
    refused = flood & (n % 4 == 0)
    fallback = (flood & (n % 4 == 1)) | ((n >= 500) & (n < 545))  # for .45 s after it
    record = record_of(phases, fallback, refused)
    assert recovery(record, 3.0) == 0.5
    rows = {row.figure: row for row in overload_rows(record, phases)}
    assert rows["by the policy"].measured.startswith("50.00 %")
    assert rows["by the fallback"].measured.startswith("25.00 %")
    assert rows["refused with 429"].measured.startswith("25.00 %")
    assert rows["anything else"].met
    assert rows["answered: P99 ms"].met
    assert rows["s until it had recovered"].measured == "0.5"
    never = record_of(phases, (n >= 100) & (n % 10 == 0), np.zeros(800, bool))
    assert recovery(never, 3.0) is None


def test_rows_say_whether_a_target_is_met() -> None:
    assert Row("load", "P99", "51", "< 50", False).cells()["met"] == "MISSED"
    assert Row("load", "P50", "5").cells()["met"] == ""
