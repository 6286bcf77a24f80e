"""Can this log speak about that policy? Overlap, weights, support."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.formulas import mean_weight
from offpolicy.estimators.terms import F64, Terms
from offpolicy.intervals.gamma import gamma_interval, seen
from offpolicy.intervals.inference import Interval, without_rounding

JUDGED = 500.0  # effective units from which the gate judges by default; at 200 one of six honest
# heavy-tailed logs passed
ENOUGH = 100.0  # effective units under which an interval is not to be trusted
SURE = 0.999  # level of the mean-weight interval: to blame propensities takes more than 95 %


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What to know about the weights before believing an estimate."""

    rows: int
    sessions: int  # what the estimand is per; decisions for one_step
    units: int  # independent units
    ess: float  # effective number of independent units: (sum w)^2 / sum w^2 of unit totals
    ess_rows: float  # the same over decisions (one_step) or sessions, as if they were independent
    max_weight: float
    top_share: float  # share of all weight that the heaviest unit carries
    support: float  # share of decisions (sessions) that the target could have produced, 0..1
    mean_weight: Interval | None  # at 99.9 %, over units; None with fewer than 2 units
    horizon: str
    ess_expected: float  # `ess` to be expected of such weights, whatever was drawn

    @property
    def least_ess(self) -> float:
        """The lower one of `ess` and `ess_expected`: a log that missed its heavy weights has a
        high `ess`, but whole distributions, or the spread of log weights, tell."""
        return min(self.ess, self.ess_expected)

    @property
    def ess_share(self) -> float:
        """Effective units per unit."""
        return self.ess / self.units


def diagnose(
    terms: Terms, *, expected_rows: float | None = None, weight_bound: float | None = None
) -> Diagnostics:
    """Weights of decisions, or of whole sessions: those at which sessions ended. `expected_rows`
    are the effective decisions that whole distributions lead to expect, where they are known; of
    sessions the spread of their log weights says what to expect, unless the KNOWN `weight_bound`
    says more: E[w^2] <= bound E[w] = bound.

    Raises:
        ValueError: a weight exceeds the bound.
    """
    units = terms.layout.units
    staged = is_staged(terms)
    rows = np.flatnonzero(terms.layout.last) if staged else slice(None)
    weight = terms.weight[rows]
    counted = None if terms.row_weight is None else terms.row_weight[rows]
    mass = weight if counted is None else counted * weight
    total: F64 = np.bincount(units.code[rows], mass, units.n).astype(np.float64)
    mean = estimate_forms(terms, {"mean weight": mean_weight})["mean weight"]
    ess, ess_rows = effective(total), effective(mass)
    expected = expected_rows
    if staged:
        expected = of_spread(weight if counted is None else weight[counted > 0])
    if weight_bound is not None:
        if not float(weight.max()) <= weight_bound * (1 + 1e-6):
            raise ValueError(
                f"a weight of {weight.max():.6g} is above weight_bound = {weight_bound:.6g}; the "
                "bound is what is known before looking: 1 / share of a session_mixture"
            )
        sessions = len(weight) if counted is None else int((counted > 0).sum())
        expected = max(expected or 0.0, sessions / weight_bound)
    return Diagnostics(
        rows=len(terms),
        sessions=terms.layout.sessions.n if staged else len(terms),
        units=units.n,
        ess=ess,
        ess_rows=ess_rows,
        max_weight=float(weight.max()),
        top_share=float(total.max() / total.sum()) if total.sum() > 0 else 1.0,
        support=_mean(weight > 0, counted),
        mean_weight=_mean_interval(mean) if units.n > 1 else None,
        horizon=terms.horizon,
        ess_expected=ess * _share(ess_rows, expected),
    )


def _share(ess_rows: float, expected: float | None) -> float:
    known = expected is not None and ess_rows > 0
    return min(expected / ess_rows, 1.0) if known and expected is not None else 1.0


def of_spread(weight: F64) -> float:
    """Effective sample size of B products of ratios: B P(w > 0) exp(-Var log w), the expected one
    if those above 0 are log-normal with mean weight 1, as products over many steps are about.
    Unlike Kish's it does not hang on the few heaviest draws."""
    positive = weight[weight > 0]
    return len(positive) * float(np.exp(-np.log(positive).var())) if len(positive) else 0.0


def _mean_interval(mean: Estimate) -> Interval:
    value, psi = without_rounding(mean.value - 1, mean.psi, 1.0)
    return gamma_interval(replace(mean, value=1 + value, psi=psi), SURE, unseen=seen(psi))


def _mean(x: NDArray[np.bool_], count: F64 | None) -> float:
    return float(x.mean() if count is None else count[x].sum() / count.sum())


def mean_and_error(x: F64, row_weight: F64 | None) -> tuple[float, float]:
    """Mean of independent rows that count as often as `row_weight` says, and its standard error.
    Hajek (1971)."""
    if row_weight is None:
        return float(x.mean()), float(x.std() / np.sqrt(len(x)))
    share = row_weight / row_weight.sum()
    mean = float(share @ x)
    return mean, float(np.sqrt((share**2) @ (x - mean) ** 2))


def trusted(ess: float, mean_weight: Interval | None) -> bool:
    """Weights that average 1 over enough units: of degenerate ones the regression on a control
    variate is nonsense."""
    return mean_weight is not None and mean_weight.low <= 1 <= mean_weight.high and ess >= ENOUGH


def effective(weight: F64) -> float:
    """Kish's effective sample size: (sum w)^2 / sum w^2; 0 when all weights are 0. Kish (1965)."""
    square = float(weight @ weight)
    return float(weight.sum()) ** 2 / square if square > 0 else 0.0
