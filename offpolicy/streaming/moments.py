"""Moments: all that estimates and intervals need of a shard, in constant memory; they add up.

A shard's units are summed into columns (tops and bottoms of every ratio); only the sums and the
cross-products of columns are stored. Values are ratios of sums, their variance is a quadratic form
in the cross-products. A unit must not be split between shards. Tops are shifted (see `shifts`), so
that large values of small spread do not cancel.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import reduce

import numpy as np

from offpolicy.diagnostics import SURE, trusted
from offpolicy.errors import NoOverlapError
from offpolicy.estimators.forms import Lost, is_staged
from offpolicy.estimators.terms import F64, Terms
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
from offpolicy.streaming.shifts import change_shift, common_shift, first_shift, subtract_shift

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
        """The estimate."""
        if name == CONTROL:
            return float(self._steps_left() @ self._control[0]) / float(self._control[1].sum())
        own = [c for c in self.columns if c.name == name]
        if any(not self.shifted_sums[c.bottom].any() for c in own):
            raise NoOverlapError(
                f"{name} has no value: the target policy never serves what was logged. Log with "
                "more exploration, or try a closer policy."
            )
        seen = [np.where(self.shifted_sums[c.bottom] != 0, self.shift[c.top], 0.0) for c in own]
        rest = sum(float(self._ratio(c).sum()) for c in own)
        return sum(float(shift.sum()) for shift in seen) + rest

    def interval(self, name: str, level: float = 0.95) -> Interval:
        """Clustered t interval of the estimate, moved out by the bound on its bias."""
        return self._interval(name, self.value(name), self._gradient(name), level)

    def uplift(self, name: str, level: float = 0.95) -> Interval:
        """Paired difference to the logging policy; with the control variate where weights can be
        trusted, as in `evaluate`."""
        slope = self._gradient(name) - self._gradient(LOGGED)
        if not trusted(self.ess, self.interval(MEAN_WEIGHT, SURE)):
            return self._interval(name, self._difference(name), slope, level)
        control = self._gradient(CONTROL)
        spread = self._square(control)
        beta = float(slope @ self.shifted_cross @ control) / spread if spread > 0 else 0.0
        value = self._difference(name) - beta * self.value(CONTROL)
        return self._interval(name, value, slope - beta * control, level)

    def _difference(self, name: str) -> float:
        """To the logging policy; 0 where it is below the rounding of the two values."""
        value, logged = self.value(name), self.value(LOGGED)
        equal = abs(value - logged) <= ROUNDING * (abs(value) + abs(logged))
        return 0.0 if equal else value - logged

    @property
    def ess(self) -> float:
        """Effective number of units, as `diagnose` counts them."""
        c = next(c for c in self.columns if c.name == MEAN_WEIGHT)
        at = np.zeros(len(self.shifted_sums))  # of the weights themselves
        at[c.top], at[c.bottom] = 1.0, self.shift[c.top]
        square = self._square(at)
        return float(at @ self.shifted_sums) ** 2 / square if square > 0 else 0.0

    @property
    def sums(self) -> F64:
        """(P,) sums of the columns as they are."""
        return _shifted(self, np.zeros_like(self.shift)).shifted_sums

    @property
    def cross(self) -> F64:
        """(P, P) cross-products of the columns as they are."""
        return _shifted(self, np.zeros_like(self.shift)).shifted_cross

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

    def _interval(self, name: str, value: float, slope: F64, level: float) -> Interval:
        n = self.units
        if n < 2:
            raise ValueError(f"an interval needs 2 independent units, got {n}; log more sessions")
        se = float(np.sqrt(self._square(slope) * n / (n - 1)))
        half = quantile(0.5 + level / 2, n - 1) * se
        low, high = bias = self.lost.get(name, Lost()).bounds()
        return Interval(value, value - half + low, value + half + high, se, level, n, bias)


def partial(
    terms: Terms,
    names: Iterable[str],
    hyper: Mapping[str, Mapping[str, float]] | None = None,
    *,
    like: Moments | None = None,
) -> Moments:
    """Moments of one shard. `names` as in ESTIMATORS, without those that need all terms at once.

    `like` are moments of a shard before: with its shifts the two are added up and nothing else.
    """
    forms = forms_of(terms, names, hyper)
    strata = terms.layout.strata[1] if any_staged(terms, forms) else 1
    if like is not None:
        strata = max(strata, like.strata)
        like = _stretch(like, strata)
    columns, width = lay_out(terms, forms, strata)
    shift = np.zeros(width) if like is None else like.shift.copy()
    sums, cross = np.zeros(width), np.zeros((width, width))
    seen = sums if like is None else like.shifted_sums
    for totals in unit_totals(terms, forms, columns, width, strata):
        own = totals.sum(0)
        shift = first_shift(columns, shift, seen, own)
        subtract_shift(columns, totals, shift)
        seen = seen + own
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
        shift,
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
    large, small = (a, b) if a.units >= b.units else (b, a)
    shift = common_shift(large.columns, large.shift, large.shifted_sums, small.shift)
    a, b = _shifted(a, shift), _shifted(b, shift)
    return Moments(
        a.columns,
        strata,
        a.rows + b.rows,
        a.sessions + b.sessions,
        a.units + b.units,
        max(a.max_weight, b.max_weight),
        a.shifted_sums + b.shifted_sums,
        a.shifted_cross + b.shifted_cross,
        shift,
        {k: x.with_(b.lost[k]) for k, x in a.lost.items()},
    )


def _shifted(m: Moments, shift: F64) -> Moments:
    """The same moments with other shifts."""
    change = m.shift - shift
    if not change.any():
        return m
    sums, cross = change_shift(m.columns, m.shifted_sums, m.shifted_cross, change)
    return replace(m, shifted_sums=sums, shifted_cross=cross, shift=shift)


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
    sums, cross = m.shifted_sums[source], m.shifted_cross[np.ix_(source, source)]
    shift = m.shift[source]
    return replace(
        m,
        columns=tuple(columns),
        strata=strata,
        shifted_sums=sums,
        shifted_cross=cross,
        shift=shift,
    )
