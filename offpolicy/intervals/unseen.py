"""How large an influence a log of this size may have missed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.intervals.gamma import Unseen, seen

RARE = 0.01  # chance that a log of this size holds an influence as large as the unseen one
HEAD, BINS = 128, 64  # largest values kept apart; quantiles that stand for the others


class Summary(NamedTuple):
    """Numbers in bins: the smallest and largest ones alone, the others by quantiles."""

    least: F64
    most: F64
    mass: F64  # share of the numbers, 1 in all

    def above(self, centre: float) -> tuple[F64, F64]:
        """Sizes of what lies above, not too small, and shares."""
        return np.maximum(self.most - centre, 0.0), self.mass

    def below(self, centre: float) -> tuple[F64, F64]:
        """Sizes of what lies below, not too small, and shares."""
        return np.maximum(centre - self.least, 0.0), self.mass


class Pairs(NamedTuple):
    """The weight and the outcome of every decision, session or slate (B of them)."""

    weight: F64  # (B,) of a session its mean over the steps
    outcome: F64  # (B,) reward, or discounted return, less what a model expected
    unit: I64  # (B,) unit codes
    weights: Summary
    outcomes: Summary
    missing: float = 0.0  # how far a row of a kind that was never seen lies from the others
    times: F64 | None = None  # (B,) how often each counts, 1 on average


def pair(
    weight: F64, outcome: F64, unit: I64, missing: float = 0.0, times: F64 | None = None
) -> Pairs:
    """Weights and outcomes with their summaries."""
    return Pairs(weight, outcome, unit, summary(weight), summary(outcome), missing, times)


def pairs(
    t: Terms, *, weight: F64 | None = None, model: bool = False, missing: float | None = None
) -> Pairs:
    """Of all rows of the terms; `weight` (N,) replaces theirs, `model` takes off the model's q."""
    w = t.weight if weight is None else weight
    gain = t.reward - t.q_logged if model else t.reward
    unit = t.layout.units.code
    never = never_seen(t.reward) if missing is None else missing
    h = t.row_weight
    if not is_staged(t):
        return pair(w, gain, unit, never, None if h is None else h / h.mean())
    if model:
        gain = gain + np.where(t.layout.first, 0.0, t.v_target)
    sessions = t.layout.sessions

    def summed(x: F64) -> F64:
        return np.asarray(np.bincount(sessions.code, x, sessions.n), np.float64)

    discount = t.discount + np.zeros(len(t))
    mass = summed(discount)
    mean = np.divide(summed(discount * w), mass, out=np.ones_like(mass), where=mass > 0)
    times = None if h is None else h[sessions.first] / h[sessions.first].mean()
    return pair(mean, summed(discount * gain), unit[sessions.first], never, times)


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
    there = seen(estimate.psi)
    n, units = len(p.weight), len(estimate.psi)
    change = p.weight - against if p.times is None else (p.weight - against) * p.times
    share = units / n  # of one decision in the influence of its unit
    centre = _centre(estimate, change * p.outcome, change, p.unit, share)
    if centre is None:
        return there
    rest = p.outcomes
    if p.times is not None:
        rest, centre = summary((p.outcome - centre) * p.times), 0.0
    better, worse = rest.above(centre), rest.below(centre)
    other = p.missing + float(np.median(p.outcome)) - centre if p.missing else 0.0
    if other > 0:
        better = np.append(better[0], other), np.append(better[1], 1 / n)
    elif other < 0:
        worse = np.append(worse[0], -other), np.append(worse[1], 1 / n)
    heavier, lighter = p.weights.above(against), p.weights.below(against)
    above = max(_quantile(heavier, better, RARE / n), _quantile(lighter, worse, RARE / n))
    below = max(_quantile(heavier, worse, RARE / n), _quantile(lighter, better, RARE / n))
    return max(there[0], below * share), max(there[1], above * share)


def _centre(e: Estimate, product: F64, change: F64, unit: I64, share: float) -> float | None:
    """c of influence + value = sum of change * (outcome - c), by least squares over units: 0 for a
    plain mean, the value for a self-normalised one; None where no weight changes anything."""
    units = len(e.psi)
    a, b = (np.bincount(unit, x, units) * share for x in (product, change))
    spread = float(b @ b)
    return float(b @ (a - e.psi - e.value)) / spread if spread > 1e-20 * units else None


def summary(x: F64) -> Summary:
    """Of numbers (B,), in a few hundred bins."""
    n = len(x)
    if n <= 2 * HEAD + BINS:
        return Summary(x, x, np.full(n, 1 / n))
    middle = np.linspace(HEAD, n - HEAD, BINS + 1).astype(np.int64)
    first = np.r_[np.arange(HEAD), middle[:-1], np.arange(n - HEAD, n)]
    last = np.r_[first[1:] - 1, n - 1]
    ordered = np.sort(x)
    return Summary(ordered[first], ordered[last], (last - first + 1) / n)


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
