"""Moments of shards, and of shards together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import reduce

import numpy as np

from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.terms import Terms
from offpolicy.estimators.unit_totals import (
    Columns,
    any_staged,
    forms_of,
    lay_out,
    lost_of,
    unit_totals,
)
from offpolicy.streaming.moments import Moments, shifted
from offpolicy.streaming.shifts import common_shift, first_shift, subtract_shift


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
    a, b = shifted(a, shift), shifted(b, shift)
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
