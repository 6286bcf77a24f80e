"""Fuzzed calls: the same for a seed, judged rightly, and a call that ends its process is named."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.reliability.fuzz import supervision
from experiments.reliability.fuzz.calls import Target, Told, perform
from experiments.reliability.fuzz.catalogue import PARTS, targets_of, turn_of
from experiments.reliability.fuzz.command import report
from experiments.reliability.fuzz.odd import spoiled
from experiments.reliability.fuzz.supervision import Limits, called


def outcome(call: Any, check: Any = lambda answer: None) -> str:
    target = Target(name="it", given=lambda rng: {}, call=call, check=check)
    return perform(target, np.random.default_rng(0)).outcome


def fails(error: Exception) -> Any:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: 1, "answered"),
        (fails(ValueError("why")), "refused"),
        (fails(ValueError("")), "no message"),
        (fails(KeyError("x")), "traceback"),
        (fails(MemoryError()), "memory"),
    ],
)
def test_a_call_answers_or_refuses_with_a_message(call: Any, told: str) -> None:
    assert outcome(call) == told


def test_an_answer_that_its_check_finds_wrong_is_a_fault() -> None:
    assert outcome(lambda: 1, lambda answer: f"{answer} is odd") == "wrong answer"


def test_arguments_are_those_of_their_seed_and_call() -> None:
    def drawn(seed: int) -> list[str]:
        given = {"a": np.arange(3), "b": 0.5, "c": "x"}
        return [str(spoiled(given, np.random.default_rng([seed, i]))) for i in range(20)]

    assert drawn(1) == drawn(1) != drawn(2)


def test_every_entry_has_its_turn() -> None:
    targets = targets_of(("logs", "rules"))
    wheel = sum(PARTS[name].turns for name in targets)
    rounds = max(len(mine) for mine in targets.values())
    met = {turn_of(i, targets)[1].name for i in range(wheel * rounds)}
    assert met == {target.name for mine in targets.values() for target in mine}


def test_calls_are_made_in_a_process_of_their_own_and_are_the_same_in_any_block() -> None:
    told = called(("logs",), 0, 0, 40, Limits(cpu_seconds=30, memory_mb=8_000))
    assert len(told) == 40
    assert not [one for one in told if one.fault]
    assert called(("logs",), 0, 25, 40, Limits(30, 8_000)) == told[25:]


def test_a_call_that_ends_its_process_is_named_and_the_next_ones_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies in every second call: each is a crash, and none is lost."""
    (tmp_path / "dying.py").write_text(
        "import json, os, sys\n"
        "job = json.loads(sys.stdin.readline())\n"
        "for i in range(job['first'], job['last']):\n"
        "    print(json.dumps({'begun': i, 'target': f'call {i}'}), flush=True)\n"
        "    if i % 2: os.abort()\n"
        "    print(json.dumps({'target': f'call {i}', 'outcome': 'answered'}), flush=True)\n"
    )
    monkeypatch.setattr(supervision, "WORKER", [sys.executable, str(tmp_path / "dying.py")])
    told = called((), 0, 0, 5, Limits(cpu_seconds=5, memory_mb=100))
    assert [one.outcome for one in told] == ["answered", "crash", "answered", "crash", "answered"]
    assert told[3].target == "call 3"


def test_the_report_counts_and_shows_faults() -> None:
    text = report([Told("a: x", "answered"), Told("a: y", "crash", "status -11 at f", "n=1")], 7)
    assert "| a | 2 | 2 | 1 | 0 | 1 |" in text
    assert "call 8, a: y: crash" in text
