"""Moments: all that estimates and intervals need of a shard, in constant memory; they add up.

A shard's units are summed into columns (tops and bottoms of every ratio); only the sums and the
cross-products of columns are stored. Values are ratios of sums, their variance is a quadratic form
in the cross-products. A unit must not be split between shards. Tops are shifted (see `shifts`), so
that large values of small spread do not cancel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from offpolicy.diagnostics import SURE, trusted
from offpolicy.errors import NoOverlapError
from offpolicy.estimators.forms import Lost, bound_names
from offpolicy.estimators.terms import F64, LEAST
from offpolicy.estimators.unit_totals import (
    CONTROL,
    LOGGED,
    MEAN_WEIGHT,
    Columns,
)
from offpolicy.intervals.inference import Interval, quantile
from offpolicy.streaming.shifts import change_shift

ROUNDING = 1e-14  # of a square, relative to what its terms could add up to


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums over units of a shard, for several estimators at once."""

    columns: tuple[Columns, ...]
    strata: int  # T, the longest session seen
    rows: int
    sessions: int
    units: int
    max_weight: float
    shifted_sums: F64  # (P,), of tops less shift x bottom
    shifted_cross: F64  # (P, P), likewise
    shift: F64  # (P,), 0 for bottoms
    lost: Mapping[str, Lost]  # of the estimators that change their weights

    def value(self, name: str) -> float:
        """The estimate; not a number where no weight is left."""
        if name == CONTROL:
            return float(self._steps_left() @ self._control[0]) / float(self._control[1].sum())
        own = [c for c in self.columns if c.name == name]
        weightless = name[0] != "(" and self._weight <= LEAST
        bottoms = [self.shifted_sums[c.bottom] for c in own]
        divides = (_staged(c) or abs(x[0]) <= LEAST for c, x in zip(own, bottoms, strict=True))
        if weightless and not any(divides):
            return np.nan
        if weightless or any(not x.any() for x in bottoms):
            raise NoOverlapError(
                f"{name} has no value: the target policy never serves what was logged. Log with "
                "more exploration, or try a closer policy."
            )
        seen = [np.where(self.shifted_sums[c.bottom] != 0, self.shift[c.top], 0.0) for c in own]
        rest = sum(float(self._ratio(c).sum()) for c in own)
        return sum(float(shift.sum()) for shift in seen) + rest

    def interval(self, name: str, level: float = 0.95) -> Interval:
        """Clustered t interval of the estimate, moved out by the bound on its bias."""
        bias = self.lost.get(name, Lost()).bounds()
        return self._interval([self._own(name), *self._ends(name)], bias, level)

    def uplift(self, name: str, level: float = 0.95) -> Interval:
        """Paired difference to the logging policy; with the control variate where weights can be
        trusted, as in `evaluate`."""
        logged = self._own(LOGGED)
        points = [
            (_gap(value, logged[0]), slope - logged[1])
            for value, slope in (self._own(name), *self._ends(name))
        ]
        bias = self.lost.get(name, Lost()).bounds()
        if trusted(self.ess, self.interval(MEAN_WEIGHT, SURE)):
            points = [self._adjusted(*point) for point in points]
            value, low, high = (points * 3)[:3] if len(points) == 1 else points
            bias = (min(low[0] - value[0], 0.0), max(high[0] - value[0], 0.0))
        return self._interval(points, bias, level)

    def _own(self, name: str) -> tuple[float, F64]:
        return self.value(name), self._gradient(name)

    def _ends(self, name: str) -> list[tuple[float, F64]]:
        """The bounds of the truth, where the estimator changed its weights."""
        if name not in self.lost:
            return []
        value, slope = self._own(name)
        missed, gained = (self._own(key) for key in bound_names(name))
        return [
            (value + cut * missed[0] + more * gained[0], slope + cut * missed[1] + more * gained[1])
            for cut, more in self.lost[name].ends()
        ]

    def _adjusted(self, value: float, slope: F64) -> tuple[float, F64]:
        control = self._gradient(CONTROL)
        spread = self._square(control)
        beta = float(slope @ self.shifted_cross @ control) / spread if spread > 0 else 0.0
        return value - beta * self.value(CONTROL), slope - beta * control

    @property
    def ess(self) -> float:
        """Effective number of units, as `diagnose` counts them."""
        c = self._mean_weight
        at = np.zeros(len(self.shifted_sums))  # of the weights themselves
        at[c.top], at[c.bottom] = 1.0, self.shift[c.top]
        square = self._square(at)
        return float(at @ self.shifted_sums) ** 2 / square if square > 0 else 0.0

    @property
    def sums(self) -> F64:
        """(P,) sums of the columns as they are."""
        return shifted(self, np.zeros_like(self.shift)).shifted_sums

    @property
    def cross(self) -> F64:
        """(P, P) cross-products of the columns as they are."""
        return shifted(self, np.zeros_like(self.shift)).shifted_cross

    @property
    def _mean_weight(self) -> Columns:
        return next(c for c in self.columns if c.name == MEAN_WEIGHT)

    @property
    def _weight(self) -> float:
        """Of all sessions at their end; none is left at some step only where none is at the end."""
        c = self._mean_weight
        shifted, count = self.shifted_sums[c.top], self.shifted_sums[c.bottom]
        return float((shifted + self.shift[c.top] * count).sum())

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the estimators."""
        return tuple(dict.fromkeys(c.name for c in self.columns if c.name[0] != "("))

    @property
    def _control(self) -> tuple[F64, F64]:
        c = next(c for c in self.columns if c.name == CONTROL)
        return self.shifted_sums[c.top], self.shifted_sums[c.bottom]

    def _steps_left(self) -> F64:
        """The control weighs each increment by the steps still to come, as `martingale` does."""
        n = len(self._control[0])
        return np.ones(1) if n == 1 else np.maximum(self.strata - np.arange(n), 0).astype(float)

    def _square(self, x: F64) -> float:
        """x' cross x; 0 where it is below the rounding of its own terms."""
        square = float(x @ self.shifted_cross @ x)
        at = np.flatnonzero(x)
        terms = np.abs(x[at]) * np.sqrt(np.abs(np.diagonal(self.shifted_cross)[at]))
        return square if square > ROUNDING * float(terms.sum()) ** 2 else 0.0

    def _ratio(self, c: Columns) -> F64:
        """What is left of a ratio, (T,), without its shift."""
        top, bottom = self.shifted_sums[c.top], self.shifted_sums[c.bottom]
        return np.divide(top, bottom, out=np.zeros_like(top), where=bottom != 0)

    def _gradient(self, name: str) -> F64:
        """Derivative (P,) of the value with respect to the sums."""
        slope = np.zeros(len(self.shifted_sums))
        for c in self.columns:
            if c.name == name == CONTROL:
                count = float(self._control[1].sum())
                slope[c.top] = self._steps_left() / count
                slope[c.bottom] = -self.value(CONTROL) / count
            elif c.name == name:
                bottom = self.shifted_sums[c.bottom]
                per = np.divide(1.0, bottom, out=np.zeros_like(bottom), where=bottom != 0)
                slope[c.top] += per
                slope[c.bottom] -= self._ratio(c) * per
        return slope

    def _interval(
        self, points: list[tuple[float, F64]], bias: tuple[float, float], level: float
    ) -> Interval:
        """Of a value, or of a value and the bounds that its bias leaves."""
        n = self.units
        if n < 2:
            raise ValueError(f"an interval needs 2 independent units, got {n}; log more sessions")
        if np.isnan(points[0][0]):
            return Interval(np.nan, -np.inf, np.inf, np.inf, level, n, (-np.inf, np.inf))
        errors = [float(np.sqrt(self._square(slope) * n / (n - 1))) for _, slope in points]
        value, se, quantiles = points[0][0], errors[0], quantile(0.5 + level / 2, n - 1)
        low, high = value + min(bias[0], 0.0), value + max(bias[1], 0.0)
        low, high = min(low, points[min(1, len(points) - 1)][0]), max(high, points[-1][0])
        low -= quantiles * errors[min(1, len(points) - 1)]
        high += quantiles * errors[-1]
        return Interval(value, low, high, se, level, n, bias)


def _gap(value: float, logged: float) -> float:
    """Their difference; 0 where it is below the rounding of the two."""
    equal = abs(value - logged) <= ROUNDING * (abs(value) + abs(logged))
    return 0.0 if equal else value - logged


def _staged(c: Columns) -> bool:
    """A ratio a stratum: it divides by weights."""
    return int(c.top.stop - c.top.start) > 1


def shifted(m: Moments, shift: F64) -> Moments:
    """The same moments with other shifts."""
    change = m.shift - shift
    if not change.any():
        return m
    sums, cross = change_shift(m.columns, m.shifted_sums, m.shifted_cross, change)
    return replace(m, shifted_sums=sums, shifted_cross=cross, shift=shift)
