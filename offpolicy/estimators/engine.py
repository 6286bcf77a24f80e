"""From forms to estimates: values, influence of every unit, bias bounds. Written once, for all.

Rows are read in blocks that fit the cache, twice: sums first, then the derivative of the value.
Memory beyond the terms: one number per unit and estimator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import NoOverlapError
from offpolicy.estimators.forms import Form, FormOf, Lost, Ratio, Rows, with_row_weights
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.log.groups import Groups

BLOCK = 1 << 15  # rows; a dozen float64 columns of it fit a core's cache
NO_WEIGHT = (
    "no weight is left: the target policy never serves what was logged, or the product of its "
    "ratios over so many steps is lost to rounding; the log says nothing about it. Log with more "
    'exploration, try a closer policy, or ask for one_step or horizon="marginal".'
)
SMALL = 1e-4  # relative step of the numeric slope in weights; values are linear in most


class End(NamedTuple):
    """A bound on the truth: its estimate, and how each unit moves it."""

    value: float
    psi: F64


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A value, and how each unit moves it."""

    value: float
    psi: F64  # (G,) influence: mean 0; a unit's share of mass +e moves the value by e * psi
    unit: NDArray[np.generic]  # (G,) the units, in order of first appearance
    bias: tuple[float, float] = (0.0, 0.0)  # truth minus expectation lies in here; (0, 0): unbiased
    name: str = ""
    horizon: str = ""  # the estimand
    ends: tuple[End, End] | None = None  # the bounds that `bias` leads to are estimates themselves


class _Sums:
    """Sums of one estimator over the rows seen so far."""

    def __init__(self) -> None:
        self.top: list[F64] = []  # per ratio (T,) or (1,)
        self.bottom: list[F64] = []
        self.lost = Lost()

    def add(self, form: Form, t: Rows) -> None:
        if not self.top:
            shape = [t.n_strata if r.staged else 1 for r in form.ratios]
            self.top = [np.zeros(n) for n in shape]
            self.bottom = [np.zeros(n) for n in shape]
        for r, top, bottom in zip(form.ratios, self.top, self.bottom, strict=True):
            if not r.staged:
                top += r.top.sum()
                bottom += len(r.top) if r.bottom is None else r.bottom.sum()
                continue
            assert r.bottom is not None
            top += np.bincount(t.stratum, r.top, t.n_strata)
            bottom += np.bincount(t.stratum, r.bottom, t.n_strata)
            if r.carry is not None:
                ended = np.bincount(t.stratum, r.carry, t.n_strata)
                bottom[1:] += np.cumsum(ended)[:-1]
        self.lost = self.lost.and_of(form, t)

    def ratios(self) -> list[F64]:
        return [_divide(a, b) for a, b in zip(self.top, self.bottom, strict=True)]


def estimate_forms(t: Terms, forms: Mapping[str, FormOf]) -> dict[str, Estimate]:
    """Every estimator on the same terms.

    Where no weight is left (`Terms.weightless`), those that weigh have no value: not a number,
    within infinite bounds.

    Raises:
        NoOverlapError: a self-normalised estimator finds no weight at all.
    """
    asked, probe = list(forms), Rows(t, slice(0, 1))
    if t.weightless:
        bare = {name for name, form_of in forms.items() if form_of(probe).weighs}
        if any(_normalised(forms[name], t) for name in bare):
            raise NoOverlapError(NO_WEIGHT)
        forms = {name: form_of for name, form_of in forms.items() if name not in bare}
        valued = _estimate_forms(t, forms) if forms else {}
        return {n: without_value(t, n) if n in bare else valued[n] for n in asked}
    return _estimate_forms(t, forms)


def _estimate_forms(t: Terms, forms: Mapping[str, FormOf]) -> dict[str, Estimate]:
    forms = with_row_weights(t, forms)
    sums = {name: _Sums() for name in forms}
    for block, _ in _blocks(t):
        for name, form_of in forms.items():
            sums[name].add(form_of(block), block)
    units = t.layout.units
    psi = {name: np.zeros(units.n) for name in forms}
    sides = {n: [np.zeros(units.n), np.zeros(units.n)] for n in forms if sums[n].lost.rows}
    ratios = {name: s.ratios() for name, s in sums.items()}
    for block, rows in _blocks(t):
        code = units.code[rows]
        for name, form_of in forms.items():
            form = form_of(block)
            moved = _derivative(form, block, ratios[name], sums[name].bottom)
            _add_by_unit(psi[name], code, moved, units)
            beside = sums[name].lost.moved(form, block)
            for side, more in zip(sides.get(name, ()), beside, strict=False):
                if more is not None:
                    _add_by_unit(side, code, more, units)
    if t.learned is not None:
        for name, form_of in forms.items():
            slopes = _slopes(form_of, t, ratios[name], sums[name].bottom)
            psi[name] += np.bincount(units.code, t.learned(*slopes), units.n)
    ids = t.unit[units.first]
    found = {}
    for name in forms:
        lost, value = sums[name].lost, float(sum(r.sum() for r in ratios[name]))
        own, ends = psi.pop(name), None
        own *= units.n  # in place: a column of units more for each estimator is memory
        if lost.rows:
            for side in sides[name]:
                side *= units.n
                side += own
            low, high = (
                End(value + gap, side) for gap, side in zip(lost.gaps(), sides[name], strict=True)
            )
            ends = (low, high)
        found[name] = Estimate(value, own, ids, lost.bounds(), name, t.horizon, ends)
    return found


def _normalised(form_of: FormOf, t: Terms) -> bool:
    """Divides by weights: where there are none it has nothing to divide by."""
    end = int(t.layout.last.argmax())
    bottoms = []
    for size in (1.0, 2.0):
        probe = Rows(t, slice(end, end + 1))
        probe.weight = np.array([size])
        bottoms.append([r.bottom for r in form_of(probe).ratios])
    pairs = zip(*bottoms, strict=True)
    return any(a is not None and b is not None and bool((a != b).any()) for a, b in pairs)


def without_value(t: Terms, name: str) -> Estimate:
    """No value: not a number, between bounds that are infinite."""
    units = t.layout.units
    unbounded = (-np.inf, np.inf)
    ids = t.unit[units.first]
    return Estimate(np.nan, np.zeros(units.n), ids, unbounded, name, t.horizon)


def _blocks(t: Terms) -> Iterator[tuple[Rows, slice]]:
    for at in range(0, len(t), BLOCK):
        rows = slice(at, at + BLOCK)
        yield Rows(t, rows), rows


def _derivative(form: Form, t: Rows, ratios: list[F64], bottoms: list[F64]) -> F64:
    """What a unit of mass on each row adds to the value: (top - ratio * bottom) / sum(bottom)."""
    parts = zip(form.ratios, ratios, bottoms, strict=True)
    moved = _one_derivative(*next(parts), t)
    for r, ratio, bottom in parts:
        moved += _one_derivative(r, ratio, bottom, t)
    return moved


def _slopes(form_of: FormOf, t: Terms, ratios: list[F64], bottoms: list[F64]) -> tuple[F64, F64]:
    """Derivative (N,) of the value in each row's weight, and in its weight_before."""
    slopes = []
    for column in ("weight", "weight_before"):
        slope = np.empty(len(t))
        for block, rows in _blocks(t):
            own = getattr(block, column)
            step = SMALL * (np.abs(own) + 1)
            sides = []
            for side in (1, -1):
                beside = block.copy()
                setattr(beside, column, own + side * step)
                sides.append(_derivative(form_of(beside), beside, ratios, bottoms))
            slope[rows] = (sides[0] - sides[1]) / (2 * step)
        slopes.append(slope)
    return slopes[0], slopes[1]


def _one_derivative(r: Ratio, ratio: F64, bottom: F64, t: Rows) -> F64:
    if not r.staged:
        rate = float(ratio[0])
        moved = r.top - (rate if r.bottom is None else rate * r.bottom)
        moved *= 1 / float(bottom[0])
        return moved
    assert r.bottom is not None
    per = _divide(np.ones_like(bottom), bottom)
    moved = (r.top - ratio[t.stratum] * r.bottom) * per[t.stratum]
    if r.carry is not None:
        later = np.append(np.cumsum((ratio * per)[::-1])[::-1][1:], 0.0)
        moved -= r.carry * later[t.stratum]
    return np.asarray(moved)


def _divide(a: F64, b: F64) -> F64:
    if not b.any():
        raise NoOverlapError(NO_WEIGHT)
    return np.divide(a, b, out=np.zeros_like(b), where=b != 0)


def _add_by_unit(psi: F64, code: I64, moved: F64, units: Groups) -> None:
    if units.contiguous:
        start = int(code[0])
        part = np.bincount(code - start, moved)
        psi[start : start + len(part)] += part
    else:
        np.add.at(psi, code, moved)
