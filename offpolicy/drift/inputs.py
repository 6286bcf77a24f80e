"""Have inputs changed: tests of columns together, in which whole users change places."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.drift.stability import bins_of, stability_index
from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64
from offpolicy.intervals.inference import check_level

I64 = NDArray[np.int64]
Kind = Literal["category", "number", "vector"]
CLASSES = 50  # of a category: the most frequent in both logs together, and all others
BINS = 64  # of a number
FEATURES = 64  # random cosines that a vector is seen through
BLOCK_ENTRIES = 1 << 22  # entries of a table of permutations worked on together
PERMUTATIONS = 399
USERS = 20_000  # of each log that are permuted: more would not change what is worth an action
STATISTICS: dict[Kind, str] = {
    "category": "population-stability index",
    "number": "Kolmogorov-Smirnov",
    "vector": "maximum mean discrepancy",
}


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """What the reference and the recent log say of one thing: entries (n,), or (n, k) several at a
    time, and the user of each row by number 0, 1, ... of its own log. Categories below 0 are empty
    places."""

    name: str
    kind: Kind
    values: tuple[NDArray[Any], NDArray[Any]]
    unit: tuple[I64, I64]
    labels: tuple[str, ...] = ()  # names of categories 0, 1, ...


class InputTest(NamedTuple):
    """One column."""

    name: str
    statistic: str
    value: float
    threshold: float  # of this column, so that all columns together pass by chance at 1 - level
    p_value: float  # over all columns
    moved: str  # what moved most

    @property
    def changed(self) -> bool:
        """Beyond its threshold."""
        return self.value > self.threshold


def compared(
    columns: Sequence[Column],
    *,
    level: float = 0.95,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> tuple[InputTest, ...]:
    """Each column's statistic against those of permutations of users between the logs.

    Whole users change places, so that rows of one user may depend on each other in any way; a user
    of both logs counts as two, which errs on the quiet side. All columns are permuted together and
    judged by the largest standardised statistic (Westfall & Young, 1993), so that false findings
    among all of them are as rare as `level` says, however the columns hang together. Statistics:
    population-stability index of categories; Kolmogorov-Smirnov over 64 quantiles of numbers (ties
    share one); mean discrepancy of random cosine features of vectors (Gretton et al., 2012; Rahimi
    & Recht, 2007).

    Raises:
        LogError: no column, or one without rows in a log.
    """
    check_level(level)
    if not columns:
        raise LogError("no column to compare; give one of both logs")
    rng = np.random.default_rng(np.random.SeedSequence([seed, 18]))
    _check_rows(columns)
    units = [max(int(c.unit[k].max(initial=-1)) + 1 for c in columns) for k in (0, 1)]
    picks = [_picked(n, rng) for n in units]
    tables = [_table(column, units, picks, rng) for column in columns]
    first = np.zeros(sum(map(len, picks)), np.float32)
    first[: len(picks[0])] = 1
    observed = np.array([float(t.statistic(first[None])[0]) for t in tables])
    drawn = np.empty((permutations, len(tables)))
    size = max(BLOCK_ENTRIES // len(first), 1)
    for at in range(0, permutations, size):
        block = np.tile(first, (min(size, permutations - at), 1))
        block = rng.permuted(block, axis=1)
        for k, table in enumerate(tables):
            drawn[at : at + size, k] = table.statistic(block)
    middle, spread = drawn.mean(0), np.maximum(drawn.std(0), 1e-12)
    largest = ((drawn - middle) / spread).max(1)
    score = (observed - middle) / spread
    rank = min(int(np.ceil(level * (permutations + 1))), permutations) - 1
    critical = float(np.sort(largest)[rank])
    return tuple(
        InputTest(
            name=column.name,
            statistic=STATISTICS[column.kind],
            value=float(observed[k]),
            threshold=float(middle[k] + critical * spread[k]),
            p_value=float(1 + (largest >= score[k]).sum()) / (permutations + 1),
            moved=tables[k].moved(first),
        )
        for k, column in enumerate(columns)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Sums of each user over the classes, bins or features of a column."""

    kind: Kind
    sums: NDArray[np.float32]  # (U, B) users of the reference first
    rows: NDArray[np.float32]  # (U,)
    names: tuple[str, ...]

    def sides(self, first: NDArray[np.float32]) -> tuple[F64, F64, F64, F64]:
        """Sums (R, B) and rows (R, 1) of the users that are `first` (R, U), and of the others."""
        a, n = (first @ self.sums).astype(np.float64), (first @ self.rows).astype(np.float64)
        whole, every = self.sums.sum(0, dtype=np.float64), float(self.rows.sum(dtype=np.float64))
        return a, whole - a, n[:, None], every - n[:, None]

    def statistic(self, first: NDArray[np.float32]) -> F64:
        """(R,)."""
        a, b, n, m = self.sides(first)
        if self.kind == "category":
            return stability_index(np.maximum(a, 0), np.maximum(b, 0))
        gap = a / np.maximum(n, 1) - b / np.maximum(m, 1)
        if self.kind == "number":
            return np.asarray(np.abs(np.cumsum(gap, axis=1)).max(1))
        return np.asarray((gap**2).sum(1))

    def moved(self, first: NDArray[np.float32]) -> str:
        """The class or bin that moved most."""
        if not self.names:
            return ""
        a, b, n, m = (x[0] for x in self.sides(first[None]))
        p, q = a / max(float(n[0]), 1.0), b / max(float(m[0]), 1.0)
        at = int(np.abs(q - p).argmax())
        return f"{self.names[at]} from {p[at]:.1%} to {q[at]:.1%}"


def _check_rows(columns: Sequence[Column]) -> None:
    for c in columns:
        for side, rows, unit in zip(("reference", "recent"), c.values, c.unit, strict=True):
            if not len(rows) or len(rows) != len(unit):
                raise LogError(
                    f"column {c.name} has {len(rows)} rows of the {side} log and {len(unit)} users;"
                    " give one user a row, and at least one row"
                )


def _picked(units: int, rng: np.random.Generator) -> I64:
    """All users, or a sample of them."""
    if units <= USERS:
        return np.arange(units)
    return np.sort(rng.choice(units, USERS, replace=False)).astype(np.int64)


def _table(
    column: Column, units: Sequence[int], picks: Sequence[I64], rng: np.random.Generator
) -> _Table:
    if column.kind == "vector":
        return _cosines(column, units, picks, rng)
    codes, names = (_classes if column.kind == "category" else _bins)(column)
    parts = []
    for x, code, unit, n, pick in zip(column.values, codes, column.unit, units, picks, strict=True):
        wide = 1 if x.ndim == 1 else x.shape[1]
        user = np.repeat(unit, wide)
        held = code >= 0
        at = user[held] * len(names) + code[held]
        parts.append(np.bincount(at, minlength=n * len(names)).reshape(n, len(names))[pick])
    sums = np.concatenate(parts).astype(np.float32)
    return _Table(column.kind, sums, sums.sum(1), names)


def _classes(column: Column) -> tuple[tuple[I64, I64], tuple[str, ...]]:
    """Codes of the most frequent categories; all others are one."""
    a, b = (x.ravel().astype(np.int64) for x in column.values)
    values, code = np.unique(np.r_[a, b], return_inverse=True)
    code = code.ravel()
    count = np.bincount(code)
    count[values < 0] = 0
    order = np.argsort(-count, kind="stable")
    order = order[count[order] > 0]
    place = np.full(len(values), -1)
    place[order] = np.minimum(np.arange(len(order)), CLASSES - 1)
    names = [_label(column, int(values[i])) for i in order[:CLASSES]]
    if len(order) > CLASSES:
        names[-1] = "all others"
    own = place[code].astype(np.int64)
    return (own[: len(a)], own[len(a) :]), tuple(names or ["none"])


def _label(column: Column, value: int) -> str:
    return column.labels[value] if column.labels else f"{value}"


def _bins(column: Column) -> tuple[tuple[I64, I64], tuple[str, ...]]:
    a, b = (x.ravel().astype(np.float64) for x in column.values)
    edges = bins_of(np.r_[a, b], BINS)
    names = [f"values up to {edge:.4g}" for edge in edges]
    names.append(f"values above {edges[-1]:.4g}" if len(edges) else "all values")
    return (np.searchsorted(edges, a), np.searchsorted(edges, b)), tuple(names)


def _cosines(
    column: Column, units: Sequence[int], picks: Sequence[I64], rng: np.random.Generator
) -> _Table:
    """Means of random cosines of the standardised vectors, at the scale of their width."""
    a, b = (np.asarray(x, np.float64) for x in column.values)
    pooled = np.concatenate([a, b])
    middle, spread = pooled.mean(0), pooled.std(0)
    spread = np.where(spread > 0, spread, 1.0)
    wave = rng.normal(size=(a.shape[1], FEATURES)) / np.sqrt(a.shape[1])
    phase = rng.uniform(0, 2 * np.pi, FEATURES)
    parts, rows = [], []
    for x, unit, n, pick in zip((a, b), column.unit, units, picks, strict=True):
        seen = np.cos(((x - middle) / spread) @ wave + phase)
        sums = np.column_stack([np.bincount(unit, f, n) for f in seen.T])
        parts.append(sums[pick])
        rows.append(np.bincount(unit, minlength=n)[pick])
    return _Table(
        "vector",
        np.concatenate(parts).astype(np.float32),
        np.concatenate(rows).astype(np.float32),
        (),
    )
