"""Several logging policies: rows weighted by the one that served them, the mixture, or each one's
precision."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64, Terms, refuse_row_weights
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group
from offpolicy.log.scores import Predictions, TargetScores, check_scores

PRIOR = 10.0  # rows of the pooled variance added to each logging policy's own
Mode = Literal["naive", "balanced", "weighted"]


def logger_terms(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    mode: Mode,
    logger_propensity: F64 | None = None,
    model: Predictions | None = None,
) -> Terms:
    """One-decision terms of a log that several policies served (`log.logger`).

    naive: pi_e over the propensity under the policy that served the row. balanced: over the mixture
    sum_k (n_k / n) pi_k, with `logger_propensity` (N, L) the logged slate's probability under every
    logging policy, in the order of their first appearance: never more variance than naive.
    weighted: naive with each policy's rows scaled by its precision, n_k / var_k of w r. Agarwal et
    al. (2018), Kallus, Saito & Uehara (2021).

    Raises:
        LogError: the log names no logging policies, or the probabilities do not fit.
    """
    check_scores(log, scores)
    if log.logger is None:
        raise LogError(
            "the log names no logging policies; give the column `logger`, or use terms()."
        )
    loggers = group(log.logger)
    weight = scores.propensity / log.propensity
    if mode == "balanced":
        weight = scores.propensity / _mixture(log, loggers.code, loggers.n, logger_propensity)
    elif mode == "weighted":
        refuse_row_weights(log, 'mode="weighted"')
        weight = weight * precision_shares(weight * log.reward, loggers.code, loggers.n)
    elif mode != "naive":
        raise ValueError(f"no mode {mode!r}; there are {', '.join(get_args(Mode))}")
    q, v = (None, None) if model is None else model
    unit = log.unit
    h = log.row_weight
    return Terms(weight, log.reward, q, v, unit, horizon="one_step", row_weight=h)


def precision_shares(x: F64, code: np.ndarray[tuple[int], np.dtype[np.int64]], n: int) -> F64:
    """(N,) factors, constant within a logging policy, such that the mean of factor * x is the
    precision-weighted mean of the policies' means. Variances are drawn to the pooled one by PRIOR
    rows: a policy of few rows that all paid nothing is not infinitely precise."""
    size = np.bincount(code, minlength=n).astype(np.float64)
    mean = np.bincount(code, x, n) / size
    square = np.bincount(code, (x - mean[code]) ** 2, n)
    pooled = float(((x - x.mean()) ** 2).mean())
    spread = (square + PRIOR * pooled) / (size - 1 + PRIOR)
    precision = size / spread if pooled > 0 else size
    share = precision / precision.sum()
    return np.asarray((share * len(x) / size)[code])


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
