"""Effects of items beside features, shrunk by empirical Bayes to what is known of the items.

Effect = covariates . beta + rest, rest ~ N(0, tau^2), beta_j ~ N(0, s_j^2): Fay & Herriot (1979),
with automatic relevance determination of the covariates (MacKay, 1994; Tipping, 2001). All
variances are the data's own, by expectation-maximisation. Features have a ridge penalty, chosen by
generalised cross-validation (Golub, Heath & Wahba, 1979).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.improve.sums import Sums

F64 = NDArray[np.float64]
SWEEPS = 5  # between features and items
EM_SWEEPS = 60
PENALTIES = np.concatenate([[0.0], np.logspace(-6, 1, 22)])  # of a standardised feature, in rows^-1
TINY = 1e-10


class ItemModel(NamedTuple):
    """y = x . slopes + effect of the item."""

    slopes: F64  # (D,)
    effect: F64  # (A,)
    noise: float  # variance of a row
    spread: float  # tau^2, of effects around what the covariates say


def fit_items(sums: Sums, covariates: F64, *, free: int | None = None) -> ItemModel:
    """Ridge regression on features and items from sums of one outcome.

    covariates: (A, Z) of the items; their mean effect is not shrunk. free: an item whose effect is
    0, which the others are measured from. Items without rows get what their covariates say.
    """
    n, sx, sy = sums.n, sums.x, sums.y[:, 0]
    counted = n > 0
    if free is not None:
        counted[free] = False
    n_rows, slopes = float(n.sum()), np.zeros(sx.shape[1])
    prior, effect, ridge = np.zeros(len(n)), np.zeros(len(n)), 10.0
    noise = spread = 0.0
    z = standard(covariates, counted)
    for _ in range(SWEEPS):
        share = np.where(counted, 1.0 / np.maximum(n + ridge, TINY), 0.0)
        y = sy - n * prior
        left = sums.xx - sx.T @ (sx * share[:, None])
        right = sums.xy[:, 0] - sx.T @ prior - sx.T @ (y * share)
        squares = float(sums.yy[0, 0] - 2 * prior @ sy + n @ prior**2 - (y**2) @ share)
        slopes = ridge_by_gcv(left, right, squares, n_rows)
        total = sy - sx @ slopes
        raw = np.where(counted, total / np.maximum(n, 1.0), 0.0)
        spent = float(sums.yy[0, 0] - 2 * slopes @ sums.xy[:, 0] + slopes @ sums.xx @ slopes)
        rest = max(spent - float(n @ raw**2), 0.0)
        noise = rest / max(n_rows - counted.sum() - np.count_nonzero(slopes), 1.0)
        prior, effect, spread = shrink(raw, noise / np.maximum(n, TINY), z, counted)
        if free is not None:
            prior[free] = effect[free] = 0.0
        ridge = noise / max(spread, TINY * max(noise, TINY))
    return ItemModel(slopes, effect, noise, spread)


def shrink(raw: F64, variance: F64, z: F64, counted: NDArray[np.bool_]) -> tuple[F64, F64, float]:
    """(prior means, posterior means, tau^2) of effects (A,) from their raw values and error
    variances; z (A, Z) standardised covariates without a constant."""
    if not counted.any():
        return np.zeros(len(raw)), np.zeros(len(raw)), 0.0
    x = np.concatenate([np.ones((len(z), 1)), z], axis=1)
    seen, y, v = x[counted], raw[counted], variance[counted]
    scale = float(np.var(y))
    if len(y) < 2 or scale <= TINY * (1e-300 + float(np.square(y).mean())):
        mean = np.full(len(raw), y.mean())
        return mean, mean.copy(), 0.0
    tau, relevance = scale / 2, np.full(z.shape[1], scale / 2 / max(z.shape[1], 1))
    beta = np.zeros(x.shape[1])
    for _ in range(EM_SWEEPS):
        weight = 1.0 / (tau + v)
        precision = seen.T @ (seen * weight[:, None])
        precision[np.diag_indices_from(precision)] += np.append(TINY / scale, 1 / relevance)
        covariance = np.linalg.inv(precision)
        beta = covariance @ (seen.T @ (weight * y))
        off = y - seen @ beta
        error = ((seen @ covariance) * seen).sum(axis=1)
        keep = tau * weight  # of an item's deviation
        tau = float(np.mean((keep * off) ** 2 + tau * (1 - keep) + keep**2 * error))
        tau = max(tau, TINY * scale)
        relevance = np.maximum(beta[1:] ** 2 + np.diag(covariance)[1:], TINY * scale)
    prior = np.asarray(x @ beta)
    posterior = prior.copy()
    posterior[counted] += tau / (tau + v) * (y - prior[counted])
    return prior, posterior, tau


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
