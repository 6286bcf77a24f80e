"""`longplay release canary VERSION`: a version on its way to all users, stage by stage."""

from __future__ import annotations

import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from experiments.common.durations import seconds_of
from experiments.serve.join import counted_by, kinds_said, pairs_of, worth_of
from experiments.serve.places import followed_events
from experiments.serve.release.plan import Plan, Traffic, plan_rollout
from experiments.serve.release.plan_text import plan_lines
from offpolicy.trials.size import past_of
from serving import JoinRule, Registry
from serving.following.follower import Followed
from serving.following.past import past_traffic
from serving.joining.survey import survey
from serving.registry.versions import Version
from serving.rollout.controller import check_version, start
from serving.rollout.reading import REWARD, values_of
from serving.rollout.rule import Guardrail, RolloutRule

FAIL = "fail"


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """Begin the rollout of a version: first in the shadow, then beside the live version to more and
    more users. `longplay release watch` steps it; nothing moves without that."""

    version: tyro.conf.Positional[str]
    """A version, or the beginning of one."""
    registry: Path
    """The registry's folder."""
    events: str | None = None
    """The event log of the server: a folder, redis://... or nats://.... By default the folder
    `events` in the registry's."""
    reward: tuple[str, ...] = ()
    """What an outcome of each kind is worth: liked=1 purchase=5. Leave it out to see the kinds."""
    window: str = "10min"
    """How long after its decision an outcome counts; a decision counts once that has passed."""
    windows: tuple[str, ...] = ()
    """The same for single kinds: purchase=1d."""
    goal: Literal["non_inferior", "superior"] = "non_inferior"
    """To be served to all users: not worse than the margin, or better."""
    margin: float = 0.03
    """How much worse it may be, as a share of what control earns."""
    level: float = 0.95
    """1 - the chance that it is ever rolled back though it is not worse than its margins."""
    per: Literal["session", "user"] = "session"
    """Reward of a session, or of a user."""
    not_less: tuple[str, ...] = ()
    """Guardrails: what must not fall, by more than this share: decisions=0.05 bought=0.1. Kinds of
    outcomes, or `decisions`."""
    not_more: tuple[str, ...] = ()
    """The same for what must not rise: skipped=0.05."""
    stages: tuple[float, ...] = (0.01, 0.05, 0.25, 0.5, 1.0)
    """Shares of users, the last one 1."""
    shadow: int = 1000
    """Decisions that are compared before any user is served; 0: none."""
    least: str = "1d"
    """How long each stage lasts at least."""
    last: str = "4d"
    """The same of the last stage before all users: longer than a new version is liked because it is
    new."""
    recent: str = "1d"
    """The last part of each stage, which must be good by itself."""
    most: str = "14d"
    """How long a stage lasts at most; then a person decides."""
    least_users: int = 100
    """Users of each arm in a stage at least."""
    silent: str = "15min"
    """Without events for so long it is paused; eight times as long, and it is rolled back."""
    p99_ms: float = 200.0
    """It is stopped where more than one decision in a hundred takes longer."""
    despite_gate: bool = False
    """Also a version that the gate failed."""
    dry_run: bool = False
    """Print the plan and begin nothing."""
    past: str = "7d"
    """Traffic of so long is what the plan goes by."""
    why: str = ""
    """For the history."""
    by: str | None = None
    """Who does it; the user of this machine by default."""
    json: bool = False
    """Print JSON."""


def canary(settings: Canary) -> tuple[str, Any]:
    """Plan it, begin it, and say what comes."""
    registry, rule = Registry(settings.registry), rule_of(settings)
    found = registry.find(settings.version)
    check_version(registry, found)
    notes = gate_notes(found, settings.despite_gate)
    join = counted_by(settings.reward, settings.window, settings.windows)
    with followed_events(settings.registry, settings.events) as events:
        if not settings.reward and rule.metric == REWARD:
            raise ValueError(kinds_said(survey(events)))
        traffic = _traffic(settings, rule, join, events)
        plan = None if traffic is None else plan_rollout(rule, traffic)
        if not settings.dry_run:
            step = start(
                registry, events, found.version, rule, join, by=settings.by, why=settings.why
            )
    lines = [*plan_lines(rule, traffic, plan), *(f"note: {note}" for note in notes)]
    record = {"rule": json.loads(rule.to_json()), "plan": _record(plan), "notes": notes}
    if not settings.dry_run:
        where = shlex.quote(str(settings.registry))
        record["state"] = json.loads(step.state.to_json())
        lines += ["", f"{found.version}: {step.reason}"]
        lines += [f"next: longplay release watch --registry {where}"]
    return "\n".join(lines), record


def rule_of(settings: Canary) -> RolloutRule:
    """Raises ValueError, which names the option."""
    guards = [
        ("--not-less", kind, text, True)
        for kind, text in pairs_of("--not-less", settings.not_less, "bought=0.1").items()
    ] + [
        ("--not-more", kind, text, False)
        for kind, text in pairs_of("--not-more", settings.not_more, "skipped=0.05").items()
    ]
    share = 1.0 / (1 + len(guards))  # of the chance of a wrong rollback, to each metric as much
    silent = seconds_of("--silent", settings.silent)
    return RolloutRule(
        stages=settings.stages,
        per=settings.per,
        goal=settings.goal,
        margin=settings.margin,
        level=settings.level,
        guardrails=tuple(
            Guardrail(metric=kind, margin=worth_of(kind, text), share=share, higher_is_better=more)
            for _, kind, text, more in guards
        ),
        least_users=settings.least_users,
        least_seconds=seconds_of("--least", settings.least),
        last_seconds=seconds_of("--last", settings.last),
        most_seconds=seconds_of("--most", settings.most),
        recent_seconds=seconds_of("--recent", settings.recent),
        shadow_decisions=settings.shadow,
        silent_seconds=silent,
        lost_seconds=8 * silent,
        p99_ms=settings.p99_ms,
    )


def gate_notes(version: Version, despite: bool) -> list[str]:
    """What the gate said of a version. Raises ValueError where it failed, unless that is known."""
    verdicts = version.evidence.verdicts
    if not verdicts:
        return [
            "no gate report is kept of this version: longplay gate LOG --out FILE, and longplay "
            "release add ... --gate FILE"
        ]
    failed = [name for name, verdict in verdicts.items() if verdict == FAIL]
    if failed and not despite:
        raise ValueError(
            f"the gate failed {', '.join(failed)}: {version.version} is not rolled out. Read the "
            "report (longplay release show), learn another one, or say --despite-gate"
        )
    return [
        f"the gate's verdict on {name} was {verdict}"
        for name, verdict in verdicts.items()
        if verdict != "pass"
    ]


def _traffic(
    settings: Canary, rule: RolloutRule, join: JoinRule, events: Followed
) -> Traffic | None:
    """Of late; None where it says too little."""
    seconds = seconds_of("--past", settings.past)
    past = past_traffic(
        events,
        join,
        rule.metrics,
        lambda one: values_of(rule.metrics, one, join),
        now=time.time(),
        seconds=seconds,
    )
    try:
        known = past_of(past.units, rule.metric, per=rule.per)
    except ValueError:
        return None
    if past.seconds <= 0 or known.mean.value == 0 or known.variance <= 0:
        return None
    sessions = float(past.units.sessions.sum())
    return Traffic(len(past.units) / past.days, sessions / past.days, known)


def _record(plan: Plan | None) -> Any:
    if plan is None:
        return None
    names = ("share", "days", "users", "why")
    worst = plan.worst
    return {
        "stages": [{name: getattr(one, name) for name in names} for one in plan.stages],
        "worst": None
        if worst is None
        else {name: getattr(worst, name) for name in ("worse", "days", "stage", "sessions")},
    }
