"""Replicates of one process: what the evaluator said of each log, beside the truth."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from experiments.benchmark.referee.processes.catalogue import PROCESSES
from experiments.benchmark.referee.processes.process import F64, Draw, Process
from offpolicy import (
    ESTIMATORS,
    GuardrailSpec,
    Interval,
    Outcome,
    check_guardrails,
    evaluate,
    judge,
)
from offpolicy.estimators.registry import fitting
from offpolicy.report import Report

ENOUGH = 500.0  # effective units from which an estimator must cover, or say that it does not
ROUNDING = 1e-12
EQUAL = 1e-9  # uplifts smaller than this share of the value are 0: truths are summed in floats
SAID = re.compile(r"not cover|does not hold|not to be trusted|too short|understate")


@dataclass(slots=True)
class Seen:
    """One estimator over the replicates, a row each."""

    rows: list[tuple[float, ...]] = field(default_factory=list)  # value, bounds; uplift, bounds
    judged: list[bool] = field(default_factory=list)  # the gate looked at the uplift
    decided: list[bool] = field(default_factory=list)  # it passed or failed there
    enough: list[bool] = field(default_factory=list)  # effective sample
    said: list[bool] = field(default_factory=list)  # the report says that its interval fails


class Count(NamedTuple):
    """So many of so many logs."""

    k: int
    n: int


def measure(name: str, replicates: int, beside: int, seed: int) -> dict[str, Any]:
    """Figures of a process over `replicates` logs; the registry's other estimators, and guardrails,
    over the first `beside` of them."""
    began, process = time.process_time(), PROCESSES[name]()
    usual: dict[str, Seen] = {}
    others: dict[str, Seen] = {}
    rails: dict[str, list[tuple[bool, bool, bool]]] = {}
    verdicts: list[tuple[str, str]] = []
    sizes: list[float] = []
    refused: list[str] = []
    deciders: list[str] = []
    asked = process.truth.uplift == 0 or name.endswith("-equal")  # where the gate judges guardrails
    for k in range(replicates):
        drawn = process.draw(np.random.default_rng([seed, crc32(name.encode()), k]), process.n)
        try:
            report = _report(process, drawn, k)
        except ValueError as error:  # counted and shown: an honest log was refused
            refused.append(str(error))
            continue
        sizes.append(report.diagnostics.ess)
        verdicts.append((report.verdict.step, report.verdict.outcome.value))
        deciders.append(report.decided_by)
        _note(usual, report, report)
        if k < beside:
            _others(others, process, drawn, k, report)
            for column, change in process.truth.changes.items():
                rails.setdefault(column, []).append(_rail(process, drawn, column, change, asked))
    decider = max(set(deciders), key=deciders.count) if deciders else ""
    truth = process.truth
    return {
        "name": name,
        "horizon": process.horizon,
        "n": process.n,
        "replicates": replicates,
        "value": truth.value,
        "uplift": 0.0 if abs(truth.uplift) < EQUAL * abs(truth.value) else truth.uplift,
        "same": process.same,
        "ess": np.percentile(sizes, (10, 50, 90)).tolist() if sizes else [],
        "verdicts": _tally(verdicts),
        "refused": {"logs": len(refused), "first": refused[0] if refused else ""},
        "decider": decider,
        "usual": {e: figures(s, process) for e, s in usual.items()},
        "others": {e: figures(s, process) for e, s in others.items()},
        "guardrails": {c: _rail_figures(r, asked) for c, r in rails.items()},
        "cpu_seconds": time.process_time() - began,
    }


def _report(
    process: Process, drawn: Draw, seed: int, names: tuple[str, ...] | None = None
) -> Report:
    """As a user gets it; named estimators without another look at the log."""
    return evaluate(
        drawn.log,
        drawn.scores,
        horizon=process.horizon,
        gamma=process.gamma,
        state=drawn.state if process.horizon == "marginal" else None,
        estimators=names,
        check=names is None,
        plan=False,
        seed=seed,
    )


def _others(
    seen: dict[str, Seen], process: Process, drawn: Draw, seed: int, judged: Report
) -> None:
    """The estimators that the report leaves out: one by one where they cannot be had together."""
    names = process.extra
    if names is None:
        known = (n for n in fitting(process.horizon) if not ESTIMATORS[n].terms)
        names = tuple(n for n in known if not ESTIMATORS[n].usual)
    if names:
        _note(seen, _report(process, drawn, seed, names), judged)


def _note(seen: dict[str, Seen], report: Report, judged: Report) -> None:
    """Put one report's lines down."""
    verdict = judged.verdict
    for line in report.lines:
        s = seen.setdefault(line.estimator, Seen())
        s.rows.append((*_three(line.value), *_three(line.uplift)))
        s.judged.append(verdict.step == "uplift")
        s.decided.append(verdict.step == "uplift" and verdict.outcome is not Outcome.UNDECIDED)
        s.enough.append(report.diagnostics.ess >= ENOUGH)
        s.said.append(said(line.estimator, report))


def said(name: str, report: Report) -> bool:
    """Whether the report, or the registry, says that the estimator's interval cannot be trusted."""
    own = [x for x in report.notes if re.search(rf"\b{name}\b", x) or "intervals below" in x]
    return any(SAID.search(x) for x in (*own, ESTIMATORS[name].about))


def _three(i: Interval) -> tuple[float, float, float]:
    return i.value, i.low, i.high


def figures(seen: Seen, process: Process) -> dict[str, Any]:
    """Coverage, width against the oracle's, bias and error of one estimator."""
    x = np.array(seen.rows)
    value, uplift = process.truth.value, process.truth.uplift
    judged, decided = np.array(seen.judged), np.array(seen.decided)
    enough, silent = np.array(seen.enough), ~np.array(seen.said)
    held = {
        "value": _inside(x[:, :3], value, value),
        "uplift": _inside(x[:, 3:], uplift, value),
    }
    out: dict[str, Any] = {
        f"{what} {when}": _count(hit[rows])
        for what, hit in held.items()
        for when, rows in {
            "all": np.ones(len(x), bool),
            "judged": judged,
            "decided": decided,
            "silent": enough & silent,
        }.items()
    }
    for what, columns, truth in (("value", x[:, :3], value), ("uplift", x[:, 3:], uplift)):
        spread = float(columns[:, 0].std(ddof=1)) if len(x) > 1 else 0.0
        wide = float((columns[:, 2] - columns[:, 1]).mean())
        out[f"{what} width"] = wide / (3.92 * spread) if spread > 0 else None
        out[f"{what} bias"] = float(columns[:, 0].mean() - truth)
        out[f"{what} rmse"] = float(np.sqrt(((columns[:, 0] - truth) ** 2).mean()))
    return out


def _inside(x: F64, truth: float, scale: float) -> Any:
    """Bounds that hold the truth, but for the rounding of numbers of that scale."""
    slack = ROUNDING * abs(scale)
    return (x[:, 1] <= truth + slack) & (truth - slack <= x[:, 2])


def _count(hit: Any) -> Count:
    return Count(int(hit.sum()), len(hit))


def _rail(
    process: Process, drawn: Draw, column: str, change: float, asked: bool
) -> tuple[bool, bool, bool]:
    """(interval holds the true change, called broken, called kept) with the bound AT the change:
    neither can be known there, so that each may be said by chance only. The gate is `asked` or not.
    """
    spec = GuardrailSpec(name=column, values=drawn.columns[column], at_most=change)
    state = drawn.state if process.horizon == "marginal" else None
    about = (drawn.log, drawn.scores)
    (rail,) = check_guardrails(*about, [spec], horizon=process.horizon, state=state)
    held = bool(_inside(np.array([_three(rail.interval)]), change, 1.0)[0])
    if not asked:
        return held, False, False
    verdict = judge(
        drawn.log,
        {"target": drawn.scores},
        horizon=process.horizon,
        guardrails=[spec],
        model=None,
        state=state,
    )["target"].verdict
    broken = verdict.step == "guardrails" and verdict.outcome is Outcome.FAIL
    return held, broken, verdict.step == "uplift" and not process.same


def _rail_figures(rows: list[tuple[bool, bool, bool]], asked: bool) -> dict[str, Count]:
    held, broken, kept = np.array(rows).T
    if not asked:
        return {"held": _count(held)}
    return {"held": _count(held), "wrong": _count(broken | kept)}


def _tally(verdicts: list[tuple[str, str]]) -> dict[str, int]:
    """Logs by outcome, and of those that cannot be told by step."""
    tally: dict[str, int] = {"pass": 0, "fail": 0}
    for step, outcome in verdicts:
        key = outcome if outcome != "cannot tell" else f"cannot tell: {step}"
        tally[key] = tally.get(key, 0) + 1
    return tally
