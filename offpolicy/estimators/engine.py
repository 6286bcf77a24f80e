"""From forms to estimates: values, influence of every unit, bias bounds. Written once, for all.

Rows are read in blocks that fit the cache, twice: sums first, then the derivative of the value.
Memory beyond the terms: one number per unit and estimator.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import NoOverlapError
from offpolicy.estimators.forms import Form, FormOf, Lost, Ratio, Rows, with_row_weights
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.log.groups import Groups

BLOCK = 1 << 15  # rows; a dozen float64 columns of it fit a core's cache


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A value, and how each unit moves it."""

    value: float
    psi: F64  # (G,) influence: mean 0; a unit's share of mass +e moves the value by e * psi
    unit: NDArray[np.generic]  # (G,) the units, in order of first appearance
    bias: tuple[float, float] = (0.0, 0.0)  # truth minus expectation lies in here; (0, 0): unbiased
    name: str = ""
    horizon: str = ""  # the estimand


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

    Raises:
        NoOverlapError: a self-normalised estimator finds no weight at all.
    """
    forms = with_row_weights(t, forms)
    sums = {name: _Sums() for name in forms}
    for block, _ in _blocks(t):
        for name, form_of in forms.items():
            sums[name].add(form_of(block), block)
    units = t.layout.units
    psi = {name: np.zeros(units.n) for name in forms}
    ratios = {name: s.ratios() for name, s in sums.items()}
    for block, rows in _blocks(t):
        code = units.code[rows]
        for name, form_of in forms.items():
            moved = _derivative(form_of(block), block, ratios[name], sums[name].bottom)
            _add_by_unit(psi[name], code, moved, units)
    ids = t.unit[units.first]
    return {
        name: Estimate(
            float(sum(r.sum() for r in ratios[name])),
            psi[name] * units.n,
            ids,
            sums[name].lost.bounds(),
            name,
            t.horizon,
        )
        for name in forms
    }


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
        raise NoOverlapError(
            "all weights are 0: the target policy never serves what was logged, and the log says "
            "nothing about it. Log with more exploration, or try a closer policy."
        )
    return np.divide(a, b, out=np.zeros_like(b), where=b != 0)


def _add_by_unit(psi: F64, code: I64, moved: F64, units: Groups) -> None:
    if units.contiguous:
        start = int(code[0])
        part = np.bincount(code - start, moved)
        psi[start : start + len(part)] += part
    else:
        np.add.at(psi, code, moved)
