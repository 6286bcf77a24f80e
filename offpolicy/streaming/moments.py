"""Moments: all that estimates and intervals need of a shard, in constant memory; they add up.

A shard's units are summed into columns (tops and bottoms of every ratio); only the sums and the
cross-products of columns are stored. Values are ratios of sums, their variance is a quadratic form
in the cross-products. A unit must not be split between shards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from offpolicy.diagnostics import SURE, trusted
from offpolicy.errors import NoOverlapError
from offpolicy.estimators.forms import Lost, bound_names, is_staged
from offpolicy.estimators.terms import F64, LEAST, Terms
from offpolicy.estimators.unit_totals import (
    CONTROL,
    LOGGED,
    MEAN_WEIGHT,
    Columns,
    any_staged,
    forms_of,
    lay_out,
    lost_of,
    unit_totals,
)
from offpolicy.intervals.inference import Interval, quantile


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums over units of a shard, for several estimators at once."""

    columns: tuple[Columns, ...]
    strata: int  # T, the longest session seen
    rows: int
    sessions: int
    units: int
    max_weight: float
    sums: F64  # (P,)
    cross: F64  # (P, P)
    lost: Mapping[str, Lost]  # of the estimators that change their weights

    def value(self, name: str) -> float:
        """The estimate; not a number where no weight is left."""
        if name == CONTROL:
            return float(self._steps_left() @ self._control[0]) / float(self._control[1].sum())
        own = [c for c in self.columns if c.name == name]
        weightless = name[0] != "(" and self._weight <= LEAST
        if weightless and not any(_staged(c) or abs(self.sums[c.bottom][0]) <= LEAST for c in own):
            return np.nan
        if weightless or any(not self.sums[c.bottom].any() for c in own):
            raise NoOverlapError(
                f"{name} has no value: the target policy never serves what was logged. Log with "
                "more exploration, or try a closer policy."
            )
        return sum(float(self._ratio(c).sum()) for c in own)

    def interval(self, name: str, level: float = 0.95) -> Interval:
        """Clustered t interval of the estimate, moved out by the bound on its bias."""
        bias = self.lost.get(name, Lost()).bounds()
        return self._interval([self._own(name), *self._ends(name)], bias, level)

    def uplift(self, name: str, level: float = 0.95) -> Interval:
        """Paired difference to the logging policy; with the control variate where weights can be
        trusted, as in `evaluate`."""
        logged = self._own(LOGGED)
        points = [
            (value - logged[0], slope - logged[1])
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
        spread = float(control @ self.cross @ control)
        beta = float(slope @ self.cross @ control) / spread if spread > 0 else 0.0
        return value - beta * self.value(CONTROL), slope - beta * control

    @property
    def ess(self) -> float:
        """Effective number of units, as `diagnose` counts them."""
        at = self._mean_weight
        square = float(self.cross[at, at])
        return float(self.sums[at]) ** 2 / square if square > 0 else 0.0

    @property
    def _mean_weight(self) -> int:
        return int(next(c.top for c in self.columns if c.name == MEAN_WEIGHT).start)

    @property
    def _weight(self) -> float:
        """Of all sessions at their end; none is left at some step only where none is at the end."""
        return float(self.sums[self._mean_weight])

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the estimators."""
        return tuple(dict.fromkeys(c.name for c in self.columns if c.name[0] != "("))

    @property
    def _control(self) -> tuple[F64, F64]:
        c = next(c for c in self.columns if c.name == CONTROL)
        return self.sums[c.top], self.sums[c.bottom]

    def _steps_left(self) -> F64:
        """The control weighs each increment by the steps still to come, as `martingale` does."""
        n = len(self._control[0])
        return np.ones(1) if n == 1 else np.maximum(self.strata - np.arange(n), 0).astype(float)

    def _ratio(self, c: Columns) -> F64:
        top, bottom = self.sums[c.top], self.sums[c.bottom]
        return np.divide(top, bottom, out=np.zeros_like(top), where=bottom != 0)

    def _gradient(self, name: str) -> F64:
        """Derivative (P,) of the value with respect to the sums."""
        slope = np.zeros(len(self.sums))
        for c in self.columns:
            if c.name == name == CONTROL:
                count = float(self._control[1].sum())
                slope[c.top] = self._steps_left() / count
                slope[c.bottom] = -self.value(CONTROL) / count
            elif c.name == name:
                bottom = self.sums[c.bottom]
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
        errors = [
            float(np.sqrt(max(float(slope @ self.cross @ slope), 0.0) * n / (n - 1)))
            for _, slope in points
        ]
        value, se, quantiles = points[0][0], errors[0], quantile(0.5 + level / 2, n - 1)
        low, high = value + min(bias[0], 0.0), value + max(bias[1], 0.0)
        low, high = min(low, points[min(1, len(points) - 1)][0]), max(high, points[-1][0])
        low -= quantiles * errors[min(1, len(points) - 1)]
        high += quantiles * errors[-1]
        return Interval(value, low, high, se, level, n, bias)


def _staged(c: Columns) -> bool:
    """A ratio a stratum: it divides by weights."""
    return int(c.top.stop - c.top.start) > 1


def partial(
    terms: Terms, names: Iterable[str], hyper: Mapping[str, Mapping[str, float]] | None = None
) -> Moments:
    """Moments of one shard. `names` as in ESTIMATORS, without those that need all terms at once."""
    forms = forms_of(terms, names, hyper)
    strata = terms.layout.strata[1] if any_staged(terms, forms) else 1
    columns, width = lay_out(terms, forms, strata)
    sums, cross = np.zeros(width), np.zeros((width, width))
    for totals in unit_totals(terms, forms, columns, width, strata):
        sums += totals.sum(0)
        cross += totals.T @ totals
    return Moments(
        tuple(columns),
        strata,
        len(terms),
        terms.layout.sessions.n if is_staged(terms) else len(terms),
        terms.layout.units.n,
        float(terms.weight.max()),
        sums,
        cross,
        lost_of(terms, forms),
    )


def merge(*shards: Moments) -> Moments:
    """Moments of all shards together; order does not matter.

    Raises:
        ValueError: shards of different estimators.
    """
    if not shards:
        raise ValueError("nothing to merge; pass the moments of at least one shard")
    return reduce(_merge_two, shards)


def _merge_two(a: Moments, b: Moments) -> Moments:
    strata = max(a.strata, b.strata)
    a, b = _stretch(a, strata), _stretch(b, strata)
    if a.columns != b.columns:
        raise ValueError("shards hold different estimators; make all with the same names")
    return Moments(
        a.columns,
        strata,
        a.rows + b.rows,
        a.sessions + b.sessions,
        a.units + b.units,
        max(a.max_weight, b.max_weight),
        a.sums + b.sums,
        a.cross + b.cross,
        {k: x.with_(b.lost[k]) for k, x in a.lost.items()},
    )


def _stretch(m: Moments, strata: int) -> Moments:
    """The moments over more strata: no session of this shard reaches the added ones."""
    if m.strata == strata:
        return m
    source: list[int] = []
    columns = []
    for c in m.columns:
        width = c.top.stop - c.top.start
        more = strata - m.strata if width == m.strata + 1 and width > 1 else 0
        start = len(source)
        for part in (c.top, c.bottom):
            own = list(range(part.start, part.stop))
            source += own + [own[-1]] * more
        half = (len(source) - start) // 2
        columns.append(
            Columns(c.name, slice(start, start + half), slice(start + half, len(source)))
        )
    sums, cross = m.sums[source], m.cross[np.ix_(source, source)]
    return replace(m, columns=tuple(columns), strata=strata, sums=sums, cross=cross)
