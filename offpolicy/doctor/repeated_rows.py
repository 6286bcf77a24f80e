"""Retries and copies: rows that repeat the decision of another more often than chance does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.doctor.choices import inverse
from offpolicy.doctor.findings import FAIL_BELOW, WARN_BELOW, Finding, Level, above
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group

SOON = 2.0  # seconds between a request and its retry
RULE = "A decision is logged once."


class Pairs(NamedTuple):
    """Rows and later rows whose slates have no reason to agree but chance."""

    where: str
    a: NDArray[np.int64]
    b: NDArray[np.int64]


class _Repeats(NamedTuple):
    where: str
    z: float
    rows: float  # beyond chance
    row: int


def duplicates(log: LoggedDataset, time: F64 | None) -> Finding:
    """Whether rows repeat the slate of another row of the same user, state or distribution.

    To serve what an earlier row showed is a policy whose mean weight is 1, or less where that has
    no support: 1[slate of b = slate of a] / p(b) averages 1 over pairs, however alike their states
    are, as long as propensities are right. Copies bring it above that; so would wrong propensities,
    whence pairs far apart are the comparison. Equal rows that chance explains are no copies.
    """
    far = _weights(log, _far(len(log)))
    tested = [_repeats(log, pairs, far) for pairs in _pairings(log, time)]
    found = [r for r in tested if r is not None]
    if not found:
        return Finding("duplicates", Level.PASS, "no two rows to compare", RULE)
    worst = max(found, key=lambda r: r.z)
    p = above(worst.z, len(found))
    if p >= WARN_BELOW:
        observed = f"rows repeat no more than chance does (p = {p:.2g})"
        return Finding("duplicates", Level.PASS, observed, RULE, p_value=p)
    level = Level.FAIL if p < FAIL_BELOW and worst.rows > 0.01 * len(log) else Level.WARN
    observed = (
        f"about {worst.rows:.0f} rows too many repeat the slate of {worst.where}; the first is row "
        f"{worst.row} (p = {p:.2g})"
    )
    return Finding("duplicates", level, observed, RULE, "Drop retries by event id.", p, worst.row)


def _pairings(log: LoggedDataset, time: F64 | None) -> Iterator[Pairs]:
    """Each looks at states, users and times alone, never at what was served."""
    unit = log.groups if log.user is None else group(log.user)
    if unit.n < len(log):
        order = np.arange(len(log))
        if time is not None:
            order = np.lexsort((time, unit.code))
        elif not unit.contiguous:
            order = np.argsort(unit.code, kind="stable")
        same = unit.code[order[1:]] == unit.code[order[:-1]]
        yield Pairs("the same user's row before", order[:-1][same], order[1:][same])
        if time is not None:
            soon = same & (np.diff(time[order]) <= SOON)
            where = f"the same user's row at most {SOON:g} s before"
            yield Pairs(where, order[:-1][soon], order[1:][soon])
    if time is not None:
        order = np.argsort(time, kind="stable")
        soon = np.diff(time[order]) <= SOON
        where = f"a row at most {SOON:g} s before"
        yield Pairs(where, order[:-1][soon], order[1:][soon])
    rng = np.random.default_rng(0)  # a fixed projection: rows that are alike stand side by side
    for name, x in (("context", log.context), ("candidates", log.candidate_propensity)):
        if x is None or not x.shape[1]:
            continue
        at = x @ np.asarray(rng.standard_normal(x.shape[1]), x.dtype)
        order = np.argsort(at, kind="stable")
        if at[order[0]] == at[order[-1]]:
            continue
        a, b = order[:-1], order[1:]
        what = "the row with the nearest context" if name == "context" else "a row that was " \
            "offered the same candidates with the same probabilities"  # fmt: skip
        if name == "candidates":
            equal = at[a] == at[b]
            a, b = a[equal], b[equal]
        yield Pairs(what, np.minimum(a, b), np.maximum(a, b))


def _far(n: int) -> Pairs:
    half = n // 2
    return Pairs("far", np.arange(half), np.arange(half) + half)


def _weights(log: LoggedDataset, pairs: Pairs) -> F64:
    """(pairs,) 1 / p of the later row where it shows the earlier row's slate."""
    same = log.slate[pairs.a, 0] == log.slate[pairs.b, 0]
    for k in range(1, log.slate_size):
        same &= log.slate[pairs.a, k] == log.slate[pairs.b, k]
    return np.where(same, inverse(log.propensity[pairs.b]), 0.0)


def _repeats(log: LoggedDataset, pairs: Pairs, far: F64) -> _Repeats | None:
    w = _weights(log, pairs)
    n, hits = len(w), np.flatnonzero(w)
    if not len(hits):
        return None
    h = np.ones(n) if log.row_weight is None else log.row_weight[pairs.b]
    chance, mean = max(1.0, float(far.mean())), float(h @ w / h.sum())
    variance = float((h**2 * w * (w - 1)).sum()) / float(h.sum()) ** 2
    if chance > 1:
        variance += float(far.var()) / len(far)
    gap = mean - chance
    z = gap / np.sqrt(variance) if variance > 0 and gap > 1e-9 else 0.0
    b, a = pairs.b[hits], pairs.a[hits]
    exact = (log.reward[a] == log.reward[b]) & (log.propensity[a] == log.propensity[b])
    rows = len(hits) * max(gap, 0.0) / mean
    return _Repeats(pairs.where, float(z), rows, int(b[exact].min() if exact.any() else b.min()))
