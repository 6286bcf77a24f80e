"""Checks of users and sessions: few that move the mean, and those that are no people."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offpolicy.doctor.findings import WARN_BELOW, Finding, Level, by_p_value
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import Groups

TOP = 5  # heaviest units that are left out together
TAIL = 50  # units below them that foretell how far out they stand


def heavy_units(log: LoggedDataset, unit: Groups) -> Finding:
    """The mean reward without its few most influential units, which may be bots.

    Rewards with a long tail have heavy units too: the top ones are strange only where they stand
    further out than the tail below them foretells (Hill's estimate of both; Hill, 1975).
    """
    name = "heavy units"
    total = np.bincount(unit.code, log.reward - log.reward.mean(), unit.n)
    paid = np.bincount(unit.code, log.reward != log.reward.min(), unit.n) > 0
    if paid.sum() <= TOP + TAIL:
        return Finding(name, Level.PASS, f"only {paid.sum()} units with a reward", "")
    order = np.argsort(-np.abs(total))
    top, rest = order[:TOP], total[order[TOP:]]
    se = float(rest.std() / np.sqrt(unit.n))
    moved = -float(total[top].sum()) / (unit.n - TOP)
    strange = se > 0 and abs(moved) > 3 * se and _beyond_tail(np.abs(total[order]))
    who = ", ".join(log.unit_names(log.unit[unit.first[top]]))
    return Finding(
        name,
        Level.WARN if strange else Level.PASS,
        f"without its {TOP} heaviest units ({who}) the mean reward moves {moved:+.3g} "
        f"({abs(moved) / se if se > 0 else 0:.1f} standard errors)",
        f"No {TOP} units should move the mean by three standard errors of the others.",
        "Look at them: bots and test accounts are dropped by rule, for all policies alike.",
        row=int(unit.first[top[0]]) if strange else None,
    )


def _beyond_tail(size: F64) -> bool:
    """Log-spacings of a Pareto tail's order statistics are exponential: F tests of the top few, and
    of each single gap, against the spacings below. `size` is sorted, largest first."""
    from scipy.special import fdtrc

    tail = np.log(np.maximum(size[: TOP + TAIL + 1], 1e-300))
    spacing = -np.diff(tail) * np.arange(1, len(tail))
    for at in range(1, TAIL // 2):
        top = spacing[:at].mean() if at == TOP else spacing[at - 1]
        below, freedom = float(spacing[at:].mean()), 2.0 * (TOP if at == TOP else 1)
        if top > 0 and (
            below <= 0
            or fdtrc(freedom, 2 * (len(spacing) - at), top / below) < WARN_BELOW / (TAIL // 2)
        ):
            return True
    return False


def steady_units(log: LoggedDataset, unit: Groups) -> Finding:
    """Users whose every row is a success, or more rows than users like the others could have.

    The others' chances differ: successes of a user are beta-binomial, with the correlation of two
    rows of one user, each user counting once, so that a few bots do not set it.
    """
    name = "steady users"
    rule = "No user succeeds far beyond the spread of all users."
    n = np.bincount(unit.code, minlength=unit.n).astype(np.float64)
    low, middle = float(log.reward.min()), float(np.median(log.reward))
    hit = log.reward >= middle if middle > low else log.reward > middle
    k: F64 = np.bincount(unit.code, hit, unit.n).astype(np.float64)
    several = n >= 2
    if several.sum() < 2 * TOP or hit.all() or not hit.any():
        return Finding(name, Level.PASS, "too few users with several rows", rule)
    mean = float((k[several] / n[several]).mean())
    p, worst = _beta_binomial(k, n, several, mean)
    (who,) = log.unit_names(log.unit[unit.first[[worst]]])
    row = int(unit.first[worst])
    observed = f"user {who} succeeds on {k[worst]:.0f} of {n[worst]:.0f} rows, users on {mean:.1%}"
    f = by_p_value(
        name, min(p, 1.0), observed, rule,
        "Look at this user and others like it: bots and test accounts are dropped by rule, for all "
        "policies alike.", row,
    )  # fmt: skip
    level = Level.WARN if f.level is Level.FAIL else Level.PASS  # users may be of several kinds
    return Finding(name, level, f.found, rule, f.fix, f.p_value, row if level else None)


def _beta_binomial(k: F64, n: F64, several: NDArray[np.bool_], mean: float) -> tuple[float, int]:
    """Chance of so many users so far out, over how many one counts; the furthest out of them."""
    from scipy.stats import betabinom, binom

    pairs = n[several] * (n[several] - 1)
    both = float((k[several] * (k[several] - 1) / pairs).mean())
    rho = min(max((both - mean**2) / (mean * (1 - mean)), 1e-5), 1 - 1e-5)
    size = (1 - rho) / rho
    z = (k - n * mean) / np.sqrt(n * mean * (1 - mean) * (1 + (n - 1) * rho))
    top = np.argsort(-z)[:TAIL]
    p = np.atleast_1d(betabinom.sf(k[top] - 1, n[top], mean * size, (1 - mean) * size))
    rank = np.argsort(p, kind="stable")
    so_many = np.atleast_1d(
        binom.sf(np.arange(len(p)), len(n), p[rank])
    )  # of units at least as strange as each
    return float(so_many.min()) * len(p), int(top[rank[0]])
