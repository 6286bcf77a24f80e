"""Checks of what surrounds the propensities: loggers, their shares, maturity, ids."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from offpolicy.doctor.findings import Finding, Level, by_p_value
from offpolicy.errors import LogError
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
    if not isinstance(expected, Mapping):
        raise ValueError(
            f"expected_shares is {expected!r}; give each logger its share, {{'a': 0.5}}"
        )
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


def item_ids(log: LoggedDataset, means: Level) -> Finding | None:
    """Items that the table's reader had to assume, below the smallest id in it: with the size of
    the catalogue unknown, it ends at the largest id seen and begins at 0. `means` is the worst
    level of the mean weights, which an item too many takes below 1. None where nothing was
    assumed."""
    if not log.provenance.inferred_items:
        return None
    rule = "Item ids run from 0 to n_items - 1."
    columns = [x for x in (log.slate, log.candidates, log.consumed) if x is not None]
    least = min(int(x[x >= 0].min()) if (x >= 0).any() else log.n_items for x in columns)
    if least == 0 or least >= log.n_items:
        return Finding(
            "item ids", Level.PASS, f"items 0 to {log.n_items - 1}, as far as seen", rule
        )
    which = "item 0 is" if least == 1 else f"items 0 to {least - 1} are"
    return Finding(
        "item ids",
        Level.FAIL if means > Level.PASS else Level.WARN,
        f"{which} never shown or offered: ids seem to start at {least}",
        rule,
        f"If they do, subtract {least} from every id (of targets too); if the catalogue does hold "
        f"{np.arange(least)[:3].tolist()} …, say so with n_items (--n-items).",
    )


def users(log: LoggedDataset) -> Finding | None:
    """A user column that tells nobody apart; None where there is none to speak of."""
    try:
        log.require_users()
    except LogError as error:
        return Finding("users", Level.FAIL, str(error), "Users are the independent units.")
    return None
