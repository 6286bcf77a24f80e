"""Bootstrap over units, all estimators in one pass: every unit counts Poisson(1) times."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from offpolicy.errors import NoOverlapError
from offpolicy.estimators.forms import FormOf, bound_names
from offpolicy.estimators.registry import estimate_all, hyper_parameters
from offpolicy.estimators.terms import F64, Terms
from offpolicy.estimators.unit_totals import (
    Columns,
    any_staged,
    forms_of,
    lay_out,
    lost_of,
    unit_totals,
)
from offpolicy.intervals.inference import Interval, check_level, interval

UNITS = 2048  # whose counts of all draws stand in memory together


def bootstrap(
    terms: Terms,
    names: Iterable[str],
    *,
    level: float = 0.95,
    draws: int = 1000,
    seed: int = 0,
    hyper: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Interval]:
    """Percentile intervals, moved out by the bound on an estimator's bias; `se` is the spread of
    the draws. Memory: draws x columns, and draws x 2,048 units at a time. Efron (1979), Hanley &
    MacGibbon (2006) for Poisson counts.

    Raises:
        ValueError: fewer than 2 units or draws, or weights that were learned from these rows.
        NoOverlapError: a self-normalised estimator finds no weight, in the log or in a draw.
    """
    check_level(level)
    if terms.layout.units.n < 2 or draws < 2:
        raise ValueError("a bootstrap needs 2 independent units and 2 draws; log more sessions")
    if terms.learned is not None:
        raise ValueError(
            "these weights were learned from the rows, and a bootstrap would hold them fixed; "
            "interval(estimate(terms, name)) counts their error"
        )
    names = list(names)
    for name in names:
        hyper_parameters(name)  # it is known
    if terms.weightless:
        return {n: interval(e, level) for n, e in estimate_all(terms, names, hyper).items()}
    keys = {k for name in names for k in (name, *bound_names(name))}
    forms = {k: f for k, f in forms_of(terms, names, hyper).items() if k in keys}
    columns, drawn, observed = _sums(terms, forms, draws, np.random.default_rng(seed))
    intervals, lost = {}, lost_of(terms, {k: forms[k] for k in names})

    def of(name: str, sums: F64) -> F64:
        parts = [_ratio(sums[:, c.top], sums[:, c.bottom]) for c in columns if c.name == name]
        return np.asarray(np.sum(parts, axis=0))

    for name in names:
        values, value = of(name, drawn), float(of(name, observed)[0])
        if np.isnan(values).any() or np.isnan(value):
            raise NoOverlapError(
                f"{name} has no value in {np.isnan(values).mean():.0%} of the draws: too few units "
                "carry weight to be drawn again. Log with more exploration, or try a closer policy."
            )
        bias, sides = (0.0, 0.0), [values, values]
        if name in lost:
            bias, extra = lost[name].bounds(), [of(k, drawn) for k in bound_names(name)]
            sides = [values + cut * extra[0] + more * extra[1] for cut, more in lost[name].ends()]
        low, high = np.quantile(sides[0], 0.5 - level / 2), np.quantile(sides[1], 0.5 + level / 2)
        low = min(low, np.quantile(values, 0.5 - level / 2) + bias[0])
        high = max(high, np.quantile(values, 0.5 + level / 2) + bias[1])
        se, units = float(values.std(ddof=1)), terms.layout.units.n
        intervals[name] = Interval(value, float(low), float(high), se, level, units, bias)
    return intervals


def _sums(
    terms: Terms, forms: Mapping[str, FormOf], draws: int, rng: np.random.Generator
) -> tuple[list[Columns], F64, F64]:
    """The columns' layout, their sums (draws, P) with Poisson counts, and (1, P) as observed."""
    strata = terms.layout.strata[1] if any_staged(terms, forms) else 1
    columns, width = lay_out(terms, forms, strata)
    drawn, observed = np.zeros((draws, width)), np.zeros((1, width))
    for totals in unit_totals(terms, forms, columns, width, strata):
        observed += totals.sum(0)
        for at in range(0, len(totals), UNITS):
            block = totals[at : at + UNITS]
            drawn += rng.poisson(1.0, (draws, len(block))).astype(np.float64) @ block
    return columns, drawn, observed


def _ratio(top: F64, bottom: F64) -> F64:
    """(B, T) sums -> (B,) values."""
    part = np.divide(top, bottom, out=np.zeros_like(top), where=bottom != 0)
    value = part.sum(1)
    value[~bottom.any(1)] = np.nan  # a draw without any weight has no value
    return np.asarray(value)
