"""Bounds that do not assume normality: finite samples, likelihoods, any stopping time."""

from __future__ import annotations

import numpy as np

from offpolicy.errors import NoOverlapError
from offpolicy.estimators.engine import NO_WEIGHT, Estimate
from offpolicy.estimators.likelihood import cr, least_divergence, value_range
from offpolicy.estimators.terms import F64, Terms, refuse_row_weights
from offpolicy.intervals.gamma import Unseen, gamma_within, seen
from offpolicy.intervals.inference import Interval, between, check_level, standard_error

Range = tuple[float, float]  # low, high
WATCHED = 10_000  # units at which a confidence sequence is narrowest unless told otherwise


def contributions(estimate: Estimate) -> F64:
    """(G,) one number per unit whose plain mean is the value.

    Raises:
        NoOverlapError: the estimate has no value.
    """
    if np.isnan(estimate.value):
        raise NoOverlapError(f"{estimate.name or 'the estimate'} has no value: {NO_WEIGHT}")
    return np.asarray(estimate.value + estimate.psi)


def empirical_bernstein(
    estimate: Estimate, bounds: tuple[float, float], level: float = 0.95
) -> Interval:
    """Holds at every sample size if units' contributions stay inside the KNOWN `bounds` (weights
    included: for ips, largest weight times largest reward). For plain means, not self-normalised
    values. Maurer & Pontil (2009).

    Raises:
        ValueError: a contribution leaves the bounds.
    """
    x = _inside(estimate, bounds, level)
    n, log_term, width = len(x), np.log(4 / (1 - level)), bounds[1] - bounds[0]
    radius = np.sqrt(2 * x.var(ddof=1) * log_term / n) + 7 * width * log_term / (3 * (n - 1))
    return _around(estimate, float(radius), level)


def hoeffding(estimate: Estimate, bounds: tuple[float, float], level: float = 0.95) -> Interval:
    """m +- (high - low) sqrt(log(2 / alpha) / (2 n)) with KNOWN bounds. Hoeffding (1963).

    Raises:
        ValueError: a contribution leaves the bounds.
    """
    n = len(_inside(estimate, bounds, level))
    radius = (bounds[1] - bounds[0]) * np.sqrt(np.log(2 / (1 - level)) / (2 * n))
    return _around(estimate, float(radius), level)


def confidence_sequence(
    estimate: Estimate,
    level: float = 0.95,
    *,
    tuned_at: float = WATCHED,
    unseen: Unseen | None = None,
) -> Interval:
    """Asymptotic confidence sequence: valid at all sample sizes together, however often the data
    are looked at; narrowest near `tuned_at` units, which are chosen before looking.
    Waudby-Smith et al. (2024).

    Its radius in standard errors is turned into the gamma bounds that as many standard errors of a
    normal would have, so that the first rare events do not break it. `unseen` as in
    `gamma_interval`; without it, as large as the largest influence seen, and without bounds while
    nothing varies.
    """
    from scipy.special import ndtr

    check_level(level)
    if not tuned_at > 0:
        raise ValueError(f"tuned_at = {tuned_at}; it is a number of units, above 0")
    n = len(estimate.psi)
    if n >= 2 and unseen is None:
        unseen = seen(estimate.psi)
    radius = float(sequence_radius(n / tuned_at, 1 - level))
    se = standard_error(estimate)
    if se == 0 and not any(unseen or ()):
        return between(estimate, -np.inf, np.inf, 0.0, level)
    return gamma_within(estimate, float(ndtr(-radius)), level, unseen or (0.0, 0.0))


def sequence_radius(ratio: F64 | float, alpha: float) -> F64:
    """Standard errors from the value to each bound of a confidence sequence that misses with
    `alpha` at any time, at units / tuned_at = `ratio` > 0. Waudby-Smith et al. (2024)."""
    rho2 = -2 * np.log(alpha) + np.log(-2 * np.log(alpha) + 1)
    t = np.asarray(ratio, np.float64) * rho2
    return np.asarray(np.sqrt(2 * (t + 1) / t * np.log(np.sqrt(t + 1) / alpha)))


def empirical_likelihood(estimate: Estimate, level: float = 0.95) -> Interval:
    """The means that the units' contributions do not make unlikely: -2 log ratio below the
    F-calibrated chi-square; its shape follows the skew of the data. Owen (1988).

    Raises:
        ValueError: fewer than 3 units.
    """
    from scipy.optimize import brentq
    from scipy.special import fdtri

    check_level(level)
    x = contributions(estimate)
    n = len(x)
    if n < 3:
        raise ValueError(f"empirical likelihood needs 3 units, got {n}")
    if np.ptp(x) == 0:
        return _around(estimate, 0.0, level)
    limit = float(fdtri(1, n - 1, level))
    edge = 1e-9 * np.ptp(x)

    def excess(mean: float) -> float:
        return _log_likelihood_ratio(x - mean) - limit

    def bound(far: float) -> float:
        if excess(far) < 0:
            return far
        return float(brentq(excess, estimate.value, far, xtol=1e-10 * max(np.ptp(x), 1e-300)))

    low, high = bound(float(x.min()) + edge), bound(float(x.max()) - edge)
    return between(estimate, low, high, standard_error(estimate), level)


def cressie_read(
    terms: Terms, *, weight_range: Range, reward_range: Range, level: float = 0.95
) -> Interval:
    """Empirical-likelihood interval of one decision's value, of use where weights are few and heavy
    and the t interval too short. Karampatziakis, Langford & Mineiro (2020).

    Beside the rows stands one that was never seen, with the weight of `weight_range` and the reward
    of `reward_range` that pushes the bound farthest; both ranges are what is KNOWN before looking
    (the largest target probability over the smallest propensity). A bound is the last value v whose
    least sum((n q - 1)^2), over shares q with sum q = 1, sum q w = 1 and sum q w r = v, stays
    within an F quantile of the least without the last condition. Rows of one unit are summed
    first; the unseen unit has as many rows as the mean one.

    Raises:
        ValueError: fewer than 3 units, or a weight or a reward outside its range.
    """
    from scipy.special import fdtri

    check_level(level)
    refuse_row_weights(terms, "cressie_read")
    for name, known in (("weight_range", weight_range), ("reward_range", reward_range)):
        if isinstance(known, str) or len(known) != 2:
            raise ValueError(f"{name} = {known!r}; it is two numbers, the least and the largest")
    if not weight_range[0] <= 1 <= weight_range[1]:
        raise ValueError(f"weight_range = {weight_range} must hold 1, the mean of right weights")
    _check_known("weight", terms.weight, weight_range)
    _check_known("reward", terms.reward, reward_range)
    units = terms.layout.units
    if units.n < 3:
        raise ValueError(f"empirical likelihood needs 3 units, got {units.n}; log more sessions")
    w, x = (
        np.asarray(np.bincount(units.code, column, units.n) * (units.n / len(terms)), np.float64)
        for column in (terms.weight, terms.weight * terms.reward)
    )
    unseen = (weight_range[0], 1.0, weight_range[1])  # 1: the one that equal weights leave room for
    limit = min(least_divergence(np.append(w, f)) for f in unseen) + float(
        fdtri(1, units.n - 1, level)
    )
    bounds = [value_range(w, x, f, f * r, limit) for f in unseen for r in reward_range]
    e = cr(terms)
    low, high = min(b[0] for b in bounds), max(b[1] for b in bounds)
    return Interval(
        float(np.clip(e.value, *reward_range)),
        float(np.clip(low, *reward_range)),
        float(np.clip(high, *reward_range)),
        standard_error(e),
        level,
        units.n,
    )


def _inside(estimate: Estimate, bounds: tuple[float, float], level: float) -> F64:
    """(G,) contributions of 2 units or more, inside the bounds."""
    check_level(level)
    x, (low, high) = contributions(estimate), bounds
    if len(x) < 2:
        raise ValueError(f"an interval needs 2 independent units, got {len(x)}; log more sessions")
    if x.min() < low - 1e-9 or x.max() > high + 1e-9:
        raise ValueError(
            f"contributions span [{x.min():.4g}, {x.max():.4g}], outside bounds {bounds}; the "
            "bounds are what is known before looking, not what was seen"
        )
    return x


def _log_likelihood_ratio(z: F64) -> float:
    """-2 log empirical likelihood ratio of mean 0, by root finding on the multiplier."""
    from scipy.optimize import brentq

    if z.min() >= 0 or z.max() <= 0:
        return np.inf
    low = (1 / len(z) - 1) / z.max()
    high = (1 / len(z) - 1) / z.min()
    multiplier = brentq(lambda k: float((z / (1 + k * z)).sum()), low, high, xtol=1e-14)
    return 2 * float(np.log1p(multiplier * z).sum())


def _around(estimate: Estimate, radius: float, level: float) -> Interval:
    low, high = estimate.value - radius, estimate.value + radius
    return between(estimate, low, high, standard_error(estimate), level)


def _check_known(name: str, x: F64, known: Range) -> None:
    if not (np.isfinite(known).all() and known[0] <= known[1]):
        raise ValueError(f"{name}_range = {known} must be two finite numbers, the lower first")
    off = np.flatnonzero(~((x >= known[0]) & (x <= known[1])))
    if off.size:
        row = int(off[0])
        raise ValueError(
            f"{name}[{row}] = {x[row]:.6g} is outside {name}_range {known}; the range is what is "
            "known before looking, not what was seen"
        )
