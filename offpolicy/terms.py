"""Terms: the columns every estimator reads; slates, sessions, places are reduced to them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.groups import Groups, group, rank_in_group

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]


class Layout:
    """Which rows belong together, computed when first asked for."""

    __slots__ = ("_sessions", "_steps", "_terms", "_units")

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._units: Groups | None = None
        self._sessions: Groups | None = None
        self._steps: tuple[I64, int] | None = None

    @property
    def units(self) -> Groups:
        """Units of independence."""
        if self._units is None:
            self._units = group(self._terms.unit)
        return self._units

    @property
    def sessions(self) -> Groups:
        """What an estimand over several rows is per: a session, a slate."""
        if self._sessions is None:
            own = self._terms.session
            self._sessions = self.units if own is None else group(own)
        return self._sessions

    @property
    def strata(self) -> tuple[I64, int]:
        """Stratum code (N,) 0..T-1 in increasing order, and T; the row's rank in its session where
        no strata were given."""
        if self._steps is None:
            own = self._terms.stratum
            code = rank_in_group(self.sessions) if own is None else own - own.min()
            self._steps = (code, int(code.max()) + 1)
        return self._steps

    @property
    def first(self) -> NDArray[np.bool_]:
        """(N,) the row opens its session."""
        mask = np.zeros(len(self._terms), bool)
        mask[self._edge(last=False)] = True
        return mask

    @property
    def last(self) -> NDArray[np.bool_]:
        """(N,) the row closes its session: its weight stands for the steps that never came."""
        mask = np.zeros(len(self._terms), bool)
        mask[self._edge(last=True)] = True
        return mask

    def _edge(self, *, last: bool) -> I64:
        code, n = self.sessions.code, self.sessions.n
        row = np.zeros(n, np.int64)
        step = self.strata[0]
        order = np.lexsort((step, code)) if self._disordered() else np.arange(len(code))
        order = order if last else order[::-1]
        row[code[order]] = order
        return row

    def _disordered(self) -> bool:
        """Rows of a session do not stand in the order of their strata."""
        own = self._terms.stratum
        if own is None:
            return False
        code, step = self.sessions.code, own
        if self.sessions.contiguous:
            return bool(((code[1:] == code[:-1]) & (step[1:] < step[:-1])).any())
        order = np.argsort(code, kind="stable")
        return bool(((code[order][1:] == code[order][:-1]) & (np.diff(step[order]) < 0)).any())


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """N rows: value = mean over sessions of the sum over rows of
    discount * [weight * (reward - q_logged) + weight_before * v_target].

    One decision: a row per decision, the value is a mean over rows. Slates: a row per place, its
    stratum the place. Sessions: a row per step, its stratum the step.

    Raises:
        ValueError: columns differ in length, or hold what is not finite.
    """

    weight: F64  # (N,) target probability / logged propensity, >= 0 (of the step, or a product)
    reward: F64  # (N,)
    q_logged: F64  # (N,) model's value of the logged action; zeros when there is no model
    v_target: F64  # (N,) the model averaged over the target policy
    unit: I64  # (N,) rows of one unit are dependent, units are not
    weight_before: F64  # (N,) weight of reaching the row: product up to the step before; 1
    discount: F64  # (N,) gamma^step, or the worth of the place; 1
    stratum: I64 | None  # (N,) step or place
    session: I64 | None  # (N,) the session or slate of the row where units are wider (users)
    horizon: str  # the estimand, when weights.terms made these
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
        }
        _check(columns)
        for name, x in columns.items():
            object.__setattr__(self, name, x)
        object.__setattr__(self, "horizon", horizon)
        object.__setattr__(self, "layout", Layout(self))

    def __len__(self) -> int:
        return len(self.weight)


def _check(columns: dict[str, Any]) -> None:
    lengths = {k: np.shape(x) for k, x in columns.items() if x is not None}
    if len(set(lengths.values())) > 1 or len(lengths["weight"]) != 1:
        raise ValueError(f"columns differ in shape: {lengths}; each is (N,), one entry per row")
    if lengths["weight"] == (0,):
        raise ValueError("there are no rows to estimate from")
    for name in ("weight", "reward", "q_logged", "v_target", "weight_before", "discount"):
        x = columns[name]
        bad = ~np.isfinite(x) if x.strides[0] else np.zeros(0, bool)
        if bad.any():
            row = int(np.flatnonzero(bad)[0])
            raise ValueError(f"{name}[{row}] = {x[row]} is not finite; drop the row or mend it")
