"""Logs that are looked at again and again: how often a look claims what is not so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import fields
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from experiments.benchmark.referee.processes.bandits import Pay, bandit_process
from experiments.benchmark.referee.processes.process import Draw, Process
from offpolicy import (
    GateRule,
    Outcome,
    TargetScores,
    Terms,
    confidence_sequence,
    estimate,
    evaluate,
)
from offpolicy.report import Report

DAYS, DAY = 40, 250  # looks, and decisions between two of them
LOOKS, BETWEEN, FIRST = 1000, 10, 200  # looks, decisions between them, before the first
HOPE = 1e-12


class Watch(NamedTuple):
    """A world whose target is worth what the logger is, looked at daily; or a rate, 1,000 times."""

    pay: Pay
    rate: float
    daily: bool


WATCHES = {
    "daily, rate 20 %": Watch("rate", 0.2, True),
    "daily, rate 2 %": Watch("rate", 0.02, True),
    "daily, lognormal": Watch("lognormal", 1.0, True),
    "1,000 looks, rate 20 %": Watch("rate", 0.2, False),
    "1,000 looks, rate 1 %": Watch("rate", 0.01, False),
}


def peek(name: str, runs: int, seed: int) -> dict[str, Any]:
    """Runs in which some look was wrong: the gate passed an uplift of 0, or a bound excluded the
    truth."""
    began, watch = time.process_time(), WATCHES[name]
    process = bandit_process(
        n=DAYS * DAY if watch.daily else FIRST + (LOOKS - 1) * BETWEEN,
        pay=watch.pay,
        rate=watch.rate,
        relative=0.0,
        seed=21,
    )
    wrong: dict[str, int] = {}
    for k in range(runs):
        rng = np.random.default_rng([seed, crc32(name.encode()), k])
        drawn = process.draw(rng, process.n)
        found = _daily(process, drawn) if watch.daily else _often(process, drawn)
        for rule, missed in found.items():
            wrong[rule] = wrong.get(rule, 0) + missed
    cpu = time.process_time() - began
    return {"name": name, "runs": runs, "wrong": wrong, "cpu_seconds": cpu}


def _daily(process: Process, drawn: Draw) -> dict[str, bool]:
    """Each rule's wrong pass on some day."""
    rules = {"the gate, as if each look were the only one": GateRule()}
    if any(f.name == "monitored" for f in fields(GateRule)):
        rules["the gate, monitored"] = GateRule(**{"monitored": True})
    wrong = dict.fromkeys([*rules, "confidence_sequence of the uplift"], False)
    for report, rule in _looks(drawn, rules):
        passed = report.verdict.outcome is Outcome.PASS
        wrong[rule] |= passed
        influence = report[report.decided_by].influence
        assert influence is not None
        low = confidence_sequence(influence).low
        wrong["confidence_sequence of the uplift"] |= low > process.truth.uplift + HOPE
    return wrong


def _looks(drawn: Draw, rules: dict[str, GateRule]) -> Iterator[tuple[Report, str]]:
    for day in range(4, DAYS + 1):
        log, scores = drawn.log.take(slice(day * DAY)), _first(drawn.scores, day * DAY)
        for name, rule in rules.items():
            report = evaluate(
                log, scores, horizon="one_step", rule=rule, check=False, model=None, plan=False
            )
            yield report, name


def _first(s: TargetScores, n: int) -> TargetScores:
    assert s.slates is not None
    assert s.slate_weight is not None
    return TargetScores(s.propensity[:n], slates=s.slates[:n], slate_weight=s.slate_weight[:n])


def _often(process: Process, drawn: Draw) -> dict[str, bool]:
    """Whether the sequence of the logger's own rate, and of the target's value by ips, ever misses
    the truth."""
    log, weight = drawn.log, drawn.scores.propensity / drawn.log.propensity
    own = np.ones(len(log))
    watched = {"logged mean": (own, process.truth.logged), "ips": (weight, process.truth.value)}
    missed = {f"confidence_sequence, {k}": False for k in watched}
    for n in range(FIRST, len(log) + 1, BETWEEN):
        for name, (w, truth) in watched.items():
            t = Terms(w[:n], log.reward[:n], None, None, log.session[:n], horizon="one_step")
            bound = confidence_sequence(estimate(t, "ips"))
            miss = not bound.low - HOPE <= truth <= bound.high + HOPE
            missed[f"confidence_sequence, {name}"] |= miss
    return missed
