"""Who stays: survival and hazard of users along the session, and reward as staying x reward while
there."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64, I64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.sessions.steps import Curve, Steps, banded, share_bounds, steps_of

GROUPS = 20  # of the units, for the jackknife


class Survival(NamedTuple):
    """Staying and leaving at steps 0..T-1."""

    at_risk: F64  # (T,) sessions that reach the step
    left: F64  # (T,) users who leave at it
    staying: Curve  # chance to reach the step: 1 at step 0
    hazard: Curve  # chance to leave at the step, of those who reach it


class Decomposition(NamedTuple):
    """Reward at each step = chance to reach it x reward of those who do."""

    staying: Curve  # chance to reach the step
    reward: Curve  # mean reward of those who reach it
    product: Curve  # mean reward a session at this step; their sum is the return of a session
    without: Without | None = None  # a group of the units: what `split` needs for its intervals


class Without(NamedTuple):
    """Staying and reward while there without each of G groups of the units in turn."""

    staying: F64  # (G, T)
    reward: F64  # (G, T) not a number where nobody else reaches the step


class _Risk(NamedTuple):
    """One step of the product-limit estimate."""

    step: int
    rows: I64  # its rows
    at_risk: float
    left: float
    staying: float  # chance to reach the step
    log_influence: F64  # (U,) of each unit on log(staying)
    hazard: float
    hazard_influence: F64  # (U,)
    observations: float  # units that the rows are worth: (sum w)^2 / sum w^2 over units


def survival(log: LoggedDataset, *, level: float = 0.95) -> Survival:
    """Product-limit estimate of staying (Kaplan and Meier, 1958), and the hazard of leaving.

    A user leaves at a row that is `terminated`; a session that ends otherwise was cut, and counts
    as long as it was seen: cutting must not depend on what would have come. In a log without any
    such mark users leave where their sessions end. The standard error is Greenwood's (1926) where
    a unit has one session, and clustered where users have several. Bounds are Wilson's with the
    effective number of observations (Dorey and Korn, 1987); where none have left, or all, that is
    (sum w)^2 / sum w^2 over units: their number where they count alike.

    Raises:
        LogError: a session has missing steps, or there are fewer than 2 units.
        ValueError: a level outside (0, 1).
    """
    s = steps_of(log)
    risks = [_shares(r) for r in _risks(log, s)]
    at_risk, left, stay, stay_n, hazard, hazard_n = (np.array(x) for x in zip(*risks, strict=True))
    return Survival(
        at_risk,
        left,
        Curve(stay, *share_bounds(stay, stay_n, level)),
        Curve(hazard, *share_bounds(hazard, hazard_n, level)),
    )


def decomposition(log: LoggedDataset, *, level: float = 0.95) -> Decomposition:
    """Mean reward of a session at each step as staying x reward while there, with bounds of each.

    Without cut sessions the product is the plain mean over all sessions, and its sum over steps the
    mean return. The bounds of the product are clustered by unit, by the delta method.

    Raises:
        LogError: a session has missing steps, or there are fewer than 2 units.
        ValueError: a level outside (0, 1).
    """
    s = steps_of(log)
    mean, mean_se, product, product_se, present = (list[float]() for _ in range(5))
    for r in _risks(log, s):
        unit, w = s.unit.code[r.rows], s.weight[r.rows]
        value = float(w @ log.reward[r.rows]) / r.at_risk
        own = _by_unit(s, unit, w * (log.reward[r.rows] - value)) / r.at_risk
        mean.append(value)
        mean_se.append(_size(own))
        product.append(r.staying * value)
        product_se.append(_size(r.staying * (own + value * r.log_influence)))
        present.append(len(np.unique(unit)))
    whole = survival(log, level=level)
    reward = banded(np.array(mean), np.array(mean_se), np.array(present), level)
    both = banded(np.array(product), np.array(product_se), s.unit.n, level)
    return Decomposition(whole.staying, reward, both, _without(log, s))


def _without(log: LoggedDataset, s: Steps) -> Without:
    """Units are dealt to 20 groups, or one each, in the order in which they appear."""
    groups = min(GROUPS, s.unit.n)
    key = s.unit.code % groups * s.n_steps + s.step
    leaves = left_at(log).astype(np.float64)
    present, left, paid = (
        np.bincount(key, s.weight * x, groups * s.n_steps).reshape(groups, s.n_steps)
        for x in (np.ones(len(log)), leaves, log.reward)
    )
    rest = 1.0 - np.eye(groups)  # sums of the others: a difference of totals is not exactly 0
    there, gone, reward = rest @ present, rest @ left, rest @ paid
    hazard = np.divide(gone, there, out=np.zeros_like(gone), where=there > 0)
    staying = np.cumprod(np.hstack([np.ones((groups, 1)), 1 - hazard[:, :-1]]), axis=1)
    mean = np.divide(reward, there, out=np.full_like(reward, np.nan), where=there > 0)
    return Without(staying, mean)


def left_at(log: LoggedDataset) -> NDArray[np.bool_]:
    """(N,) the user leaves at this decision: it is terminated, or where no row of the log is marked
    so, it is the last of its session and not truncated."""
    if log.terminated.any():
        return log.terminated
    last = np.zeros(log.n_sessions, np.int64)
    last[log.sessions] = np.arange(len(log))  # rows of a session stand in time order
    left = np.zeros(len(log), bool)
    left[last] = ~log.truncated[last]
    return left


def _risks(log: LoggedDataset, s: Steps) -> Iterator[_Risk]:
    """The steps in order. Memory: a number per unit."""
    order = np.argsort(s.step, kind="stable")
    ends = np.searchsorted(s.step[order], np.arange(s.n_steps + 1))
    leaves = left_at(log).astype(np.float64)
    staying, influence = 1.0, np.zeros(s.unit.n)
    for step, (low, high) in enumerate(pairwise(ends.tolist())):
        rows = order[low:high]
        w, gone = s.weight[rows], leaves[rows]
        at_risk, left = float(w.sum()), float(w @ gone)
        hazard = left / at_risk
        own = _by_unit(s, s.unit.code[rows], w * (gone - hazard)) / at_risk
        seen = at_risk**2 / _size(_by_unit(s, s.unit.code[rows], w)) ** 2
        yield _Risk(step, rows, at_risk, left, staying, influence, hazard, own, seen)
        staying *= 1 - hazard
        if hazard < 1:
            influence = influence - own / (1 - hazard)


def _shares(r: _Risk) -> tuple[float, ...]:
    """At risk, left, staying and its effective observations, hazard and its."""
    stay_n = np.inf  # every session reaches its first step
    if r.step:
        stay_n = _observations(r.staying, r.staying * _size(r.log_influence), r.observations)
    hazard_n = _observations(r.hazard, _size(r.hazard_influence), r.observations)
    return r.at_risk, r.left, r.staying, stay_n, r.hazard, hazard_n


def _observations(share: float, se: float, seen: float) -> float:
    """Independent observations that a share with this standard error is worth; where all units are
    alike, as many as were seen."""
    return share * (1 - share) / se**2 if se > 0 else seen


def _by_unit(s: Steps, unit: I64, x: F64) -> F64:
    return np.bincount(unit, x, s.unit.n).astype(np.float64)


def _size(x: F64) -> float:
    return float(np.sqrt(x @ x))
