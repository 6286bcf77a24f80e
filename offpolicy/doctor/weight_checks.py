"""Mean weights (T1, T2): they are 1 where propensities are right.

Given what the logger knew, a weight has mean 1 whatever came before, so that weights less 1 are a
martingale: their errors are of rows, also where rows of one user depend on each other.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.diagnostics import effective
from offpolicy.doctor.candidate_table import (
    ENTRY,
    candidate_columns,
    place_propensity,
    places_logged,
    propensity_mismatch,
)
from offpolicy.doctor.choices import inverse, offered, ordered_slates, place, with_replacement
from offpolicy.doctor.findings import ADVICE, Finding, Level, above, by_p_value, two_sided
from offpolicy.doctor.item_weights import ItemWeights, item_weights
from offpolicy.estimators.terms import F64, LARGEST
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.names import name_of
from offpolicy.log.scores import TargetScores
from offpolicy.weighting.overlap import known_variance

FEW_LOW, FEW_HIGH = 200, 20  # effective rows below which a mean weight below, above 1 says nothing:
# weights have a long right tail, so that honest samples err low with a small standard error
FREE = 1e-6  # variance of a weight under which the row had no choice, but for rounding
RULE = "Mean weights are 1 under right propensities and full support."


def uniform_weights(log: LoggedDataset) -> list[Finding]:
    """T2: the mean weight of the uniform policy over slates, over the items of each later place,
    and of the policies that always show one item."""
    options, replaced = offered(log), with_replacement(log)
    items = item_weights(log, options, replaced)
    found = [_uniform(log, options, replaced, items)]
    if log.slate_size > 1 and places_logged(log):
        found.append(_later_places(log, options, replaced, items))
    return [*found, _per_item(log, items)]


def _uniform(log: LoggedDataset, options: F64, replaced: bool, items: ItemWeights) -> Finding:
    name = "mean weight, uniform target (T2)"
    whole = not places_logged(log)
    size = (log.slate >= 0).sum(1) if whole else (log.slate[:, 0] >= 0).astype(np.int64)
    full = np.minimum(options, log.slate_size if whole else 1)
    p = log.propensity if whole else place_propensity(log, 0)
    with np.errstate(over="ignore", divide="ignore"):  # reported as an overflow
        weight = 1 / (ordered_slates(options, size, replaced) * p)
    short = size < full
    if whole and short.any():
        return _per_size(name, log, weight, size)
    weight[short] = 0.0
    table = log.candidate_propensity is not None
    known = _exact_variance(log, options) if table and not whole else None
    finding = _mean_weight(name, log, weight, known)
    if (table and not whole) or float(weight.mean()) > 1:
        return finding
    every = range(log.slate_size if whole else 1)  # places that this weight speaks of
    return _or_support(finding, all(k in items.low for k in every))


def _or_support(finding: Finding, all_low: bool) -> Finding:
    """A mean weight below 1, of a policy that may go where the logger does not: nobody is accused,
    unless all items are shown too seldom by one factor, which is what propensities do that are."""
    if finding.level is Level.PASS:
        return finding
    level, text = Level.WARN if all_low else Level.PASS, f"{finding.found}: or no full support"
    fix = "Log candidates, or widen support; " + ADVICE
    return Finding(finding.check, level, text, RULE, fix, finding.p_value)


def _per_size(name: str, log: LoggedDataset, weight: F64, size: NDArray[np.int64]) -> Finding:
    """Slates are left partly empty by choice, of whose chances nothing is known: for each set of
    filled places the uniform target over such slates has a mean weight of at most 1."""
    pattern = (log.slate >= 0) @ (1 << np.arange(log.slate_size))
    kinds, code = np.unique(pattern, return_inverse=True)
    h = np.ones(len(log)) if log.row_weight is None else log.row_weight
    n = float(h.sum())
    total = np.bincount(code, h * weight)
    square = np.bincount(code, h**2 * weight * (weight - 1))
    some = np.bincount(code) >= FEW_HIGH
    gap = total / n - 1 - ENTRY
    z = np.where(some, gap * n / np.sqrt(np.maximum(square, 1e-300)), -np.inf)
    at = int(z.argmax())
    first = int(np.flatnonzero(code == at)[0])
    observed = (
        f"{total[at] / n:.4f} for slates of {size[first]} items, the most of {len(kinds)} ways of "
        "filling places"
    )
    return by_p_value(name, above(float(z[at]), len(kinds)), observed, RULE, ADVICE)


def _exact_variance(log: LoggedDataset, options: F64) -> F64 | None:
    """(N,) of T2's weights if the logged table is right and serves all `options`."""
    square = np.zeros(len(log))
    for c in candidate_columns(log):
        square += np.divide(1.0, c.p, out=np.zeros(len(log)), where=(c.item >= 0) & (c.p > 0))
    variance = square / np.maximum(options, 1) ** 2 - 1
    return None if (variance < -ENTRY).any() else np.maximum(variance, 0.0)


def _later_places(log: LoggedDataset, options: F64, replaced: bool, items: ItemWeights) -> Finding:
    """The mean weight at the place that strays most, given the places above it."""
    name = "mean weight per place (T2)"
    worst: tuple[float, str] | None = None
    for k in range(1, log.slate_size):
        at = place(log, k, options, replaced)
        if not len(at.row):
            continue
        weight = np.where(at.item >= 0, inverse(at.options * at.p), 0.0)
        mean = _own(weight, None if log.row_weight is None else log.row_weight[at.row])
        unexplored = mean.z < 0 and k not in items.low  # as in `_or_support`
        if not mean.thin and not unexplored and (worst is None or abs(mean.z) > abs(worst[0])):
            worst = mean.z, f"{mean} at place {k + 1}"
    rule = "The uniform target over what is left has mean weight 1 at each place."
    if worst is None:
        return Finding(name, Level.PASS, "nothing against later places", rule)
    fix = (
        "Log each place's probability given the places above it: of what is left, summing to 1, in "
        "the order shown."
    )
    finding = by_p_value(name, two_sided(worst[0], log.slate_size - 1), worst[1], rule, fix)
    return _or_support(finding, True) if worst[0] < 0 else finding


def _per_item(log: LoggedDataset, items: ItemWeights) -> Finding:
    """The item and place shown most beyond its propensities: always to show it has a mean weight
    of 1, or less where it has no support."""
    name = "mean weight per item (T2)"
    rule = "The policy that always shows one item there has mean weight 1 where it is on offer."
    if not items.judged:
        return Finding(name, Level.PASS, "no item was shown often enough", rule)
    who = name_of(log.names, "item", items.item)
    where = f" where {items.group}" if items.group else ""
    return by_p_value(
        name, above(items.z, items.judged),
        f"{items.mean:.4f} for item {who} at place {items.place + 1}{where}, the most of "
        f"{items.judged}", rule,
        ADVICE + f" Item {who} is shown {items.mean:.2f} times as often as is logged{where}.",
    )  # fmt: skip


def mean_weight_target(log: LoggedDataset, scores: TargetScores) -> Finding:
    """T1: the target policy's mean weight."""
    with np.errstate(over="ignore"):  # reported as an overflow
        weight, known = scores.propensity / log.propensity, known_variance(log, scores)
    return _mean_weight("mean weight, target (T1)", log, weight, known)


class _Mean(NamedTuple):
    """A mean weight, its error, and how many errors it is from 1."""

    value: float
    se: float
    rows: float  # effective
    z: float

    def __str__(self) -> str:
        return f"{self.value:.4f} +- {self.se:.4f}, effective rows {self.rows:.0f}"

    @property
    def thin(self) -> bool:
        """Too few rows to say anything."""
        return self.rows < (FEW_LOW if self.value < 1 else FEW_HIGH)


def _mean_weight(
    name: str, log: LoggedDataset, weight: F64, variance: F64 | None = None
) -> Finding:
    """`variance` (N,) of each weight if the table is right: the test is then of the standardised
    weights, so that a few heavy rows do not dominate. Without it, or where the propensities are not
    the table's, it is of the mean weight against its own spread."""
    if not weight.max() <= LARGEST:
        observed = (
            f"a propensity of {log.propensity.min():.3g} gives a weight that overflows float64"
        )
        return Finding(name, Level.FAIL, observed, RULE, ADVICE, row=int(weight.argmax()))
    if variance is not None and log.row_weight is None and not propensity_mismatch(log).any():
        mean = _standardised(weight, variance)
    else:
        mean = _own(weight, log.row_weight)
    if mean.thin:
        return Finding(name, Level.PASS, f"{mean}: too thin to tell", RULE)
    return by_p_value(name, two_sided(mean.z), str(mean), RULE, ADVICE)


def _own(weight: F64, kept: F64 | None) -> _Mean:
    """Against its own spread; z is 0 where the mean is 1 to the precision of propensities.

    Weights have a long right tail, so that a sample that missed it errs low with a small error:
    below 1 the score is corrected for skewness by a cubic transformation (Hall, 1992). `kept` (N,)
    are the row weights of rows that were kept with a known chance.
    """
    if kept is None:
        value, off = float(weight.mean()), weight - weight.mean()
    else:
        value = float(kept @ weight / kept.sum())
        off, weight = kept * (weight - value) / kept.mean(), kept * weight
    n, variance = len(weight), float((off**2).mean())
    variance = variance if variance > ENTRY**4 else 0.0  # rounding
    se, gap = float(np.sqrt(variance / n)), abs(value - 1) - ENTRY
    z = 0.0 if gap <= 0 else gap / se if se > 0 else np.inf
    if value < 1 and 0 < z < np.inf:
        skew = max(float((off**3).mean()) / variance**1.5, 0.0) / np.sqrt(n)
        z = max(z - skew * z**2 / 3 + skew**2 * z**3 / 27 - skew / 6, 0.0)
    return _Mean(value, se, effective(weight), float(np.copysign(z, value - 1)))


def _standardised(weight: F64, variance: F64) -> _Mean:
    """Weights in units of their own standard deviations."""
    n, se = len(weight), float(np.sqrt(variance.sum())) / len(weight)
    free = variance > FREE  # elsewhere the weight is 1 for every draw
    z = (weight[free] - 1) / np.sqrt(variance[free])
    score = float(z.sum() / np.sqrt(len(z))) if len(z) else 0.0
    return _Mean(float(weight.mean()), se, n / (1 + n * se**2), score)
