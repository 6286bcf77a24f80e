"""How large an influence a log of this size may have missed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.intervals.gamma import Unseen

RARE = 0.01  # chance that a log of this size holds an influence as large as the unseen one
HEAD, BINS = 128, 64  # largest values kept apart; quantiles that stand for the others


class Pairs(NamedTuple):
    """The weight and the outcome of every decision, session or slate (B of them)."""

    weight: F64  # (B,) of a session its mean over the steps
    outcome: F64  # (B,) reward, or discounted return, less what a model expected
    unit: I64  # (B,) unit codes
    missing: float = 0.0  # how far a row of a kind that was never seen lies from the others
    times: F64 | float = 1.0  # (B,) how often each counts, 1 on average


def pairs(
    t: Terms, *, weight: F64 | None = None, model: bool = False, missing: float | None = None
) -> Pairs:
    """Of all rows of the terms; `weight` (N,) replaces theirs, `model` takes off the model's q."""
    w = t.weight if weight is None else weight
    gain = t.reward - t.q_logged if model else t.reward
    unit = t.layout.units.code
    never = never_seen(t.reward) if missing is None else missing
    count = 1.0 if t.row_weight is None else t.row_weight / t.row_weight.mean()
    if not is_staged(t):
        return Pairs(w, gain, unit, never, count)
    if model:
        gain = gain + np.where(t.layout.first, 0.0, t.v_target)
    sessions = t.layout.sessions

    def summed(x: F64) -> F64:
        return np.asarray(np.bincount(sessions.code, x, sessions.n), np.float64)

    discount = t.discount + np.zeros(len(t))
    mass = summed(discount)
    mean = np.divide(summed(discount * w), mass, out=np.ones_like(mass), where=mass > 0)
    if t.row_weight is not None:
        count = t.row_weight[sessions.first] / t.row_weight[sessions.first].mean()
    return Pairs(mean, summed(discount * gain), unit[sessions.first], never, count)


def never_seen(x: F64) -> float:
    """What an event would change that x, 0 (or 1) throughout, has not shown: 1 (or -1); else 0."""
    first = float(x[0])
    if first not in (0.0, 1.0) or not bool((x == first).all()):
        return 0.0
    return 1.0 - 2 * first


def unseen(estimate: Estimate, p: Pairs, *, against: float) -> Unseen:
    """Sizes (below 0, above 0) of the influence that would come once in 100 logs of this size if
    weights and outcomes were independent, or the largest one seen where that is larger.

    `against` is the weight of what the estimate is compared with: 0 of a value, 1 of an uplift over
    the logging policy. Where rewards are 0 (or 1) throughout, one unit of the other kind is
    reckoned with.
    """
    if np.isnan(estimate.value):
        return 0.0, 0.0
    seen = max(-float(estimate.psi.min()), 0.0), max(float(estimate.psi.max()), 0.0)
    n, units = len(p.weight), len(estimate.psi)
    change = p.weight - against
    share = units / n  # of one decision in the influence of its unit
    mass = change * p.times
    centre = _centre(estimate, mass * p.outcome, mass, p.unit, share)
    if centre is None:
        return seen
    rest = (p.outcome - centre) * p.times
    chance = RARE / n
    heavier, lighter = _summary(np.maximum(change, 0)), _summary(np.maximum(-change, 0))
    better, worse = _outcomes(rest, p.missing)
    above = max(_quantile(heavier, better, chance), _quantile(lighter, worse, chance))
    below = max(_quantile(heavier, worse, chance), _quantile(lighter, better, chance))
    return max(seen[0], below * share), max(seen[1], above * share)


def _centre(e: Estimate, product: F64, change: F64, unit: I64, share: float) -> float | None:
    """c of influence + value = sum of change * (outcome - c), by least squares over units: 0 for a
    plain mean, the value for a self-normalised one; None where no weight changes anything."""
    units = len(e.psi)
    a, b = (np.bincount(unit, x, units) * share for x in (product, change))
    spread = float(b @ b)
    return float(b @ (a - e.psi - e.value)) / spread if spread > 1e-20 * units else None


def _outcomes(x: F64, missing: float) -> tuple[tuple[F64, F64], tuple[F64, F64]]:
    """Values and chances of what is above 0, and of what is below."""
    better, worse = _summary(np.maximum(x, 0)), _summary(np.maximum(-x, 0))
    if missing == 0:
        return better, worse
    other = missing + float(np.median(x))
    part = better if other > 0 else worse
    more = np.append(part[0], abs(other)), np.append(part[1], 1 / len(x))
    return (more, worse) if other > 0 else (better, more)


def _summary(x: F64) -> tuple[F64, F64]:
    """Values (descending at the head) and chances: the largest exactly, the others by quantiles
    that err upward."""
    n = len(x)
    if n <= HEAD + BINS:
        return x, np.full(n, 1 / n)
    edges = np.linspace(HEAD, n, BINS + 1).astype(np.int64)
    ordered = np.partition(x, n - 1 - np.r_[np.arange(HEAD), edges[:-1]])[::-1]
    values = np.r_[ordered[:HEAD], ordered[edges[:-1]]]
    return values, np.r_[np.full(HEAD, 1 / n), np.diff(edges) / n]


def _quantile(a: tuple[F64, F64], b: tuple[F64, F64], chance: float) -> float:
    """The value that the product of two independent numbers exceeds with `chance`, by bisection."""
    value, mass = a[0][a[0] > 0], a[1][a[0] > 0]
    order = np.argsort(b[0])
    other, above = b[0][order], np.append(np.cumsum(b[1][order][::-1])[::-1], 0.0)
    low, high = 0.0, float(a[0].max() * b[0].max())
    if high == 0 or not len(value):
        return 0.0
    for _ in range(40):
        middle = (low + high) / 2
        at = np.searchsorted(other, middle / value)
        low, high = (middle, high) if mass @ above[at] > chance else (low, middle)
    return high
