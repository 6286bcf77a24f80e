"""Effects of items beside features, shrunk by empirical Bayes to what is known of the items.

y = x . slopes + effect of the item + noise; effect = covariates . beta + rest of variance tau^2:
Fay & Herriot (1979). All in one set of mixed-model equations (Henderson, 1975), so that a policy
that shows good items alone does not pass for better days. Every slope and beta has a variance of
its own (automatic relevance determination: MacKay, 1994; Tipping, 2001); all variances are the
data's, by expectation-maximisation. A ridge penalty for plain regressions is chosen by generalised
cross-validation (Golub, Heath & Wahba, 1979).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.improve.sums import Sums

F64 = NDArray[np.float64]
SWEEPS, CLOSE = 40, 1e-3  # of expectation-maximisation; change of tau at which it ends
PENALTIES = np.concatenate([[0.0], np.logspace(-6, 1, 22)])  # of a standardised feature, in rows^-1
TINY = 1e-10
STEADY = 1e-9  # of a column's sum of squares, below which it is rounding


class ItemModel(NamedTuple):
    """y = x . slopes + effect of the item."""

    slopes: F64  # (D,) the first feature is a constant
    effect: F64  # (A,)
    noise: float  # variance of a row
    spread: float  # tau^2, of effects around what the covariates say


def fit_items(sums: Sums, covariates: F64, *, free: int | None = None) -> ItemModel:
    """Mixed model from sums of one outcome.

    covariates: (A, Z) of the items. free: an item whose effect is 0, which the others are measured
    from. Items without rows get what their covariates say.
    """
    n, rows, features = sums.n, float(sums.n.sum()), sums.x.shape[1]
    counted = n > 0
    if free is not None:
        counted[free] = False
    z = standard(covariates, counted)
    level = np.ones((len(z), 0 if free is None else 1))  # the constant is their mean otherwise
    z = np.concatenate([level, z], axis=1)
    if free is not None:
        z[free] = 0.0
    x = np.concatenate([sums.x, n[:, None] * z], axis=1)
    cross = sums.x.T @ z
    xx = np.block([[sums.xx, cross], [cross.T, z.T @ (n[:, None] * z)]])
    y, xy, yy = sums.y[:, 0], np.append(sums.xy[:, 0], z.T @ sums.y[:, 0]), float(sums.yy[0, 0])
    centre = xx[0] / max(rows, TINY)
    variance_x = np.maximum(np.diag(xx) / max(rows, TINY) - centre**2, 0.0)
    varies = variance_x > 1e-9 * np.diag(xx) / max(rows, TINY)
    varies[0] = rows > 0
    slopes, effect = np.zeros(len(xx)), np.zeros(len(n))
    mean = float(xy[0]) / max(rows, 1.0)
    scale = yy / max(rows, 1.0) - mean**2
    if rows < 2 or scale <= TINY * max(mean**2, 1e-300):  # nothing varies
        slopes[0] = mean
        return ItemModel(slopes[:features], effect, 0.0, 0.0)
    xx, xy, x = xx[np.ix_(varies, varies)], xy[varies], x[:, varies]
    size = np.maximum(variance_x[varies], TINY)
    relevance, tau, noise = 0.1 * scale / size, 0.1 * scale, scale
    prior = np.zeros(len(xy))
    for _ in range(SWEEPS):
        ridge = noise / tau
        share = np.where(counted, 1.0 / (n + ridge), 0.0)  # of an item's sum of residuals
        left = xx - x.T @ (x * share[:, None])
        prior[1:] = noise / relevance[1:]
        left[np.diag_indices_from(left)] += prior
        inverse = steady_inverse(left, np.diag(xx))
        found = inverse @ (xy - x.T @ (y * share))
        rest = share * (y - x @ found)
        error = share + ((x @ inverse) * x).sum(axis=1) * share**2  # of rest, over the noise
        noise = max((yy - found @ xy - rest @ y) / max(rows - 1.0, 1.0), TINY * scale)
        relevance = np.maximum(found**2 + noise * np.diag(inverse), TINY * scale / size)
        before, tau = (
            tau,
            float(np.mean((rest**2 + noise * error)[counted])) if counted.any() else tau,
        )
        tau = max(tau, TINY * scale)
        if abs(tau - before) <= CLOSE * before:
            break
    slopes[varies] = found
    effect = z @ slopes[features:] + rest
    return ItemModel(slopes[:features], effect, float(noise), tau)


def steady_inverse(left: F64, diagonal: F64) -> F64:
    """Inverse of a symmetric matrix (D, D) whose columns may repeat each other, measured in units
    of `diagonal` (D,), what it was before anything was taken out of it."""
    size = np.sqrt(np.maximum(np.maximum(diagonal, np.diag(left)), 1e-300))
    scaled = left / np.outer(size, size)
    scaled[np.diag_indices_from(scaled)] += STEADY
    return np.asarray(np.linalg.inv(scaled) / np.outer(size, size))


def standard(covariates: F64, counted: NDArray[np.bool_]) -> F64:
    """Columns of mean 0 and variance 1 over the counted items; constant ones are left out."""
    if not counted.any():
        return np.zeros((len(covariates), 0))
    seen = covariates[counted]
    mean, spread = seen.mean(axis=0), seen.std(axis=0)
    varies = spread > 1e-9 * np.maximum(np.abs(mean), TINY)
    return np.asarray((covariates[:, varies] - mean[varies]) / spread[varies])


def ridge_by_gcv(left: F64, right: F64, squares: float, rows: float) -> F64:
    """Slopes (D,) of the normal equations, with the penalty of smallest generalised
    cross-validation; the first feature, a constant, is free. squares: sum of squared outcomes."""
    diagonal = np.diag(left)
    slopes = np.zeros(len(left))
    if not diagonal[0] > 0 or rows < 3:
        return slopes
    first = left[0] / diagonal[0]  # the constant, taken out of all others
    rest, target = left - np.outer(first, left[0]), right - first * right[0]
    kept = np.diag(rest) > 1e-9 * diagonal
    kept[0] = False
    size = np.sqrt(np.diag(rest)[kept])
    if kept.any():
        gram = rest[np.ix_(kept, kept)] / np.outer(size, size)
        values, vectors = np.linalg.eigh(gram)
        values = np.maximum(values, 0.0)
        along = vectors.T @ (target[kept] / size)
        known = values > 1e-9 * values[-1]
        values, along, vectors = values[known], along[known], vectors[:, known]
        unexplained = squares - right[0] ** 2 / diagonal[0]
        damped = values + PENALTIES[:, None]
        error = unexplained - ((along**2) * (values + 2 * PENALTIES[:, None]) / damped**2).sum(1)
        freedom = rows - 1 - (values / damped).sum(axis=1)
        score = np.maximum(error, 0.0) / np.maximum(freedom, 1.0) ** 2
        slopes[kept] = vectors @ (along / damped[int(np.argmin(score))]) / size
    slopes[0] = (right[0] - left[0] @ slopes) / diagonal[0]
    return slopes
