"""What few users move: a value without its top users, and how many turn a verdict."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from offpolicy.doctor.findings import Finding, Level
from offpolicy.errors import LogError
from offpolicy.estimators.engine import Estimate
from offpolicy.intervals.inference import Interval, check_level, interval, quantile
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group

FEW, FEW_SHARE = 5, 0.001  # users that should not decide anything
LEFT_OUT = (1, 5, 20, 100)
Valued = Callable[[LoggedDataset, NDArray[np.int64]], float]


@dataclass(frozen=True, slots=True)
class Without:
    """A value without its most influential users."""

    users: int
    value: Interval


@dataclass(frozen=True, slots=True)
class Influence:
    """What the top users do to a verdict: a bound of an interval above or below a threshold."""

    value: Interval  # of all users
    threshold: float
    turned_by: int | None  # users that must be left out; 0: nothing is decided; None: no number of
    # fewer than half of them turns it
    without: tuple[Without, ...]

    @property
    def fragile(self) -> bool:
        """A handful of users, or one in a thousand, turns the verdict."""
        few = max(FEW, FEW_SHARE * self.value.units)
        return self.turned_by is not None and 0 < self.turned_by <= few


def influence(
    estimate: Estimate,
    *,
    threshold: float = 0.0,
    level: float = 0.95,
    left_out: Sequence[int] = LEFT_OUT,
) -> Influence:
    """How many users must be left out so that the interval of an estimate (an uplift, say) is no
    longer on its side of the threshold; those go first that push it there most, by their influence
    (Broderick, Giordano & Meager, 2020), which for means is exact. `left_out` are the numbers of
    users for which the value is shown.

    Raises:
        ValueError: fewer than 2 units, or a level outside (0, 1).
    """
    check_level(level)
    whole = interval(estimate, level)
    side = 1.0 if whole.value >= threshold else -1.0
    decided = (whole.low if side > 0 else -whole.high) > side * threshold
    psi = np.sort(side * estimate.psi)  # the last ones push most
    n, most = len(psi), (len(psi) - 1) // 2
    left = n - np.arange(most + 1)
    total, square = np.cumsum(psi)[::-1][: most + 1], np.cumsum(psi**2)[::-1][: most + 1]
    mean = total / left
    value = side * estimate.value + mean
    spread = np.maximum(square - left * mean**2, 0.0)
    se = np.sqrt(spread / np.maximum(left - 1, 1) / left)
    bound = value - quantile(0.5 + level / 2, n - 1) * se
    turned = np.flatnonzero(bound <= side * threshold)
    shown = []
    for k in left_out:
        if k <= most:
            kept = psi[: n - k]
            one = replace(
                estimate,
                value=side * float(value[k]),
                psi=side * (kept - kept.mean()),
                unit=estimate.unit[: n - k],
                ends=None,
            )
            shown.append(Without(k, interval(one, level)))
    first = int(turned[0]) if len(turned) else None
    return Influence(whole, threshold, first if decided else 0, tuple(shown))


def without_top_users(
    log: LoggedDataset, value_of: Valued, left_out: Sequence[int] = LEFT_OUT
) -> dict[int, float]:
    """The value of anything that is made of a log (an estimate, a learnt policy's gain) on the log
    without the users of the largest total reward, for each number of them; 0 is the whole log.

    `value_of(part, rows)` gets the part and which rows (n,) it holds, to cut target scores alike.

    Raises:
        LogError: a number of users that leaves none.
    """
    users = group(log.unit)
    total = np.bincount(users.code, np.abs(log.reward), users.n)
    place = np.empty(users.n, np.int64)
    place[np.argsort(-total, kind="stable")] = np.arange(users.n)
    values = {}
    for k in (0, *left_out):
        if not 0 <= k < users.n:
            raise LogError(f"{k} of {users.n} users left out; leave at least one in the log")
        rows = np.flatnonzero(place[users.code] >= k)
        values[k] = value_of(log.take(rows), rows)
    return values


def of_influence(found: Influence) -> Finding:
    """As a finding: few users must not decide."""
    name, rule = "top users", "No handful of users decides a verdict."
    i = found.value
    side = "above" if i.value >= found.threshold else "below"
    if found.turned_by == 0:
        text = f"{i.value:.4g} [{i.low:.4g}, {i.high:.4g}] decides nothing at {found.threshold:g}"
        return Finding(name, Level.PASS, text, rule)
    many = "no half" if found.turned_by is None else f"{found.turned_by}"
    told = (
        f"{i.value:.4g} [{i.low:.4g}, {i.high:.4g}] stays {side} {found.threshold:g} until {many} "
        f"of {i.units} users are left out"
    )
    if not found.fragile:
        return Finding(name, Level.PASS, told, rule)
    fix = "Look at these users, log more, or cap what one user may add (`longplay join --cap`)."
    return Finding(name, Level.WARN, told, rule, fix)
