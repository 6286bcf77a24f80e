"""Checks of what surrounds the propensities: duplicates, loggers, days, maturity, heavy units."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from offpolicy.doctor.findings import Finding, Level, by_p_value
from offpolicy.estimators import estimate
from offpolicy.estimators.terms import F64, Terms
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group

DAY = 86_400.0  # seconds
TOP = 5  # heaviest units that are left out together


def duplicates(log: LoggedDataset) -> Finding:
    """Rows equal to another in every column, where contexts are too fine for that to be chance."""
    rule = "A decision is logged once."
    states = [x for x in (log.context, log.candidate_propensity) if x is not None]
    if not states:
        return Finding("duplicates", Level.PASS, "no context to compare rows by", rule)
    rng = np.random.default_rng(0)  # a fixed projection: equal rows have equal hashes
    hashes = sum(x.astype(np.float64) @ rng.standard_normal(x.shape[1]) for x in states)
    distinct, inverse = np.unique(hashes, return_inverse=True)
    again = np.ones(len(log), bool)
    order = np.lexsort((log.reward, log.slate[:, 0], inverse))
    a, b = order[:-1], order[1:]
    again[order[0]] = False
    again[b] = (
        (inverse[a] == inverse[b])
        & (log.slate[a] == log.slate[b]).all(1)
        & (log.reward[a] == log.reward[b])
    )
    if len(distinct) < 0.5 * len(log):
        return Finding("duplicates", Level.PASS, "contexts repeat in most rows", rule)
    share = float(again.mean())
    level = Level.FAIL if share > 0.01 else Level.WARN if share > 0 else Level.PASS
    row = int(np.flatnonzero(again)[0]) if share else None
    observed = f"{again.sum()} rows equal another in state, slate and reward"
    return Finding("duplicates", level, observed, rule, "Drop retries by event id.", row=row)


def loggers(log: LoggedDataset) -> Finding:
    """Which policies served the log."""
    assert log.logger is not None
    names, counts = np.unique(log.logger, return_counts=True)
    shares = ", ".join(f"{n}: {c}" for n, c in zip(names[:6], counts[:6], strict=True))
    return Finding(
        "loggers",
        Level.PASS,
        f"{len(names)} policies served the log ({shares})",
        "Every row carries the propensity of the policy that served it.",
    )


def sample_ratio(log: LoggedDataset, expected: Mapping[str, float]) -> Finding:
    """Units per logger against the expected shares: a chi-square test."""
    from scipy.special import chdtrc

    if log.logger is None:
        raise ValueError("expected_shares needs the column `logger`")
    heads = group(log.unit).first
    served = log.logger[heads].astype("U")
    count = np.array([(served == str(k)).sum() for k in expected], np.float64)
    share = np.array(list(expected.values()), np.float64)
    if count.sum() < len(served) or not (share > 0).all() or len(count) < 2:
        raise ValueError(
            f"expected_shares names {', '.join(map(str, expected))}, the log's loggers are "
            f"{', '.join(np.unique(served))}; give each of them, two or more, a share above 0"
        )
    due = share / share.sum() * count.sum()
    p = float(chdtrc(len(count) - 1, float(((count - due) ** 2 / due).sum())))
    counts = ", ".join(
        f"{k}: {s:.0f} of {d:.0f}" for k, s, d in zip(expected, count, due, strict=True)
    )
    return by_p_value(
        "sample ratio",
        p,
        counts,
        "Units split as the experiment promised.",
        "Find the arm that lost or gained units (redirects, crashes, filters) before comparing.",
    )


def heavy_units(log: LoggedDataset) -> Finding:
    """The mean reward without its few most influential units, which may be bots."""
    unit = log.unit
    one, h = np.ones(len(log)), log.row_weight
    e = estimate(Terms(one, log.reward, None, None, unit, row_weight=h), "ips")
    if len(e.psi) <= 2 * TOP:
        return Finding("heavy units", Level.PASS, f"only {len(e.psi)} units", "")
    order = np.argsort(-np.abs(e.psi))
    g, top, rest = len(e.psi), order[:TOP], e.psi[order[TOP:]]
    se = float(rest.std() / np.sqrt(g))
    moved = -float(e.psi[top].sum()) / (g - TOP)
    level = Level.WARN if se > 0 and abs(moved) > 3 * se else Level.PASS
    who = ", ".join(log.unit_names(e.unit[top]))
    return Finding(
        "heavy units",
        level,
        f"without its {TOP} heaviest units ({who}) the mean reward moves {moved:+.3g} "
        f"({abs(moved) / se if se > 0 else 0:.1f} standard errors)",
        f"No {TOP} units should move the mean by three standard errors of the others.",
        "Look at them: bots and test accounts are dropped by rule, for all policies alike.",
    )


def per_day(log: LoggedDataset, time: F64) -> list[Finding]:
    """Reward and log-propensity per day: a log of one regime has the same every day."""
    rule = "One regime has one level; days that differ are judged apart."
    fix = "Cut the log where the regime changed, or evaluate per day."
    day = np.floor((time - time.min()) / DAY).astype(np.int64)
    if day.max() == 0:
        return [Finding("value per day", Level.PASS, "one day", rule)]
    findings = []
    for name, x in (("value per day", log.reward), ("entropy per day", -np.log(log.propensity))):
        p, low, high = _days_differ(x, day)
        observed = f"daily means between {low:.4g} and {high:.4g} over {day.max() + 1} days"
        f = by_p_value(name, p, observed, rule, fix)
        level = min(f.level, Level.WARN)  # a change of regime is news, not damage
        findings.append(Finding(f.check, level, f.found, rule, fix, p))
    return findings


def daily_means(x: F64, time: F64) -> tuple[NDArray[np.int64], F64, F64]:
    """Days since the first, mean and standard error of each day's rows."""
    day = np.floor((time - time.min()) / DAY).astype(np.int64)
    days, code = np.unique(day, return_inverse=True)
    n = np.bincount(code)
    mean = np.bincount(code, x) / n
    spread = np.bincount(code, (x - mean[code]) ** 2) / np.maximum(n - 1, 1)
    return days, np.asarray(mean), np.asarray(np.sqrt(spread / n))


def _days_differ(x: F64, day: NDArray[np.int64]) -> tuple[float, float, float]:
    """p-value of Welch's heterogeneity test over days, smallest and largest mean."""
    from scipy.special import chdtrc

    _, mean, se = daily_means(x, np.asarray(day * DAY, np.float64))
    ok = se > 0
    if ok.sum() < 2:
        return 1.0, float(mean.min()), float(mean.max())
    w = 1 / se[ok] ** 2
    centre = float((w * mean[ok]).sum() / w.sum())
    q = float((w * (mean[ok] - centre) ** 2).sum())
    return float(chdtrc(int(ok.sum()) - 1, q)), float(mean.min()), float(mean.max())


def maturity(age: F64, mature_after: float | None) -> Finding:
    """Rewards that had no time to arrive are logged as zeros."""
    rule = "A reward counts when it has had time to arrive."
    if mature_after is None:
        raise ValueError("reward_age needs mature_after: the age at which a reward is final")
    young = age < mature_after
    share = float(young.mean())
    level = Level.FAIL if share > 0.01 else Level.WARN if share > 0 else Level.PASS
    return Finding(
        "maturity",
        level,
        f"{share:.1%} of rows are younger than {mature_after:g}",
        rule,
        "Drop the young rows of ALL policies, or wait.",
        row=int(np.flatnonzero(young)[0]) if share else None,
    )
