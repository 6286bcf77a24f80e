"""Comparisons as findings: what counts, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from offpolicy.doctor.findings import FAIL_BELOW, WARN_BELOW, Finding, Level
from offpolicy.drift.findings import Act, Drift, DriftFinding
from offpolicy.drift.inputs import InputTest
from offpolicy.drift.outcomes import Change
from offpolicy.drift.watching import Alarm
from offpolicy.errors import LogError
from offpolicy.intervals.inference import check_level


@dataclass(frozen=True, slots=True, kw_only=True)
class DriftRule:
    """When a change counts. Raises LogError for numbers out of range."""

    level: float = 0.95  # a report of logs without a change raises an alarm at most 1 - level times
    margin: float = 0.02  # a change of value counts where it is surely larger, as a share of it
    thinner: float = 0.1  # the same for the number of choices in effect, where it falls
    least_change: float = 0.2  # a change that must be visible, else the report cannot tell
    least_users: int = 50  # of each log
    monitored: bool = False  # compared again as the recent log grows: valid at all looks together
    permutations: int = 399  # of the test of inputs
    seed: int = 0  # of those

    def __post_init__(self) -> None:
        check_level(self.level)
        for name in ("margin", "thinner", "least_change"):
            if not 0 <= getattr(self, name) < 1:
                raise LogError(f"{name} = {getattr(self, name)}; it is a share, 0 to below 1")
        for name, least in (("least_users", 2), ("permutations", 19)):
            if getattr(self, name) < least:
                raise LogError(f"{name} = {getattr(self, name)}; at least {least}")

    def part(self, share: float) -> float:
        """The level of a comparison that may use this share of 1 - level."""
        return 1 - (1 - self.level) * share


def of_inputs(tests: Sequence[InputTest]) -> list[DriftFinding]:
    """Columns: noted where they moved."""
    return [
        DriftFinding(
            subject="inputs",
            what=t.name,
            statistic=t.statistic,
            value=t.value,
            threshold=t.threshold,
            level=Drift.NOTED if t.changed else Drift.NONE,
            counts=False,
            act=Act.WATCH if t.changed else Act.NOTHING,
            action=(
                "Watch: inputs moved, value and overlap did not, as far as these logs tell."
                if t.changed
                else "Nothing to do."
            ),
            p_value=t.p_value,
            detail=f"most: {t.moved}" if t.changed and t.moved else "",
        )
        for t in tests
    ]


def of_value(what: str, change: Change, rule: DriftRule, *, subject: str) -> DriftFinding:
    """A mean: an alarm where its change is surely larger than the margin. What to do is said once
    all findings are known (`with_actions`)."""
    i, size = change.difference, abs(change.reference)
    margin = rule.margin * size
    half = i.value - i.low if i.value > 0 else i.high - i.value
    moved = i.low > margin or i.high < -margin
    thin = min(change.units) < rule.least_users or (
        size > 0 and max(i.high - i.value, i.value - i.low) > rule.least_change * size
    )
    level = Drift.ALARM if moved else Drift.NONE
    act, action = Act.NOTHING, "Nothing to do."
    if thin and not moved and subject == "outcomes":
        level, act = Drift.CANNOT_TELL, Act.WATCH
        action = (
            f"Watch, and compare again with more sessions: a change of {rule.least_change:.0%} "
            "could not be seen."
        )
    return DriftFinding(
        subject=subject,
        what=what,
        statistic="change",
        value=i.value,
        threshold=margin + half,
        level=level,
        counts=moved,
        act=act,
        action=action,
        low=i.low,
        high=i.high,
        detail=f"from {change.reference:.4g} to {change.recent:.4g}, "
        f"{change.units[0]} and {change.units[1]} users",
    )


def of_late_change(alarm: Alarm | None, run_length: float) -> DriftFinding:
    """The restarting detector, run over the recent log in the order of time."""
    direction = 0.0 if alarm is None else -1.0 if alarm.direction == "down" else 1.0
    return DriftFinding(
        subject="outcomes",
        what="reward inside the recent log",
        statistic="evidence of a change",
        value=0.0 if alarm is None else direction * alarm.evidence,
        threshold=run_length,
        level=Drift.NONE if alarm is None else Drift.ALARM,
        counts=alarm is not None,
        act=Act.NOTHING,
        action="Nothing to do.",
        detail="" if alarm is None else str(alarm),
    )


def of_choices(what: str, change: Change, rule: DriftRule) -> DriftFinding:
    """Entropy, or the logarithm of an effective share: an alarm where exp(change) is surely below
    1 - thinner; noted where it surely moved at all."""
    from math import log1p

    i, limit = change.difference, log1p(-rule.thinner)
    fell, moved = i.high < limit, i.low > 0 or i.high < 0
    act, action = Act.NOTHING, "Nothing to do."
    if fell:
        act = Act.EXPLORE
        action = (
            "Log more exploration: raise the temperature or the share of exploration, or other "
            "policies can no longer be judged from this log."
        )
    elif moved:
        act, action = Act.WATCH, "Watch: the policy chooses otherwise, overlap is not lost."
    return DriftFinding(
        subject="propensities",
        what=what,
        statistic="change",
        value=i.value,
        threshold=i.high - i.value - limit,
        level=Drift.ALARM if fell else Drift.NOTED if moved else Drift.NONE,
        counts=fell,
        act=act,
        action=action,
        low=i.low,
        high=i.high,
        detail=f"from {change.reference:.4g} to {change.recent:.4g}",
    )


def of_mean_weight(finding: Finding, before: Finding | None, least: Level) -> DriftFinding:
    """A mean weight of the log doctor: where it is not 1, propensities are not those of the policy
    that serves: an alarm from the `least` level on. What is below it, or what the reference had
    `before`, too, is noted: it is no drift."""
    seen = finding.level > Level.PASS
    old = seen and before is not None and before.level > Level.PASS
    off = finding.level >= least and not old
    act, action = Act.NOTHING, "Nothing to do."
    if seen:
        act = Act.CHECK
        action = (
            "Check the pipeline: these are not the propensities of the policy that serves"
            + ("" if off else ", or it has no full support; `longplay check` says more")
            + f". {finding.fix}"
        )
    if old:
        action = (
            "Check the pipeline: the reference has it, too, so that it is no drift; `longplay "
            f"check` says more. {finding.fix}"
        )
    return DriftFinding(
        subject="propensities",
        what=finding.check,
        statistic="p-value",
        value=1.0 if finding.p_value is None else finding.p_value,
        threshold=FAIL_BELOW if least is Level.FAIL else WARN_BELOW,
        level=Drift.ALARM if off else Drift.NOTED if seen else Drift.NONE,
        counts=off,
        act=act,
        action=action,
        p_value=finding.p_value,
        detail=finding.found,
    )


def of_holes(reference: float, recent: float) -> DriftFinding:
    """Shares of sessions of which decisions are missing."""
    off = recent > 0
    return DriftFinding(
        subject="outcomes",
        what="sessions with missing decisions",
        statistic="share",
        value=recent,
        threshold=0.0,
        level=Drift.NOTED if off else Drift.NONE,
        counts=False,
        act=Act.CHECK if off else Act.NOTHING,
        action=(
            "Check the pipeline: events are lost, so that values are compared per decision."
            if off
            else "Nothing to do: values are compared per decision, for the reference has holes."
        ),
        detail=f"reference {reference:.2%}",
    )


def with_actions(
    findings: Sequence[DriftFinding], new_loggers: Sequence[str], old_loggers: Sequence[str]
) -> tuple[DriftFinding, ...]:
    """Moved inputs count where value or overlap moved too; and each change of value gets what to
    do: roll back where another version served it, retrain where inputs moved, else check how
    outcomes are recorded."""
    moved = [f.what for f in findings if f.subject == "inputs" and f.level is Drift.NOTED]
    serious = any(f.counts for f in findings)
    done = []
    for f in findings:
        if f.subject == "inputs" and f.level is Drift.NOTED and serious:
            f = replace(
                f,
                level=Drift.ALARM,
                counts=True,
                act=Act.RETRAIN,
                action="Retrain on recent sessions: value or overlap moved with this input.",
            )
        elif f.subject in ("outcomes", "segments") and f.counts:
            act, action = _after(f.value < 0, moved, new_loggers, old_loggers)
            f = replace(f, act=act, action=action)
        done.append(f)
    return tuple(done)


def _after(
    down: bool, inputs: Sequence[str], new: Sequence[str], old: Sequence[str]
) -> tuple[Act, str]:
    if down and new:
        back = ", ".join(old) or "the version of the reference"
        return Act.ROLL_BACK, (
            f"Roll back to {back}: the fall came with {', '.join(new)}; compare them in an A/B "
            "trial, for times differ, too."
        )
    if inputs:
        return Act.RETRAIN, (
            f"Retrain on recent sessions and gate the new version: {', '.join(inputs[:4])} moved, "
            "too."
        )
    if down:
        return Act.CHECK, (
            "Check the pipeline first (are outcomes lost or late?): no input moved. If it is "
            "whole, retrain on recent sessions."
        )
    return Act.CHECK, (
        "Check the pipeline: rewards rose and no input moved (are outcomes counted twice, or are "
        "there bots?)."
    )
