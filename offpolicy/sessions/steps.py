"""Means at each step of a session, with bounds that respect users."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64, I64
from offpolicy.intervals.inference import check_level, quantile
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import Groups, group

WHY = "a curve along the session needs every step of it."


class Curve(NamedTuple):
    """A value at each step 0..T-1 of a session with its bounds, which hold at each step alone."""

    value: F64  # (T,)
    low: F64  # (T,)
    high: F64  # (T,)


class Steps(NamedTuple):
    """The rows of a log, ready to be summed by step."""

    step: I64  # (N,)
    unit: Groups  # of the rows: users where the log names them, else sessions
    weight: F64  # (N,) 1 / chance that the row was kept
    began: F64  # (U,) sessions of each unit
    n_steps: int  # T


def steps_of(log: LoggedDataset) -> Steps:
    """The steps of whole sessions.

    Raises:
        LogError: a session has missing steps, or fewer than 2 units.
    """
    log.require_whole_sessions(WHY)
    unit = group(log.unit)
    if unit.n < 2:
        raise LogError(f"{unit.n} independent unit: an interval needs 2 users or sessions at least")
    weight = np.ones(len(log)) if log.row_weight is None else log.row_weight
    first = log.step == 0
    began = np.bincount(unit.code[first], weight[first], unit.n).astype(np.float64)
    return Steps(log.step.astype(np.int64), unit, weight, began, int(log.step.max()) + 1)


def while_there(log: LoggedDataset, values: ArrayLike, *, level: float = 0.95) -> Curve:
    """Mean of a column (N,) at each step, over the sessions that reach the step.

    The mean is a ratio of totals of units; its bounds are Student's t with the linearised,
    clustered standard error (Cochran, 1977, ch. 6 and 9a).

    Raises:
        LogError: a session has missing steps, fewer than 2 units, or values of another shape.
        ValueError: a level outside (0, 1).
    """
    s, x = steps_of(log), _column(log, values)
    top, bottom, _, step = _totals(s, s.weight * x)
    total = np.bincount(step, bottom, s.n_steps)
    mean = np.bincount(step, top, s.n_steps) / total
    square = np.bincount(step, (top - mean[step] * bottom) ** 2, s.n_steps)
    units = np.bincount(step, minlength=s.n_steps)
    return banded(mean, np.sqrt(square) / total, units, level)


def per_session(log: LoggedDataset, values: ArrayLike, *, level: float = 0.95) -> Curve:
    """Mean of a column (N,) at each step over ALL sessions: those that ended before count 0.

    Raises:
        LogError: a session has missing steps, fewer than 2 units, or values of another shape.
        ValueError: a level outside (0, 1).
    """
    s, x = steps_of(log), _column(log, values)
    top, _, unit, step = _totals(s, s.weight * x)
    total = s.began.sum()
    mean = np.bincount(step, top, s.n_steps) / total
    own = s.began[unit]
    square = (
        np.bincount(step, top**2 - 2 * mean[step] * top * own, s.n_steps)
        + mean**2 * (s.began**2).sum()
    )
    return banded(mean, np.sqrt(np.maximum(square, 0)) / total, s.unit.n, level)


def banded(value: F64, se: F64, units: ArrayLike, level: float) -> Curve:
    """Student's t bounds (T,) of values with standard errors (T,) from so many units; infinite
    where a single unit is left."""
    check_level(level)
    n = np.broadcast_to(np.asarray(units, np.int64), value.shape)
    factor = {
        k: quantile(0.5 + level / 2, k - 1) * (k / (k - 1)) ** 0.5 for k in set(n.tolist()) if k > 1
    }
    half = np.array([factor.get(k, np.inf) for k in n.tolist()])
    wide = np.where(np.isinf(half), np.inf, half * np.where(np.isinf(half), 1.0, se))
    return Curve(value, value - wide, value + wide)


def share_bounds(share: F64, effective: F64, level: float) -> tuple[F64, F64]:
    """Bounds (T,) of shares seen in so many effective observations (T,). Wilson (1927)."""
    check_level(level)
    z2 = quantile(0.5 + level / 2, 0, "normal") ** 2
    centre = (share + z2 / (2 * effective)) / (1 + z2 / effective)
    half = np.sqrt(z2 * share * (1 - share) / effective + (z2 / (2 * effective)) ** 2)
    half = half / (1 + z2 / effective)
    low, high = np.maximum(centre - half, 0.0), np.minimum(centre + half, 1.0)
    return np.minimum(low, share), np.maximum(high, share)


def _totals(s: Steps, top: F64) -> tuple[F64, F64, I64, I64]:
    """Totals of each unit at each step where it has rows: top, weight, unit, step."""
    key, inverse = np.unique(s.step * s.unit.n + s.unit.code, return_inverse=True)
    step, unit = np.divmod(key, s.unit.n)
    tops, weights = (np.bincount(inverse, x, len(key)).astype(np.float64) for x in (top, s.weight))
    return tops, weights, unit, step


def _column(log: LoggedDataset, values: ArrayLike) -> NDArray[np.float64]:
    x = np.asarray(values, np.float64)
    if x.shape != (len(log),):
        raise LogError(f"values have shape {x.shape}; give ({len(log)},), one a decision")
    return x
