"""Several logging policies: rows weighted by the one that served them, the mixture, or each one's
precision."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64, I64, Learned, Terms, refuse_row_weights
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group
from offpolicy.log.scores import Predictions, TargetScores, check_scores
from offpolicy.models.reward_model import assign_folds

PRIOR = 10.0  # rows of the pooled mean of w^2 added to each logging policy's own
Mode = Literal["naive", "balanced", "weighted"]


def logger_terms(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    mode: Mode,
    logger_propensity: F64 | None = None,
    model: Predictions | None = None,
    folds: int = 5,
    seed: int = 0,
) -> Terms:
    """One-decision terms of a log that several policies served (`log.logger`).

    naive: pi_e over the propensity under the policy that served the row. balanced: over the mixture
    sum_k (n_k / n) pi_k, with `logger_propensity` (N, L) the logged slate's probability under every
    logging policy, in the order of their first appearance: never more variance than naive.
    weighted: naive with each policy's rows scaled by its precision, n_k over the mean of w^2 in the
    rows of other folds (`folds` of units, drawn by `seed`): no row's reward and no row's own weight
    has a say in its share, so that a policy that happened to earn little does not look precise and
    the value keeps the expectation of naive. After Agarwal et al. (2018), Kallus, Saito & Uehara
    (2021), who divide by the variance of w r.

    Raises:
        LogError: the log names no logging policies, or the probabilities do not fit.
        ValueError: weighted, and fewer units than folds.
    """
    check_scores(log, scores)
    if log.logger is None:
        raise LogError(
            "the log names no logging policies; give the column `logger`, or use terms()."
        )
    loggers = group(log.logger)
    weight = scores.propensity / log.propensity
    learned: Learned | None = None
    if mode == "balanced":
        weight = scores.propensity / _mixture(log, loggers.code, loggers.n, logger_propensity)
    elif mode == "weighted":
        refuse_row_weights(log, 'mode="weighted"')
        cell = assign_folds(log.unit, folds, seed) * loggers.n + loggers.code
        weight = weight * precision_shares(weight, cell, folds, loggers.n)
        learned = Shares(weight, cell, loggers.n)
    elif mode != "naive":
        raise ValueError(f"no mode {mode!r}; there are {', '.join(get_args(Mode))}")
    q, v = (None, None) if model is None else model
    unit = log.unit
    return Terms(
        weight, log.reward, q, v, unit, horizon="one_step", learned=learned,
        row_weight=log.row_weight,
    )  # fmt: skip


def precision_shares(w: F64, cell: I64, folds: int, n: int) -> F64:
    """(N,) factors, constant within a fold's logging policy (`cell` = fold * n + policy): in each
    fold the mean of factor * x is a mean of the policies' means of x, weighted by their rows over
    the mean of w^2 in the OTHER folds; those are drawn to the pooled one by PRIOR rows."""
    size = np.bincount(cell, minlength=folds * n).reshape(folds, n).astype(np.float64)
    square = np.bincount(cell, w**2, folds * n).reshape(folds, n)
    elsewhere, squares = size.sum(0) - size, square.sum(0) - square
    pooled = squares.sum(1, keepdims=True) / elsewhere.sum(1, keepdims=True)
    spread = (squares + PRIOR * pooled) / (elsewhere + PRIOR)
    precision = np.divide(size, spread, out=size.copy(), where=spread > 0)
    share = precision / precision.sum(1, keepdims=True)
    rows = size.sum(1, keepdims=True)
    factor = share * np.divide(rows, size, out=np.zeros_like(size), where=size > 0)
    return np.asarray(factor.ravel()[cell])


class Shares:
    """How a value moves with the numbers of rows that the factors of `precision_shares` divide by,
    their shares held: as `Terms.learned`."""

    def __init__(self, weight: F64, cell: I64, n: int) -> None:
        self.weight, self.cell, self.n = weight, cell, n

    def __call__(self, slope: F64, slope_before: F64) -> F64:
        """(N,): a row more makes those of its policy count less, and its fold more."""
        moved = slope * self.weight
        fold = self.cell // self.n
        return np.asarray(_means(moved, fold) - _means(moved, self.cell))


def _means(x: F64, cell: I64) -> F64:
    size = np.maximum(np.bincount(cell), 1)
    return np.asarray((np.bincount(cell, x) / size)[cell])


def _mixture(
    log: LoggedDataset,
    code: np.ndarray[tuple[int], np.dtype[np.int64]],
    n: int,
    logger_propensity: F64 | None,
) -> F64:
    if logger_propensity is None or logger_propensity.shape != (len(log), n):
        raise LogError(
            f"balanced weights need logger_propensity ({len(log)}, {n}): the probability of every "
            "logged slate under every logging policy."
        )
    own = logger_propensity[np.arange(len(log)), code]
    off = np.abs(own - log.propensity) > 1e-4 * log.propensity
    if off.any():
        row = int(np.flatnonzero(off)[0])
        raise LogError(
            f"logger_propensity[{row}, {code[row]}] = {own[row]:.6g} but propensity[{row}] = "
            f"{log.propensity[row]:.6g}; the columns follow the policies' first appearance."
        )
    size = np.bincount(code, log.row_weight, n)
    return np.asarray(logger_propensity @ (size / size.sum()))
