"""`longplay retrain --registry DIR --log LOG`: a new version from the log, judged, not promoted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from experiments.common.durations import seconds_of
from experiments.common.key_values import pairs, typed
from experiments.logs.gate import STATUS, guardrail_of
from experiments.logs.log_files import open_log
from experiments.serve.relearn.retrain_text import lines_of, record_of
from offpolicy import GateRule, LoggedDataset
from offpolicy.diagnostics import JUDGED
from offpolicy.drift.findings import Act, Drift
from offpolicy.gate.guardrails import GuardrailSpec
from policies import POLICIES
from policies.improve.path import Kind
from serving.registry.registry import Registry
from serving.relearning.cut import Cut, read_cut
from serving.relearning.recipe import Recipe
from serving.relearning.relearn import Challenge, Terms, relearn
from serving.relearning.running import CUTS, Run, raise_alarm, run_when_due
from serving.relearning.triggers import RelearnRule

ALARM = 240  # characters of an alarm that are kept


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Learn from a joined log, judge the challenger against what serves on users that neither has
    learnt from, and add it to the registry; what serves goes on. With --every, --sessions or
    --when-drift only where that is due. Exit status 0 = ready for a canary, or not due; 1 = worse,
    and not added; 3 = cannot tell."""

    registry: Path
    """The registry's folder; its live version is the champion."""
    log: Path
    """The decision log that longplay join wrote, whose rows the champion served."""
    learner: str = "one_step"
    """What learns: one_step, fitted_q, a bandit, or another policy that learns from a log."""
    set: tuple[str, ...] = ()
    """Its settings: temperature=0.5 ... (temperature is 1 by default)."""
    whole: bool = False
    """Judge what was learnt itself, not the furthest step towards it."""
    kind: Kind = "geometric"
    """Of the path to step on: geometric or mixture."""
    every: str | None = None
    """Learn so often: 1d, 6h."""
    sessions: int | None = None
    """Learn after so many new sessions."""
    when_drift: bool = False
    """Learn after an alarm of drift that no run has answered."""
    drift: Path | None = None
    """A report of longplay drift --json: with --when-drift, an alarm in it whose action is to
    retrain is one."""
    apart: str = "1h"
    """The least time between the beginnings of two runs."""
    name: str | None = None
    """Of the cut; by default its hash."""
    cut: str | None = None
    """Learn from this cut of an earlier run, not from all that the log holds now."""
    champion: str = "live"
    """The version that is challenged."""
    horizon: Literal["one_step", "per_decision", "trajectory"] = "per_decision"
    """The estimand."""
    split: tuple[float, float] = (0.6, 0.4)
    """Shares of the users (of the sessions, where the log names none) that teach and that judge;
    the same in all generations, as --split-seed."""
    split_seed: int = 0
    """Which users teach."""
    seed: int = 0
    """Of the learner."""
    min_uplift: float = 0.0
    """Uplift to be shown; negative: a non-inferiority margin."""
    min_ess: float = JUDGED
    """Effective units below which the gate cannot tell."""
    guardrail: tuple[str, ...] = ()
    """Changes that must hold: "responses.1>=-0.01"."""
    level: float = 0.95
    """Of all guardrails together."""
    confidence: float = 0.95
    """Of a pass and of a fail."""
    monitored: bool = False
    """Challengers are judged again and again as the log grows: bounds hold at all looks."""
    keep_failed: bool = False
    """Add a challenger that is worse, too."""
    max_steps: int | None = None
    """Sessions end after so many decisions by design: one truncated there is whole."""
    by: str | None = None
    """Who does it; the user of this machine by default."""
    note: str | None = None
    """What a person should know of it."""
    json: bool = False
    """Print JSON."""


def run(settings: Settings) -> int:
    """Ask, learn, judge, add, print."""
    registry = Registry(settings.registry)
    registry.find(settings.champion)
    log = open_log(settings.log, (), None, settings.max_steps)
    if settings.cut is not None and settings.name is not None:
        raise ValueError("--name names a new cut and --cut is an old one: give one of them")
    old = None if settings.cut is None else read_cut(registry.folder / CUTS, settings.cut)
    alarm = None if settings.drift is None else alarm_of(settings.drift)
    if alarm is not None:
        if not settings.when_drift:
            raise ValueError("--drift goes with --when-drift, which says to learn after an alarm")
        raise_alarm(registry, alarm)
    found = run_when_due(
        registry,
        log,
        rule_of(settings),
        partial(_learn, settings, registry, log),
        name=settings.name,
        cut=old,
    )
    record = record_of(found)
    print(json.dumps(record, indent=1) if settings.json else lines_of(found))
    return 0 if found.challenge is None else _status(found)


def alarm_of(report: Path) -> str | None:
    """The first finding of a drift report that counts and asks to retrain, in words; None where
    there is none. Raises ValueError for what is no such report."""
    try:
        findings = json.loads(report.read_bytes())["findings"]
        asked = [
            f"{one['what']}: {one['action']}"
            for one in findings
            if one["level"] == Drift.ALARM and one["act"] == Act.RETRAIN
        ]
    except (ValueError, KeyError, TypeError):
        raise ValueError(
            f"{report} is no drift report: write one with longplay drift ... --json {report}"
        ) from None
    return asked[0][:ALARM] if asked else None


def rule_of(settings: Settings) -> RelearnRule | None:
    """When it is due; None where a person asks. Raises ValueError, which names the option."""
    if settings.every is None and settings.sessions is None and not settings.when_drift:
        return None
    return RelearnRule(
        every=None if settings.every is None else seconds_of("--every", settings.every),
        sessions=settings.sessions,
        when_drift=settings.when_drift,
        apart=seconds_of("--apart", settings.apart),
    )


def recipe_of(settings: Settings) -> Recipe:
    """What learns. Raises ValueError for a setting of another type."""
    name = settings.learner
    texts = pairs(settings.set)
    given = typed("--set", texts, POLICIES[name].load()) if name in POLICIES else dict(texts)
    return Recipe(name=name, settings=given, step=not settings.whole, kind=settings.kind)


def _learn(
    settings: Settings, registry: Registry, log: LoggedDataset, cut: Cut, why: str
) -> Challenge:
    def rails(judge: LoggedDataset) -> list[GuardrailSpec]:
        return [guardrail_of(text, judge) for text in settings.guardrail]

    rule = GateRule(
        min_ess=settings.min_ess,
        min_uplift=settings.min_uplift,
        confidence=settings.confidence,
        monitored=settings.monitored,
    )
    terms = Terms(
        rule=rule,
        horizon=settings.horizon,
        level=settings.level,
        split=settings.split,
        split_seed=settings.split_seed,
    )
    return relearn(
        registry,
        log,
        recipe_of(settings),
        cut=cut,
        champion=settings.champion,
        terms=terms,
        guardrails=rails,
        seed=settings.seed,
        keep_failed=settings.keep_failed,
        trigger=why,
        by=settings.by,
        note=settings.note,
    )


def _status(found: Run) -> int:
    assert found.challenge is not None
    return STATUS[found.challenge.verdict.outcome]
