"""Terms: the columns every estimator reads; slates, sessions, positions are reduced to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.log.groups import Groups, group, in_group_order, rank_in_group

LARGEST = 1e120  # size whose square, summed, is still a number
MOST_STRATA = 1 << 22
LEAST = 1 / LARGEST  # a weight below it is none: its square is lost to rounding
NUMBERS = ("weight", "reward", "q_logged", "v_target", "weight_before", "discount")
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
RowKind = Literal["decisions", "steps", "positions", "visits"]  # visits: weights of all steps
Learned = Callable[[F64, F64], F64]
# (N,) slopes of a value in each row's weight and weight_before -> (N,) what a unit of mass on each
# row adds to the value through the weights that were learned from it


class Layout:
    """Which rows belong together, computed on first use."""

    __slots__ = (
        "_first",
        "_last",
        "_session",
        "_sessions",
        "_strata",
        "_stratum",
        "_unit",
        "_units",
    )

    def __init__(
        self, unit: NDArray[Any], session: I64 | None, stratum: NDArray[np.int64] | None
    ) -> None:
        self._unit, self._session, self._stratum = unit, session, stratum
        self._units: Groups | None = None
        self._sessions: Groups | None = None
        self._strata: tuple[I64, int] | None = None
        self._first: NDArray[np.bool_] | None = None
        self._last: NDArray[np.bool_] | None = None

    @property
    def units(self) -> Groups:
        """Units of independence."""
        if self._units is None:
            self._units = group(self._unit)
        return self._units

    @property
    def sessions(self) -> Groups:
        """What an estimand over several rows is per: a session, a slate."""
        if self._sessions is None:
            self._sessions = self.units if self._session is None else group(self._session)
        return self._sessions

    @property
    def strata(self) -> tuple[I64, int]:
        """Stratum code (N,) 0..T-1 in increasing order, and T; the row's rank in its session where
        no strata were given."""
        if self._strata is None:
            own = self._stratum
            code = rank_in_group(self.sessions) if own is None else own - own.min()
            self._strata = (code, int(code.max()) + 1)
        return self._strata

    @property
    def first(self) -> NDArray[np.bool_]:
        """(N,) the row opens its session."""
        if self._first is None:
            self._first = self._edge(last=False)
        return self._first

    @property
    def last(self) -> NDArray[np.bool_]:
        """(N,) the row closes its session: its weight stands for the steps that never came."""
        if self._last is None:
            self._last = self._edge(last=True)
        return self._last

    def _edge(self, *, last: bool) -> NDArray[np.bool_]:
        sessions = self.sessions
        order = None if self._stratum is None else in_group_order(sessions, self._stratum)
        code = sessions.code if order is None else sessions.code[order]
        edge = np.ones(len(code), bool)
        if order is None and not sessions.contiguous:
            order = np.argsort(code, kind="stable")
            code = code[order]
        here = slice(None, -1) if last else slice(1, None)
        edge[here] = code[1:] != code[:-1]
        if order is None:
            return edge
        mask = np.empty_like(edge)
        mask[order] = edge
        return mask


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """N rows: value = mean over sessions of the sum over rows of
    discount * [weight * (reward - q_logged) + weight_before * v_target].

    One decision: a row per decision, the value is a mean over rows. Slates: a row per position, its
    stratum the position. Sessions: a row per step, its stratum the step.

    Raises:
        ValueError: columns differ in length, or hold what is not finite.
    """

    weight: F64  # (N,) target probability / logged propensity, >= 0 (of the step, or a product)
    reward: F64  # (N,)
    q_logged: F64  # (N,) model's value of the logged action; zeros when there is no model
    v_target: F64  # (N,) the model averaged over the target policy
    unit: I64  # (N,) rows of one unit are dependent, units are not
    weight_before: F64  # (N,) weight of reaching the row: product up to the step before; 1
    discount: F64  # (N,) gamma^step, or the worth of the position; 1
    stratum: I64 | None  # (N,) step or position
    session: I64 | None  # (N,) the session or slate of the row where units are wider (users)
    horizon: str  # the estimand, when weights.terms made these
    rows: RowKind  # what a row is; the value is per decision, per session or per slate
    learned: Learned | None  # how weights that were estimated from these rows move with them
    row_weight: F64 | None  # (N,) 1 / chance to be kept, 0: not counted; in every sum over rows
    layout: Layout = field(init=False, repr=False)

    def __init__(
        self,
        weight: ArrayLike,
        reward: ArrayLike,
        q_logged: ArrayLike | None,
        v_target: ArrayLike | None,
        unit: ArrayLike,
        weight_before: ArrayLike | None = None,
        discount: ArrayLike | None = None,
        stratum: ArrayLike | None = None,
        session: ArrayLike | None = None,
        horizon: str = "",
        rows: RowKind | None = None,
        learned: Learned | None = None,
        row_weight: ArrayLike | None = None,
    ) -> None:
        n = len(np.asarray(weight))
        zero, one = np.broadcast_to(0.0, n), np.broadcast_to(1.0, n)
        columns = {
            "weight": np.asarray(weight, np.float64),
            "reward": np.asarray(reward, np.float64),
            "q_logged": zero if q_logged is None else np.asarray(q_logged, np.float64),
            "v_target": zero if v_target is None else np.asarray(v_target, np.float64),
            "unit": np.asarray(unit),
            "weight_before": one if weight_before is None else np.asarray(weight_before, float),
            "discount": one if discount is None else np.asarray(discount, np.float64),
            "stratum": None if stratum is None else np.asarray(stratum, np.int64),
            "session": None if session is None else np.asarray(session, np.int64),
            "row_weight": None if row_weight is None else np.asarray(row_weight, np.float64),
        }
        _check(columns)
        for name, x in columns.items():
            object.__setattr__(self, name, x)
        object.__setattr__(self, "horizon", horizon)
        if rows is None:  # a step or a session on every row says that decisions belong together
            rows = "decisions" if stratum is None and session is None else "steps"
        object.__setattr__(self, "rows", rows)
        object.__setattr__(self, "learned", learned)
        layout = Layout(self.unit, self.session, self.stratum)
        object.__setattr__(self, "layout", layout)

    def __len__(self) -> int:
        return len(self.weight)

    @property
    def weightless(self) -> bool:
        """At some step (position, or at all) every weight is 0, or below LEAST: nothing is known of
        it. A session that ended keeps its last weight."""
        w = self.weight
        if w.min() > LEAST:
            return False
        heavy = np.abs(w) > LEAST
        if self.rows in ("decisions", "visits"):
            return not heavy.any()
        step, n = self.layout.strata
        there, left = np.bincount(step, minlength=n), np.bincount(step[heavy], minlength=n)
        ended = np.bincount(step[heavy & self.layout.last], minlength=n)
        left[1:] += np.cumsum(ended)[:-1]
        return bool(((there > 0) & (left == 0)).any())


def paid(t: Terms, reward: F64) -> Terms:
    """The same rows and weights with another reward (N,), and no model."""
    return Terms(
        t.weight, reward, None, None, t.unit, t.weight_before, t.discount, t.stratum, t.session,
        rows=t.rows, learned=t.learned, row_weight=t.row_weight,
    )  # fmt: skip


def _check(columns: dict[str, Any]) -> None:
    lengths = {k: np.shape(x) for k, x in columns.items() if x is not None}
    if len(set(lengths.values())) > 1 or len(lengths["weight"]) != 1:
        raise ValueError(f"columns differ in shape: {lengths}; each is (N,), one entry per row")
    if lengths["weight"] == (0,):
        raise ValueError("there are no rows to estimate from")
    kept = columns["row_weight"]
    fits = None if kept is None else (kept == 0) | ((kept >= LEAST) & (kept <= LARGEST))
    if fits is not None and not (fits.all() and kept.any()):
        row = int(np.append(np.flatnonzero(~fits), 0)[0])
        raise ValueError(
            f"row_weight[{row}] = {kept[row]:.6g}; it is 1 / the chance to be kept, or 0 of a row "
            "that does not count, and not 0 throughout"
        )
    steps = columns["stratum"]
    if steps is not None and not int(steps.max()) - int(steps.min()) < MOST_STRATA:
        raise ValueError(
            f"stratum runs from {steps.min()} to {steps.max()}; number them from 0 on, "
            f"fewer than {MOST_STRATA:,}: sums are kept of each"
        )
    largest = {k: _largest(columns[k]) for k in NUMBERS}
    for name, size in largest.items():
        if not size <= LARGEST:
            x = columns[name]
            row = int(np.flatnonzero(~(np.abs(x) <= LARGEST))[0])
            what = "overflows float64" if np.isfinite(x[row]) else "is not finite"
            raise ValueError(f"{name}[{row}] = {x[row]:.6g} {what}; {_fix(name)}")
    heaviest = max(largest["weight"], largest["weight_before"])
    highest = max(largest["reward"], largest["q_logged"], largest["v_target"])
    if not heaviest * highest <= LARGEST:
        raise ValueError(
            f"weights up to {heaviest:.3g} times rewards up to {highest:.3g} overflow float64;"
            f" {_fix('weight')}"
        )


def refuse_row_weights(rows: Any, what: str) -> None:
    """Of what cannot count rows (of a log, or of terms) more or less often than once.

    Raises:
        ValueError: the rows carry weights.
    """
    if rows.row_weight is not None:
        raise ValueError(
            f"{what} cannot weigh rows that were kept with a known chance (row_weight): it would "
            "speak of the sample instead of the traffic. Use another estimator, or a log of all "
            "rows."
        )


def check_gamma(gamma: float) -> None:
    """A discount a step.

    Raises:
        ValueError: it is none.
    """
    if not 0 <= gamma <= 1:
        raise ValueError(f"gamma = {gamma} is outside [0, 1]; 1 counts all steps alike")


def _largest(x: F64) -> float:
    """Largest size, not a number if one entry is none; of a repeated number, that number."""
    return float(np.maximum(x.max(), -x.min())) if x.strides[0] else abs(float(x[0]))


def _fix(name: str) -> str:
    if not name.startswith("weight"):
        return "drop the row or correct it"
    return (
        "target and logging policy differ too much, or over too many steps. Check the propensities;"
        ' ask for one_step or horizon="marginal", or try a closer policy'
    )
