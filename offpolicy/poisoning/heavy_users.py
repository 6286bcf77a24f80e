"""Heavy users: is what the top few add more than a heavy tail allows?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.doctor.findings import Finding, Level, by_p_value
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group

I64 = NDArray[np.int64]
TAIL = 50  # users below the top ones that foretell how far out they stand
TOP_SHARE, TOP_LEAST, TOP_MOST = 0.01, 5, 50  # users that are looked at together
DRAWS = 20_000
CAP_SHARE = 0.01  # a person is above the cap in one log of a hundred
TINY = 1e-300


class Heavy(NamedTuple):
    """The top users against a Pareto tail."""

    top: int
    share: float  # of the total that they add
    allowed: float  # share that is passed once in 1 / 3e-4 logs
    p_value: float
    tail: float  # index of the tail: 1 / mean log spacing
    cap: float  # that the largest of so many people stays below in 99 of 100 logs


def heavy_users(log: LoggedDataset) -> tuple[Finding, Finding]:
    """Decisions and rewards of the top users (1 %, 5 at least) against the tail of the 50 users
    below them. Users are sessions where the log names none."""
    users = group(log.unit)
    rows = np.bincount(users.code, minlength=users.n).astype(np.float64)
    paid = np.bincount(users.code, np.abs(log.reward), users.n).astype(np.float64)
    return (
        _finding(log, "decisions of heavy users", "decisions", rows, users.first),
        _finding(log, "reward of heavy users", "reward", paid, users.first),
    )


def top_share(log: LoggedDataset) -> float | None:
    """Share of the reward, in size, that the 1 % of users with the most brought; None where users
    are fewer than 100, or nothing was paid."""
    users = group(log.unit)
    paid = np.sort(np.bincount(users.code, np.abs(log.reward), users.n))[::-1]
    top = int(TOP_SHARE * users.n)
    return float(paid[:top].sum() / paid.sum()) if top and paid.sum() > 0 else None


def against_tail(total: F64, *, seed: int = 0) -> Heavy | None:
    """Totals (U,) of users: what the top ones add, and could add by the tail below them.

    Log-spacings of a Pareto tail's order statistics are exponential (Hill, 1975): the mean of 50
    below the top gives its index, with its own error, and draws of the top ones the share and the
    largest total that are allowed. Whole numbers are spread over half a unit each way, so that ties
    are no tail. None where too few users have any.
    """
    rng = np.random.default_rng(np.random.SeedSequence([seed, 50]))
    x = total[total > 0]
    top = int(np.clip(np.ceil(TOP_SHARE * len(x)), TOP_LEAST, TOP_MOST))
    if len(x) <= top + TAIL:
        return None
    spread = x + rng.uniform(-0.5, 0.5, len(x)) if bool((x == np.round(x)).all()) else x
    size = -np.sort(-spread)
    logs = np.log(np.maximum(size[: top + TAIL + 1], TINY))
    spacing = -np.diff(logs) * np.arange(1, len(logs))
    below = float(spacing[top:].mean())
    index = below * TAIL / rng.gamma(TAIL, size=(DRAWS, 1))  # mean spacings that fit what is below
    steps = index * rng.exponential(size=(DRAWS, top)) / np.arange(1, top + 1)
    above = np.cumsum(steps[:, ::-1], axis=1)[:, ::-1]  # log of each over the first one below
    drawn = size[top] * np.exp(np.minimum(above, 600.0))
    sums, rest = drawn.sum(1), float(size[top:].sum())
    seen = float(size[:top].sum())
    allowed = float(np.quantile(sums, 1 - 3e-4))
    return Heavy(
        top,
        seen / (seen + rest),
        allowed / (allowed + rest),
        float(1 + (sums >= seen).sum()) / (DRAWS + 1),
        1 / max(below, TINY),
        float(np.quantile(drawn[:, 0], 1 - CAP_SHARE)),
    )


def _finding(log: LoggedDataset, name: str, what: str, total: F64, first: I64) -> Finding:
    rule = "The top users add no more than the tail of the users below them foretells."
    found = against_tail(total)
    if found is None:
        return Finding(name, Level.PASS, "too few users to tell", rule)
    order = np.argsort(-total)[:3]
    who = ", ".join(log.unit_names(log.unit[first[order]]))
    told = (
        f"{found.top} users ({who} ...) add {found.share:.1%} of all {what}, up to "
        f"{found.allowed:.1%} is allowed by a tail of index {found.tail:.2g}; a person stays below "
        f"{found.cap:.4g}"
    )
    fix = (
        "Look at them: bots and test accounts are dropped by rule, for all policies alike; "
        f"`longplay join --cap {what}={found.cap:.0f}` bounds what one user adds in a window as "
        "long as this log."
    )
    f = by_p_value(name, found.p_value, told, rule, fix, int(first[order[0]]))
    level = Level.WARN if f.level is Level.FAIL else f.level
    return Finding(name, level, f.found, rule, fix, f.p_value, f.row if level else None)
