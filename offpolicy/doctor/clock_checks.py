"""Checks that need times: clocks, order inside sessions, and what differs between days."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offpolicy.doctor.findings import Finding, Level, by_p_value, by_share
from offpolicy.doctor.times import DAY
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import Groups, group
from offpolicy.log.names import name_of

GAP = 30.0  # days without a row that set a clock apart
MINORITY = 0.1  # share of rows beyond a gap, at most, whose clock is doubted
UNITS = 30  # of a day that is compared
ROUNDING = 1e-9  # relative: spread below which numbers are equal


def order_in_sessions(log: LoggedDataset, time: F64) -> Finding:
    """Inside a session times do not run backwards, as steps and histories do not."""
    code, row = log.sessions, np.arange(len(log))
    if not log.groups.contiguous:
        row = np.argsort(code, kind="stable")
    a, b = row[:-1], row[1:]
    same = code[a] == code[b]
    back = b[same & (time[b] < time[a])]
    first = int(back.min()) if len(back) else None
    observed = f"time falls at {len(back)} of {int(same.sum())} steps inside sessions"
    if first is not None:
        observed += (
            f"; the first is row {first} (session "
            f"{name_of(log.names, 'session', log.session[first])}, step {log.step[first]})"
        )
    return by_share(
        "order in time", len(back), int(same.sum()), observed,
        "Inside a session no row is earlier than the row before it.",
        "Number the steps by time, then build the log anew; where clocks disagree, use one.", first,
    )  # fmt: skip


def clock(time: F64) -> Finding:
    """A few rows that lie months away from all others."""
    rule = "All rows of a log are of one stretch of time."
    row = np.argsort(time, kind="stable")
    t = time[row] / DAY
    if len(t) < 2:
        return Finding("clock", Level.PASS, "one row", rule)
    gaps = np.diff(t)
    at = int(gaps.argmax())
    before, after = at + 1, len(t) - at - 1
    late = after <= before
    few, bulk = (after, t[at] - t[0]) if late else (before, t[-1] - t[at + 1])
    if gaps[at] <= max(GAP, bulk) or few > MINORITY * len(t):
        observed = f"{t[-1] - t[0]:.3g} days, the longest without a row {gaps[at]:.3g}"
        return Finding("clock", Level.PASS, observed, rule)
    first = int((row[at + 1 :] if late else row[: at + 1]).min())
    return Finding(
        "clock",
        Level.WARN,
        f"{few} rows are {gaps[at]:.0f} days or more {'after' if late else 'before'} all others; "
        f"the first is row {first}",
        rule,
        "Set the clocks of the machines or devices that wrote these rows right, or drop the rows.",
        row=first,
    )


def per_day(log: LoggedDataset, time: F64) -> list[Finding]:
    """Reward and log-propensity per day: a log of one regime has the same every day. Where the
    log names its loggers, each is compared with itself."""
    rule = "One regime has one level; days that differ are judged apart."
    fix = "Cut the log where the regime changed, or evaluate per day."
    days, day = np.unique(np.floor((time - time.min()) / DAY), return_inverse=True)
    if len(days) == 1:
        return [Finding(f"{x} per day", Level.PASS, "one day", rule) for x in ("value", "entropy")]
    cell = _units_of_days(log, day.astype(np.int64))
    findings = []
    for name, x in (("value per day", log.reward), ("entropy per day", -np.log(log.propensity))):
        p, low, high = _days_differ(_less_logger(log, x), day, cell)
        observed = f"daily means between {low:.4g} and {high:.4g} over {len(days)} days"
        f = by_p_value(name, p, observed, rule, fix)
        level = min(f.level, Level.WARN)  # a change of regime is news, not damage
        findings.append(Finding(f.check, level, f.found, rule, fix, p))
    return findings


def daily_means(x: F64, time: F64) -> tuple[NDArray[np.float64], F64, F64]:
    """Days since the first, mean and standard error of each day's rows."""
    days, code = np.unique(np.floor((time - time.min()) / DAY), return_inverse=True)
    n = np.bincount(code)
    mean = np.bincount(code, x) / n
    spread = np.bincount(code, (x - mean[code]) ** 2) / np.maximum(n - 1, 1)
    return days, np.asarray(mean), np.asarray(np.sqrt(spread / n))


def _less_logger(log: LoggedDataset, x: F64) -> F64:
    """x without the differences between loggers' means."""
    if log.logger is None:
        return x
    _, code = np.unique(log.logger, return_inverse=True)
    mean = np.bincount(code, x) / np.bincount(code)
    return np.asarray(x - mean[code] + x.mean())


def _units_of_days(log: LoggedDataset, day: NDArray[np.int64]) -> Groups | None:
    """Groups of rows of one unit and day; None where each row is a unit of its own."""
    unit = log.groups if log.user is None else group(log.user)
    return None if unit.n == len(log) else group(unit.code * (int(day.max()) + 1) + day)


def _days_differ(x: F64, day: NDArray[np.int64], cell: Groups | None) -> tuple[float, float, float]:
    """p-value of a heterogeneity test over days, smallest and largest mean. Rows of one unit and
    day may depend on each other. The variance of a day is its own, but no less than that of all
    days: a day on which a rare event failed to happen is not surer than the others."""
    from scipy.special import chdtrc

    n = np.bincount(day)
    mean = np.bincount(day, x) / n
    low, high = float(mean.min()), float(mean.max())
    off = x - mean[day]
    if cell is None:
        square, units = np.bincount(day, off**2), n
    else:
        of_cell, unit_day = np.bincount(cell.code, off), day[cell.first]
        square, units = np.bincount(unit_day, of_cell**2), np.bincount(unit_day)
    enough = units >= UNITS
    scale = float(np.abs(x).max())
    if enough.sum() < 2 or np.sqrt(square.sum() / n.sum()) <= ROUNDING * scale:
        return 1.0, low, high
    own = square / n * units / np.maximum(units - 1, 1)
    variance = np.maximum(own, square.sum() / n.sum())[enough] / n[enough]
    centre = float((mean[enough] / variance).sum() / (1 / variance).sum())
    q = float(((mean[enough] - centre) ** 2 / variance).sum())
    return float(chdtrc(int(enough.sum()) - 1, q)), low, high
