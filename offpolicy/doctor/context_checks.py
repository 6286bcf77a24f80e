"""Checks of what surrounds the propensities: loggers, their shares, maturity."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from offpolicy.doctor.findings import Finding, Level, by_p_value
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group


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
