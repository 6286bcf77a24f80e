"""Sessions of a log as a plan sees them: weights and returns, and how they vary under loggers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from offpolicy.diagnostics import effective, of_spread
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.plan.widening import Influences


@dataclass(frozen=True, slots=True, eq=False)
class Sessions:
    """S sessions (of horizon one_step: decisions) in G independent units."""

    terms: Terms
    code: I64 | None  # (N,) the session of each row; None where every row is one
    last: I64  # (S,) the row that closes each
    weight: F64  # (S,) the target's ratio over the whole session
    returns: F64  # (S,) discounted sums of reward
    count: F64  # (S,) how often each counts
    unit: I64  # (S,) codes of their units
    units: int

    @property
    def per_unit(self) -> float:
        """Sessions of a unit, on average."""
        return float(self.count.sum()) / self.units

    @property
    def mean(self) -> float:
        """Return of a session under the logging policy."""
        return float(self.count @ self.returns / self.count.sum())

    def summed(self, x: F64) -> F64:
        """(N,) -> (S,)."""
        if self.code is None:
            return x
        return np.asarray(np.bincount(self.code, x, len(self.last)), np.float64)

    def by_unit(self, x: F64) -> F64:
        """(S,) -> (G,)."""
        return np.asarray(np.bincount(self.unit, x, self.units), np.float64)


def sessions_of(t: Terms) -> Sessions:
    """The sessions of a target's terms."""
    units = t.layout.units
    kept = np.ones(len(t)) if t.row_weight is None else t.row_weight
    if not is_staged(t):
        every = np.arange(len(t))
        return Sessions(t, None, every, t.weight, t.reward, kept, units.code, units.n)
    own, ends = t.layout.sessions, np.flatnonzero(t.layout.last)
    last = np.empty(own.n, np.int64)
    last[own.code[ends]] = ends
    paid = np.bincount(own.code, t.discount * t.reward, own.n).astype(np.float64)
    return Sessions(t, own.code, last, t.weight[last], paid, kept[last], units.code[last], units.n)


def influence_of_returns(s: Sessions) -> F64:
    """(G,) of each unit on the mean return of a session."""
    return s.by_unit(s.count * (s.returns - s.mean)) / s.per_unit


def variance_of_returns(s: Sessions) -> float:
    """Of a unit's influence on the mean return of a session."""
    psi = influence_of_returns(s)
    return float(psi @ psi) / s.units


def own_spread(s: Sessions) -> float:
    """Variance of the target's returns over that of the logged ones, by weights."""
    p = s.count * s.weight
    off = s.returns - float(p @ s.returns / p.sum())
    return float(p @ off**2 / p.sum()) / _spread(s)


def widest_spread(s: Sessions, mean: float) -> float:
    """Largest variance of returns with this mean inside the range that the log shows, over that of
    the logged returns: (high - mean) (mean - low). Bhatia & Davis (2000)."""
    low, high = range_of_returns(s)
    return (high - mean) * (mean - low) / _spread(s) if low < mean < high else 1.0


def range_of_returns(s: Sessions) -> tuple[float, float]:
    """Least and largest return that the log shows."""
    there = s.returns[s.count > 0]
    return float(there.min()), float(there.max())


def between_arms(own: float, ratio: float, share: float) -> float:
    """Variance of a unit's influence on the difference between two arms, `share` of the units in
    the one whose returns have `ratio` times the variance `own` of the other's."""
    return own * (1 / (1 - share) + ratio / share)


def _spread(s: Sessions) -> float:
    return float(s.count @ (s.returns - s.mean) ** 2 / s.count.sum())


class Logger(NamedTuple):
    """A policy that might write the next log, on the rows of this one."""

    name: str
    weight: F64  # (N,) its ratio to the logging policy, as `Terms.weight` is the target's
    weight_before: F64  # (N,)
    share: float | None = None  # of whole sessions that the target serves in it


class Moments(NamedTuple):
    """What the target's weights and its uplift do in a log that another policy writes."""

    ess_share: float  # effective units per unit
    spread_share: float  # the same as the spread of log weights leads to expect
    variance: float  # of a unit's influence on the uplift over the present logging policy
    error: float  # relative standard error of `variance`
    carried: float  # effective units of the present log behind these numbers
    influences: Influences


def mixed_sessions(t: Terms, share: float) -> Logger:
    """Whole sessions served by the target with chance `share`, else by the present policy. A prefix
    of a session has probability (1 - share) b + share pi in it: weights are at most 1 / share."""
    before, after = (1 - share + share * x for x in (t.weight_before, t.weight))
    name = f"the target in {share:.0%} of " + ("sessions" if is_staged(t) else "decisions")
    return Logger(name, after, before, share)


def moments(s: Sessions, logger: Logger) -> Moments:
    """Expectations under the logger, E_m[x] = E_b[(m / b) x], of the weights pi / m and of the
    weighted uplift sum_t (pi - b) / m r_t over the present policy b, regressed on its control
    variate (`martingale`). Sessions of one unit are drawn one by one.

    Raises:
        ValueError: the logger serves nothing that was logged.
    """
    t = s.terms
    h = logger.weight[s.last]
    chance = s.count * h  # how often a session counts in the other log
    total = float(chance.sum())
    if not total > 0:
        raise ValueError(f"{logger.name} serves none of the logged sessions: this log cannot say")
    w = _over(s.weight, h)
    change = _over(t.weight - 1, logger.weight)
    change_before = _over(t.weight_before - 1, logger.weight_before)
    left = 1.0 if s.code is None else t.layout.strata[1] - t.layout.strata[0]
    x = s.summed(t.discount * change * t.reward)
    control = s.summed((change - change_before) * left)
    mean_control = float(chance @ control) / total
    mean = float(chance @ x) / total
    spread = float(chance @ (control - mean_control) ** 2)
    slope = float(chance @ ((x - mean) * (control - mean_control))) / spread if spread > 0 else 0.0
    moved = x - slope * control
    whole = float(s.count.sum()) / total  # chances average 1 where the log holds heavy ones
    psi = moved - float(chance @ moved) / total
    square = whole * _square(s, chance, psi)
    weights = whole * _square(s, chance, w)
    mean_square, mean_weight = float(weights.mean()), float(chance @ w) / total
    variance = float(square.mean()) / s.per_unit**2
    return Moments(
        ess_share=(mean_weight * s.per_unit) ** 2 / mean_square if mean_square > 0 else 0.0,
        spread_share=_spread_share(w, chance),
        variance=variance,
        error=float(square.std() / np.sqrt(s.units) / square.mean()) if variance > 0 else 0.0,
        carried=min(
            effective(np.maximum(square, 0.0)),
            effective(np.maximum(weights, 0.0)),
            np.inf if s.code is None else of_spread(s.weight[s.count > 0]),
        ),
        influences=Influences(psi, chance, s.summed(change) / s.summed(np.ones(len(t))), s.returns),
    )


def _over(a: F64, b: F64) -> F64:
    """a / b; 0 where the logger never goes."""
    return np.divide(a, b, out=np.zeros(len(a)), where=b > 0)


def _square(s: Sessions, chance: F64, x: F64) -> F64:
    """(G,) whose mean is E_m of the square of a unit's sum of x."""
    own = s.by_unit(chance * x * x)
    if s.units == len(s.unit):
        return own
    return own + s.by_unit(chance * x) ** 2 - s.by_unit((chance * x) ** 2)


def _spread_share(w: F64, chance: F64) -> float:
    """`of_spread` per session, of weights that count as often as `chance`."""
    there = (w > 0) & (chance > 0)
    if not there.any():
        return 0.0
    log_w, p = np.log(w[there]), chance[there] / chance[there].sum()
    spread = float(p @ (log_w - p @ log_w) ** 2)
    return float(chance[there].sum() / chance.sum() * np.exp(-spread))
