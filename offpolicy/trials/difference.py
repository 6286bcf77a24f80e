"""The difference between the arms of a trial, with bounds that hold at all looks together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64
from offpolicy.intervals.bounds import confidence_sequence, sequence_radius
from offpolicy.intervals.inference import Interval, check_level, quantile, standard_error
from offpolicy.trials.comparing import Compared, Per, compare, influence
from offpolicy.trials.covariates import adjusted
from offpolicy.trials.units import TrialUnits

TUNED_AT = 1_000.0  # sessions (`Difference.sessions`) at which the bounds are narrowest
LEAST_USERS = 10  # of either arm; with fewer there are no bounds


@dataclass(frozen=True, slots=True)
class Difference:
    """Canary minus control, in one metric."""

    value: float  # not a number where no stratum has two users in both arms
    low: float  # infinite where there is too little to bound it
    high: float
    se: float  # clustered by user
    canary: float  # level of each arm, over strata as the difference is
    control: float
    users: int
    sessions: float  # effective: sum over strata of s_c s_t / (s_c + s_t), sessions of the arms
    canary_users: int = 0
    saved: Interval | None = None  # share of the variance that a covariate took away


def difference(
    units: TrialUnits,
    name: str,
    *,
    level: float = 0.95,
    tuned_at: float = TUNED_AT,
    per: Per = "user",
    covariate: bool = False,
) -> Difference:
    """Canary minus control in the metric `name`: per user the total of a user in a stratum, over
    users seen there; per session the ratio of sums. Strata are joined with weights
    n_c n_t / (n_c + n_t), users of the arms, so that a level that moves between strata does not
    count; influences are summed per user over strata.

    The bounds are those of `confidence_sequence`, whose clock runs in effective sessions and is
    narrowest at `tuned_at` of them, widened by Student's t with Welch's degrees of freedom and by
    an event that one arm alone has not shown. They hold at all looks together for an effect that
    does not change. `covariate` takes off what the users' past explains (`covariates.adjusted`).
    Waudby-Smith et al. (2024), Welch (1947).

    Raises:
        ValueError: an unknown metric, a level outside (0, 1), no `tuned_at` above 0, a covariate
            that is not there.
    """
    check_level(level)
    x = units.metric(name)
    cells = units.cells
    size = _effective(np.maximum(cells.sessions, cells.rows))
    canary_users = int(cells.rows[1::2].sum())
    c = compare(units, x, per)
    if c is None:
        nan, inf, users = float("nan"), float("inf"), units.users.n
        return Difference(nan, -inf, inf, inf, nan, nan, users, size, canary_users)
    if not 0 < tuned_at < np.inf:
        raise ValueError(f"tuned_at = {tuned_at}; it is a number of sessions, above 0")
    value, saved = c.canary - c.control, None
    if covariate:
        taken = adjusted(units, c)
        value, c, saved = value - taken.moved, taken.compared, taken.saved
    estimate, row_psi = influence(units, c, value)
    i = _bounds(units, estimate, row_psi, c, level, tuned_at * len(estimate.psi) / max(size, 1e-9))
    return Difference(
        value,
        i.low,
        i.high,
        i.se,
        c.canary,
        c.control,
        len(estimate.psi),
        size,
        canary_users,
        saved,
    )


def _effective(sessions: F64) -> float:
    """Sum over strata of s_c s_t / (s_c + s_t)."""
    c, t = sessions[1::2], sessions[0::2]
    return float((c * t / np.maximum(c + t, 1e-300)).sum())


def _bounds(
    units: TrialUnits, e: Estimate, rows: F64, c: Compared, level: float, tuned_at: float
) -> Interval:
    from scipy.special import ndtr

    n, cells = len(e.psi), units.cells
    arms = cells.rows[0::2].sum(), cells.rows[1::2].sum()
    se = standard_error(e)
    nothing = Interval(e.value, -np.inf, np.inf, se, level, n)
    miss = float(ndtr(-float(sequence_radius(n / tuned_at, 1 - level))))
    if min(arms) < LEAST_USERS or not se > 0 or miss < 1e-250:
        return nothing
    i = confidence_sequence(e, level, tuned_at=tuned_at, unseen=_unseen(e, c, n))
    wider = quantile(miss, _freedom(units, rows)) / quantile(miss, n - 1)
    if not np.isfinite(wider):
        return nothing
    down, up = (abs(bound - e.value) * max(wider, 1.0) for bound in (i.low, i.high))
    return Interval(e.value, e.value - down, e.value + up, i.se, level, n)


def _unseen(e: Estimate, c: Compared, n: int) -> tuple[float, float]:
    """Sizes of the largest influence that a user of EITHER arm would have with the largest
    deviation that any arm has shown."""
    high, low = float(c.residual.max()) * n, -float(c.residual.min()) * n
    canary, control = float(c.coefficient[1::2].max()), -float(c.coefficient[0::2].min())
    below, above = max(canary * low, control * high), max(canary * high, control * low)
    return max(below, -float(e.psi.min())), max(above, float(e.psi.max()))


def _freedom(units: TrialUnits, rows: F64) -> float:
    """Welch-Satterthwaite degrees of freedom over the cells."""
    cells = units.cells
    square = np.bincount(cells.code, rows * rows, len(cells.rows))
    freedom = np.maximum(cells.rows - 1, 1)
    return float(square.sum() ** 2 / (square**2 / freedom).sum())
