"""Forms -> columns of unit totals: what moments and the bootstrap are made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from offpolicy.estimators.forms import (
    Form,
    FormOf,
    Lost,
    Ratio,
    Rows,
    is_staged,
    per_session,
    with_bounds,
    with_row_weights,
)
from offpolicy.estimators.formulas import ips, mean_weight, pdis
from offpolicy.estimators.registry import ESTIMATORS, estimator
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.log.groups import in_group_order

ROWS = 1 << 16  # looked at together, …
ENTRIES = 1 << 23  # … or fewer, so that their totals stay as small where sessions may be long
CONTROL, MEAN_WEIGHT, LOGGED = "(control)", "(mean weight)", "(logging policy)"


class Columns(NamedTuple):
    """Where the sums of each ratio stand: top and bottom, T columns each if staged, then one for
    sessions that went on to no later step."""

    name: str
    top: slice
    bottom: slice


def forms_of(
    terms: Terms, names: Iterable[str], hyper: Mapping[str, Mapping[str, float]] | None = None
) -> dict[str, FormOf]:
    """The named forms, and those that bounds on bias, diagnostics and uplift need."""
    names = list(names)
    whole = [n for n in names if ESTIMATORS[n].whole]
    if whole:
        raise ValueError(f"{', '.join(whole)} needs all terms at once and cannot be streamed")
    wanted: dict[str, FormOf] = {n: estimator(n, **(hyper or {}).get(n, {})) for n in names}
    logging = _logged(pdis if is_staged(terms) else ips)
    wanted = with_bounds(Rows(terms, slice(0, 1)), wanted)
    wanted |= {CONTROL: increments, MEAN_WEIGHT: mean_weight, LOGGED: logging}
    return with_row_weights(terms, wanted)


def lay_out(terms: Terms, forms: Mapping[str, FormOf], strata: int) -> tuple[list[Columns], int]:
    """Columns of every ratio, and how many there are."""
    probe = Rows(terms, slice(0, 1))
    columns, at = [], 0
    for name, form_of in forms.items():
        for r in form_of(probe).ratios:
            width = strata + 1 if r.staged else 1
            columns.append(Columns(name, slice(at, at + width), slice(at + width, at + 2 * width)))
            at += 2 * width
    return columns, at


def lost_of(terms: Terms, forms: Mapping[str, FormOf]) -> dict[str, Lost]:
    """What the estimators that change their weights miss of them."""
    probe = Rows(terms, slice(0, 1))
    changed = {k: f for k, f in forms.items() if f(probe).used is not None}
    lost = {k: Lost() for k in changed}
    for at in range(0, len(terms), ROWS):
        block = Rows(terms, slice(at, at + ROWS))
        lost = {k: x.and_of(changed[k](block), block) for k, x in lost.items()}
    return lost


def unit_totals(
    terms: Terms, forms: Mapping[str, FormOf], columns: list[Columns], width: int, strata: int
) -> Iterator[F64]:
    """Totals (g, P) of a run of whole units at a time."""
    terms = _by_unit(terms)
    code = terms.layout.units.code
    for rows in _unit_blocks(code, max(min(ROWS, ENTRIES // width), 1)):
        block, local = Rows(terms, rows), code[rows] - code[rows.start]
        n = int(local[-1]) + 1
        totals = np.empty((n, width))
        at = iter(columns)
        for form_of in forms.values():
            for r in form_of(block).ratios:
                c = next(at)
                totals[:, c.top], totals[:, c.bottom] = _totals(r, block, local, n, strata)
        yield totals


def _totals(r: Ratio, t: Rows, unit: I64, n: int, strata: int) -> tuple[F64, F64]:
    width = strata + 1 if r.staged else 1
    cell = unit * width + t.stratum if r.staged else unit

    def summed(x: F64) -> F64:
        return np.asarray(np.bincount(cell, x, n * width), np.float64).reshape(n, width)

    top = summed(r.top)
    bottom = summed(np.ones(len(unit)) if r.bottom is None else r.bottom)
    if r.carry is not None:
        ended = summed(r.carry)
        bottom[:, 1:] += np.cumsum(ended, axis=1)[:, :-1]
    return top, bottom


def _by_unit(terms: Terms) -> Terms:
    """Rows of a unit together."""
    order = (
        None
        if terms.layout.units.contiguous
        else in_group_order(terms.layout.units, np.zeros(len(terms), np.int8))
    )
    if order is None:
        return terms
    stratum = terms.stratum if terms.stratum is None else terms.stratum[order]
    session = terms.session if terms.session is None else terms.session[order]
    kept = terms.row_weight if terms.row_weight is None else terms.row_weight[order]
    columns = (terms.weight, terms.reward, terms.q_logged, terms.v_target)
    w, r, q, v = (x[order] for x in columns)
    return Terms(
        w, r, q, v, terms.unit[order], terms.weight_before[order], terms.discount[order], stratum,
        session, terms.horizon, terms.rows, row_weight=kept,
    )  # fmt: skip


def _unit_blocks(code: I64, size: int) -> Iterator[slice]:
    """Slices of about `size` rows that split no unit."""
    at, n = 0, len(code)
    while at < n:
        end = min(at + size, n)
        if end < n:
            cut = int(np.searchsorted(code, code[end], side="left"))
            end = cut if cut > at else int(np.searchsorted(code, code[at], side="right"))
        yield slice(at, end)
        at = end


def increments(t: Rows) -> Form:
    """Weight increments per stratum: the control variate before its strata are summed."""
    bottom = per_session(t) if t.staged else None
    return Form((Ratio(t.weight - t.weight_before, bottom, staged=t.staged),), weighs=False)


def _logged(form: FormOf) -> FormOf:
    """The logging policy's own value: rewards with weight 1."""

    def unweighted(t: Rows) -> Form:
        plain = t.copy()
        plain.weight = np.ones_like(t.weight)
        return form(plain)

    return unweighted


def any_staged(terms: Terms, forms: Mapping[str, FormOf]) -> bool:
    probe = Rows(terms, slice(0, 1))
    return any(bool(r.staged) for f in forms.values() for r in f(probe).ratios)
