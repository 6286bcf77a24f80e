"""What users' past explains is taken off the difference of a trial's arms (CUPED)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64
from offpolicy.intervals.inference import Interval, interval
from offpolicy.trials.comparing import Compared, influence
from offpolicy.trials.units import TrialUnits

NONE_SAVED = 1e-12  # share of the variance below which a covariate does nothing


class Adjusted(NamedTuple):
    """A comparison less what the past explains of it."""

    moved: float  # what is taken off the difference; 0 in expectation, as arms are drawn
    compared: Compared
    saved: Interval  # share of the variance of the difference that went


def adjusted(units: TrialUnits, c: Compared, level: float = 0.95) -> Adjusted:
    """Deviations less slope * (past - mean past of the cell), with one slope for both arms by least
    squares inside cells. Whether a user has a past is a second covariate, and users without one
    have the mean past of their stratum, so they keep their variance. Where the slope takes nothing
    off the variance, nothing is changed. Deng, Xu, Kohavi & Walker (2013), "Improving the
    sensitivity of online controlled experiments by utilizing pre-experiment data".

    Raises:
        ValueError: the units have no covariate.
    """
    if units.covariate is None:
        raise ValueError("these units have no covariate: give each user a number of the past")
    cells = units.cells
    past = _of_strata(units, units.covariate)
    used = cells.rows * (c.coefficient != 0)
    means = np.stack([_mean(units, column) for column in past], axis=1)  # (C, P)
    centred = past.T - means[cells.code]
    kept = (used > 0)[cells.code]
    z, y = centred[kept], c.residual[kept]
    slope = np.linalg.lstsq(z.T @ z, z.T @ y, rcond=1e-10)[0]
    share = np.abs(c.coefficient) * np.sqrt(cells.rows * np.maximum(cells.rows - 1, 0))
    off = (means * share[:, None]) @ slope  # (C,) what the past adds to the arms' levels
    after = Compared(
        c.canary - float(off[1::2].sum()),
        c.control - float(off[0::2].sum()),
        c.residual - centred @ slope,
        c.coefficient,
    )
    plain, less = influence(units, c, 0.0)[0].psi, influence(units, after, 0.0)[0].psi
    before, now = plain * plain, less * less
    total = float(before.sum())
    if not now.sum() < total * (1 - NONE_SAVED):
        return Adjusted(0.0, c, Interval(0.0, 0.0, 0.0, 0.0, level, len(plain)))
    ratio = float(now.sum()) / total
    psi = (ratio * before - now) / before.mean()
    saved = interval(Estimate(1 - ratio, psi, np.arange(len(psi))), level)
    return Adjusted((c.canary - c.control) - (after.canary - after.control), after, saved)


def _of_strata(units: TrialUnits, covariate: F64) -> F64:
    """(2, U) the past less its mean in the stratum, 0 where it is not known; and who has one."""
    known = np.isfinite(covariate)
    stratum, n = units.cells.code // 2, len(units.cells.strata)
    count = np.bincount(stratum, known, n)
    mean = np.bincount(stratum, np.where(known, covariate, 0.0), n) / np.maximum(count, 1)
    share = count / np.maximum(np.bincount(stratum, minlength=n), 1)
    return np.stack([np.where(known, covariate - mean[stratum], 0.0), known - share[stratum]])


def _mean(units: TrialUnits, x: F64) -> F64:
    cells = units.cells
    return np.asarray(np.bincount(cells.code, x, len(cells.rows)) / np.maximum(cells.rows, 1))
