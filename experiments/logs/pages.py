"""The pages of `longplay evaluate` and `longplay gate`: the verdict, then what the log holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.page.along import describe, is_whole, reach, settings_facts
from experiments.page.beside import example_sections
from experiments.page.sections import BASE, reach_section, sessions_sections
from offpolicy import GateReport, LoggedDataset, Report, TargetScores
from offpolicy.page import html as page
from offpolicy.page.colours import colours
from offpolicy.sessions.examples import typical_sessions

UNIT = "reward"


class Evaluated(NamedTuple):
    """A report with what it was made from."""

    report: Report
    log: LoggedDataset
    scores: TargetScores


def evaluate_page(read: Evaluated, name: str, settings: Mapping[str, Any]) -> str:
    """What a target is worth by a log."""
    report = read.report
    parts = [
        *report.answer(),
        facts(read.log, report.baseline.level, settings),
        page.section("Every estimator", *report.elements(pictures=True)),
        *log_sections(read.log, {"target": read.scores}, report.horizon, report.baseline.level),
        page.fold("Settings and versions", json.dumps(settings, indent=2)),
    ]
    lead = f"What a target policy is worth by the log {name}. {report.horizon}: {report.estimand}."
    return page.page("Off-policy evaluation", lead, parts)


def gate_page(
    report: GateReport, log: LoggedDataset, scores: Mapping[str, TargetScores], name: str
) -> str:
    """Whether policies may be rolled out."""
    parts = [
        *report.elements(),
        facts(log, report.level, {}),
        *log_sections(log, scores, report.horizon, report.level),
    ]
    many = f"{len(scores)} candidates" if len(scores) > 1 else "One candidate"
    lead = (
        f"{many}, judged from the log {name}; estimand {report.horizon}. A pass or fail holds with "
        f"{report.rule.confidence:.4g} confidence, all candidates together."
    )
    return page.page("May it be rolled out?", lead, parts)


def facts(log: LoggedDataset, level: float, settings: Mapping[str, Any]) -> str:
    """Units, users, dates."""
    users = "" if log.user is None else f"{len(np.unique(log.user)):,} users"
    return page.facts(
        f"values: {UNIT}, [ ]: {level:.0%} intervals",
        f"{len(log):,} decisions in {log.n_sessions:,} sessions",
        users,
        settings_facts(settings.get("made", {})),
    )


def log_sections(
    log: LoggedDataset, scores: Mapping[str, TargetScores], horizon: str, level: float
) -> list[str]:
    """How far the log can see, and what happened in it; nothing for a log of single decisions."""
    if not is_whole(log):
        return []
    shades = colours([BASE, *scores])
    reaches = {}
    if horizon != "one_step":
        reaches = {name: reach(log, one, level=level) for name, one in scores.items()}
    chosen = typical_sessions(log.session_rewards()).tolist()
    logged = {BASE: describe(log, level=level, examples=chosen)}
    return [
        *reach_section(reaches, shades, UNIT),
        *sessions_sections(logged, shades, level=level, unit=UNIT),
        *example_sections(logged, shades),
    ]
