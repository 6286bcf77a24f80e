"""The whole distribution of outcomes under the target: CDF, quantiles, CVaR, variance.
Chandak et al. (2021), Huang et al. (2021)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.terms import F64, Terms
from offpolicy.intervals.inference import Interval, interval
from offpolicy.log.groups import Groups, group


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeDistribution:
    """Weighted outcomes of decisions, or discounted returns of sessions, in increasing order."""

    outcome: F64  # (M,) sorted
    weight: F64  # (M,) of the whole decision or session
    units: Groups  # of the M outcomes
    mass: F64  # (M,) share of each outcome

    def cdf(self, at: float) -> Estimate:
        """Probability of an outcome of at most `at`."""
        below = (self.outcome <= at).astype(np.float64)
        value = float(min((self.mass * below).sum(), 1.0))
        return self._estimate(value, below - value, "cdf")

    def quantile(self, p: float) -> float:
        """Smallest outcome whose probability from below reaches p in (0, 1]."""
        if not 0 < p <= 1:
            raise ValueError(f"p = {p} is outside (0, 1]")
        reached = np.cumsum(self.mass) >= p - 1e-12
        return float(self.outcome[int(reached.argmax()) if reached.any() else -1])

    def quantile_interval(self, p: float, level: float = 0.95) -> Interval:
        """Bounds by inverting the CDF's own interval at the quantile. Woodruff (1952)."""
        value = self.quantile(p)
        at = interval(self.cdf(value), level)
        spread = (at.high - at.low) / 2
        low, high = max(p - spread, 1e-12), min(p + spread, 1.0)
        bounds = self.quantile(low), self.quantile(high)
        return Interval(value, bounds[0], bounds[1], np.nan, level, at.units)

    def cvar(self, alpha: float) -> Estimate:
        """Mean of the worst share alpha of outcomes."""
        q = self.quantile(alpha)
        short = np.minimum(self.outcome - q, 0.0)
        value = q + float((self.mass * short).sum()) / alpha
        return self._estimate(value, (short - (value - q) * alpha) / alpha, "cvar")

    def mean(self) -> Estimate:
        """Expected outcome."""
        value = float((self.mass * self.outcome).sum())
        return self._estimate(value, self.outcome - value, "mean")

    def variance(self) -> Estimate:
        """Variance of the outcome."""
        square = (self.outcome - self.mean().value) ** 2
        value = float((self.mass * square).sum())
        return self._estimate(value, square - value, "variance")

    def _estimate(self, value: float, influence: F64, name: str) -> Estimate:
        psi = np.bincount(self.units.code, self.mass * influence, self.units.n) * self.units.n
        ids = self.units.first
        return Estimate(value, np.asarray(psi - psi.mean()), ids, name=name)


def _of_rows(terms: Terms) -> F64:
    """Row weights of decisions, or of sessions by their last row."""
    assert terms.row_weight is not None
    if not is_staged(terms):
        return terms.row_weight
    kept = np.empty(terms.layout.sessions.n)
    last = terms.layout.last
    kept[terms.layout.sessions.code[last]] = terms.row_weight[last]
    return kept


def outcome_distribution(terms: Terms, *, normalise: bool = True) -> OutcomeDistribution:
    """Outcomes of decisions (one_step) or returns of sessions (trajectory: the same discount as the
    value's), weighted by the target. `normalise` divides by the sum of weights; without it the
    mass adds up to the mean weight.

    Raises:
        ValueError: weights of a session differ between its steps (use horizon="trajectory").
    """
    weight, outcome, unit = terms.weight, terms.reward, terms.layout.units.code
    if is_staged(terms):
        code, n = terms.layout.sessions.code, terms.layout.sessions.n
        rows = np.zeros(n, np.int64)
        rows[code[terms.layout.last]] = np.flatnonzero(terms.layout.last)
        if not np.allclose(terms.weight, terms.weight[rows][code]):
            raise ValueError('outcome distributions need terms of horizon="trajectory"')
        outcome = np.asarray(np.bincount(code, terms.discount * terms.reward, n), np.float64)
        weight, unit = weight[rows], unit[rows]
    kept = np.ones(len(weight)) if terms.row_weight is None else _of_rows(terms)
    weight = weight * kept
    order = np.argsort(outcome, kind="stable")
    total = float(weight.sum() if normalise else kept.sum())
    if total == 0:
        raise ValueError("all weights are 0: the log says nothing about this target")
    return OutcomeDistribution(
        outcome[order], weight[order], group(unit[order]), weight[order] / total
    )
