"""The log doctor: is this log fit to be weighed? Each finding names the row, the rule, the fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import ArrayLike

from offpolicy.doctor import clock_checks as clocks
from offpolicy.doctor import context_checks as context
from offpolicy.doctor import identity_checks as identities
from offpolicy.doctor import outcome_checks as outcomes
from offpolicy.doctor import propensity_checks as checks
from offpolicy.doctor import unit_checks as units
from offpolicy.doctor import weight_checks as weights
from offpolicy.doctor.findings import Finding, Level
from offpolicy.doctor.repeated_rows import duplicates
from offpolicy.doctor.times import seconds
from offpolicy.estimators.terms import F64
from offpolicy.log.columns import check_no_missing, numbers
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group
from offpolicy.log.scores import TargetScores
from offpolicy.page import html as page


class Health(StrEnum):
    """The doctor's verdict."""

    PASS = "PASS"
    WARN = "WARN"
    FAIL = "FAIL"


@dataclass(frozen=True, slots=True)
class LogCheck:
    """The findings of all checks that applied to the log."""

    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Health:
        """The worst finding."""
        worst = max((f.level for f in self.findings), default=Level.PASS)
        return {Level.PASS: Health.PASS, Level.WARN: Health.WARN, Level.FAIL: Health.FAIL}[worst]

    def __getitem__(self, name: str) -> Finding:
        for f in self.findings:
            if f.check == name:
                return f
        raise KeyError(f"{name}; checked were {', '.join(f.check for f in self.findings)}")

    def with_finding(self, finding: Finding) -> LogCheck:
        """With one more finding."""
        return LogCheck((*self.findings, finding))

    @property
    def troubles(self) -> tuple[Finding, ...]:
        """Findings above PASS, worst first."""
        bad = [f for f in self.findings if f.level > Level.PASS]
        return tuple(sorted(bad, key=lambda f: -f.level))

    def __str__(self) -> str:
        lines = [f"{self.verdict}: {len(self.findings)} checks"]
        lines += [f"  {f.level.name:4}  {f.check}: {f.found}" for f in self.findings]
        lines += [f"  -> {f.check}: {f.rule} {f.fix}" for f in self.troubles]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """The verdict, what to fix, and all checks folded, for a notebook."""
        outcome = {Health.PASS: "pass", Health.FAIL: "fail"}.get(self.verdict, "cannot tell")
        fixes = [f"{f.check}: {f.found}. {f.rule} {f.fix}" for f in self.troubles]
        rows = [{"check": f.check, "level": f.level.name, "found": f.found} for f in self.findings]
        return page.fragment(
            [
                page.answer(
                    outcome, f"{self.verdict}: {len(rows)} checks", [], page.bullets(fixes)
                ),
                page.details("All checks", page.table(rows, left=["found"])),
            ]
        )


def check_log(
    log: LoggedDataset,
    scores: TargetScores | None = None,
    *,
    time: ArrayLike | None = None,
    event_id: ArrayLike | None = None,
    reward_age: ArrayLike | None = None,
    mature_after: float | None = None,
    expected_shares: Mapping[str, float] | None = None,
) -> LogCheck:
    """Examine a log; the log is not changed.

    `scores` of a target policy add the mean weight under it (T1) and its support. `time` (N,), in
    seconds or as datetimes, adds clocks, order inside sessions, and value and entropy per day;
    `event_id` (N,) finds duplicates, `reward_age` (N,) with `mature_after` (same unit) finds
    rewards that were counted too early, `expected_shares` {logger: share of units} finds a
    sample-ratio mismatch.

    A check warns at p < 3e-4 and fails at p < 1e-6 (after Bonferroni inside the check), so that one
    clean log in 200 is warned about, over all checks together.

    Raises:
        LogError: times that are missing, no times, or no seconds.
    """
    times = None if time is None else _column(log, "time", seconds(time))
    ages = _column(log, "reward_age", reward_age)
    unit = log.groups if log.user is None else group(log.user)
    event = None if event_id is None else np.asarray(event_id)
    if event is not None and event.shape != (len(log),):
        raise ValueError(f"event_id has shape {event.shape}; it is ({len(log)},), one a decision")
    if event is not None:
        check_no_missing("event_id", event, "Drop the row, or give it an id of its own.")
    findings = [
        checks.structure(log, event),
        duplicates(log, times),
        checks.deterministic(log),
        *weights.uniform_weights(log),
    ]
    if scores is not None:
        findings += [weights.mean_weight_target(log, scores), checks.support(log, scores)]
        findings[:0] = identities.of_target(log, scores)
    items = context.item_ids(log, max(f.level for f in findings if "mean weight" in f.check))
    findings[:0] = [f for f in (items, context.users(log)) if f is not None]
    if log.candidate_propensity is not None and log.row_weight is None:
        findings += checks.calibration(log)  # of rows as they came, none kept by chance
    if log.logger is not None:
        findings.append(context.loggers(log))
    if expected_shares is not None:
        findings.append(context.sample_ratio(log, expected_shares))
    findings += [units.heavy_units(log, unit), outcomes.lost_outcomes(log, unit)]
    if log.user is not None or log.n_sessions < len(log):
        findings.append(units.steady_units(log, unit))
    if log.consumed is not None:
        findings.append(outcomes.consumed_was_shown(log))
    if log.position_reward is not None:
        findings.append(outcomes.places_add_up(log))
    if times is not None:
        findings += [clocks.clock(times), clocks.order_in_sessions(log, times)]
        findings += clocks.per_day(log, times)
    if ages is not None:
        findings.append(context.maturity(ages, mature_after))
    return LogCheck(tuple(findings))


def _column(log: LoggedDataset, name: str, x: ArrayLike | None) -> F64 | None:
    """(N,) finite numbers beside the log."""
    if x is None:
        return None
    column = numbers(name, x)
    if column.shape != (len(log),):
        raise ValueError(f"{name} has shape {column.shape}; it is ({len(log)},), one a decision")
    if not np.isfinite(column).all():
        row = int(np.flatnonzero(~np.isfinite(column))[0])
        raise ValueError(f"{name}[{row}] = {column[row]} is not finite; drop the row or fix it")
    return column
