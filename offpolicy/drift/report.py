"""A recent log against a reference: inputs, propensities, outcomes, segments."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from offpolicy.doctor.findings import Level
from offpolicy.doctor.times import seconds
from offpolicy.drift import judging as judged
from offpolicy.drift import outcomes
from offpolicy.drift.columns import Pair, input_columns, with_holes
from offpolicy.drift.findings import DriftFinding
from offpolicy.drift.inputs import compared
from offpolicy.drift.judging import DriftRule
from offpolicy.drift.propensities import effective_share, exploration, loggers_of, mean_weights
from offpolicy.drift.record import DriftReport
from offpolicy.drift.segments import Segment, labels_of, segment_changes
from offpolicy.drift.watching import Outcomes, reference_of
from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores

VALUE, LENGTH, LATE, CHOICES, SEGMENTS = 0.4, 0.1, 0.1, 0.2, 0.2  # shares of 1 - level
Scores = tuple[TargetScores | None, TargetScores]  # of the reference where known, of the recent log


def drift(
    reference: LoggedDataset,
    recent: LoggedDataset,
    *,
    target: Scores | None = None,
    time: ArrayLike | None = None,
    segments: Mapping[str, Pair | Segment] | None = None,
    columns: Mapping[str, Pair] | None = None,
    rule: DriftRule | None = None,
) -> DriftReport:
    """Compare a recent log with a reference of the same catalogue.

    `target` are the scores of the policy that should be serving: its mean weight over the recent
    log is then held to 1, and its effective share of both logs is compared. `time` (N,), of the
    recent log's decisions (s, or dates), adds the detector of a change inside it. `segments` by
    name are labels (N,) of both logs, or a function that makes them of a log; `columns` are further
    inputs (N,) of both.

    Moved inputs alone are noted. An alarm is raised where value or overlap moved; all comparisons
    that can raise one share 1 - rule.level. Users are the independent units. Times of day and of
    week that the reference does not hold look like drift: compare whole weeks with whole weeks.

    Raises:
        LogError: logs of different catalogues or with row weights, columns that do not fit, or a
            log with fewer than 2 users.
    """
    rule, logs = rule or DriftRule(), (reference, recent)
    _check(logs)
    shared = all(log.user is not None for log in logs)
    holes = [float(with_holes(log).mean()) for log in logs]
    found = judged.of_inputs(
        compared(
            input_columns(*logs, columns),
            level=rule.level,
            permutations=rule.permutations,
            seed=rule.seed,
        )
    )
    found += _propensities(logs, target, rule, shared)
    found += _outcomes(logs, time, rule, shared, any(holes))
    if any(holes):
        found.append(judged.of_holes(*holes))
    for name, given in (segments or {}).items():
        found += _segments(logs, name, given, rule, shared, len(segments or {}))
    names = [list(loggers_of(log)) for log in logs]
    new = [name for name in names[1] if name not in names[0]] if all(names) else []
    sizes = [(len(log), log.n_sessions, len(np.unique(log.unit))) for log in logs]
    what = "reward a decision" if any(holes) else "reward a session"
    return DriftReport(
        judged.with_actions(found, new, names[0]), rule, (sizes[0], sizes[1]), what, _notes(logs)
    )


def _check(logs: tuple[LoggedDataset, LoggedDataset]) -> None:
    a, b = logs
    if (a.n_items, a.slate_size) != (b.n_items, b.slate_size):
        raise LogError(
            f"the reference has slates of {a.slate_size} of {a.n_items} items, the recent log of "
            f"{b.slate_size} of {b.n_items}: compare logs of one catalogue and one slate size"
        )
    for log, side in zip(logs, ("reference", "recent"), strict=True):
        if log.row_weight is not None:
            raise LogError(
                f"the {side} log has row_weight: compare logs of all rows, or of whole sessions "
                "that were kept without weights"
            )
        if not len(log):
            raise LogError(f"the {side} log has no rows")


def _propensities(
    logs: tuple[LoggedDataset, LoggedDataset],
    target: Scores | None,
    rule: DriftRule,
    shared: bool,
) -> list[DriftFinding]:
    level = rule.part(CHOICES / (1 if target is None or target[0] is None else 2))
    how = outcomes.How(level, shared, rule.monitored)
    a = exploration(*logs, how)
    found = [judged.of_choices(a.what, a.change, rule)]
    both = [set(loggers_of(log)) for log in logs]
    if min(map(len, both)) > 1:
        for name in sorted(both[0] & both[1]):
            keep = tuple(loggers_of(log)[name] for log in logs)
            one = exploration(*logs, how, keep=(keep[0], keep[1]))
            found.append(judged.of_choices(f"{one.what}, logger {name}", one.change, rule))
    if target is not None and target[0] is not None:
        change = effective_share(logs, (target[0], target[1]), how)
        found.append(judged.of_choices("log of the target's effective share", change, rule))
    if target is not None:
        checks = mean_weights(logs[1], target[1])
        return found + [judged.of_mean_weight(f, None, Level.WARN) for f in checks]
    old, new = (mean_weights(log, None) for log in logs)
    before = {f.check: f for f in old}
    return found + [judged.of_mean_weight(f, before.get(f.check), Level.FAIL) for f in new]


def _outcomes(
    logs: tuple[LoggedDataset, LoggedDataset],
    time: ArrayLike | None,
    rule: DriftRule,
    shared: bool,
    holes: bool,
) -> list[DriftFinding]:
    how = outcomes.How(rule.part(VALUE), shared, rule.monitored)
    if holes:
        means = [outcomes.decision_means(log, log.reward) for log in logs]
        change = outcomes.change_of(how, *means)
        return [judged.of_value("reward a decision", change, rule, subject="outcomes")]
    totals = [log.session_rewards() for log in logs]
    means = [outcomes.session_means(log, x) for log, x in zip(logs, totals, strict=True)]
    change = outcomes.change_of(how, *means)
    found = [judged.of_value("reward a session", change, rule, subject="outcomes")]
    sizes = [np.bincount(log.sessions).astype(np.float64) for log in logs]
    if any(len(np.unique(size)) > 1 for size in sizes):
        means = [outcomes.session_means(log, x) for log, x in zip(logs, sizes, strict=True)]
        length = outcomes.change_of(how._replace(level=rule.part(LENGTH)), *means)
        found.append(judged.of_value("decisions a session", length, rule, subject="outcomes"))
    if time is not None:
        found += _late(logs, totals, time, rule)
    return found


def _late(
    logs: tuple[LoggedDataset, LoggedDataset], totals: list[F64], time: ArrayLike, rule: DriftRule
) -> list[DriftFinding]:
    """The detector over the recent log's users, by the time of their first decision. Its run length
    makes a false alarm in a log of this size as rare as its share says."""
    recent, at = logs[1], np.asarray(seconds(time), np.float64)
    if at.shape != (len(recent),):
        raise LogError(f"time has shape {at.shape}; it is ({len(recent)},), one a decision")
    means = [outcomes.session_means(log, x) for log, x in zip(logs, totals, strict=True)]
    each = [m.total / m.size for m in means]
    if min(map(len, each)) < 2 or not np.ptp(each[0]) > 0:
        return []
    first = np.full(len(means[1].user), np.inf)
    np.minimum.at(first, np.searchsorted(means[1].user, recent.unit), at)
    length = len(each[1]) / ((1 - rule.level) * LATE)
    watch = Outcomes.begin(reference_of(each[0], tolerance=rule.margin), run_length=length)
    _, alarm = watch.update(each[1][np.argsort(first, kind="stable")])
    return [judged.of_late_change(alarm, length)]


def _segments(
    logs: tuple[LoggedDataset, LoggedDataset],
    name: str,
    given: Pair | Segment,
    rule: DriftRule,
    shared: bool,
    kinds: int,
) -> list[DriftFinding]:
    pair = (given(logs[0]), given(logs[1])) if callable(given) else given
    sides = zip(logs, pair, ("reference", "recent"), strict=True)
    a, b = (labels_of(log, x, side) for log, x, side in sides)
    totals = logs[0].session_rewards(), logs[1].session_rewards()
    how = outcomes.How(rule.part(SEGMENTS / kinds), shared, rule.monitored)
    changes = segment_changes(logs, totals, (a, b), how)
    return [
        judged.of_value(f"reward a session, {name} {c.name}", c.change, rule, subject="segments")
        for c in changes
    ]


def _notes(logs: tuple[LoggedDataset, LoggedDataset]) -> tuple[str, ...]:
    if all(log.user is not None for log in logs):
        return ()
    return ("A log names no users: sessions count as independent.",)
