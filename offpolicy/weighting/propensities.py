"""Propensities that were not logged: estimated, calibrated, and marked for good. An opt-in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from offpolicy.estimators.terms import F64
from offpolicy.log.columns import matrix, numbers, whole_numbers

FLOOR = 1e-4  # smallest estimated probability: below it a linear model cannot tell


class EstimatedPropensity(NamedTuple):
    """Pass `propensity` to LoggedDataset.from_columns and mark the log with
    `.with_estimated_propensities()`: every report then says so."""

    propensity: F64  # (N,) of the logged action
    table: F64  # (N, A) of every action, rows sum to 1
    temperature: float  # by which the logits were divided to be calibrated; 1 = were calibrated


def estimate_propensity(
    action: ArrayLike,
    context: ArrayLike,
    *,
    n_items: int,
    folds: int = 3,
    seed: int = 0,
) -> EstimatedPropensity:
    """Multinomial logistic regression of the logged action (N,) on what the policy saw (N, D),
    cross-fitted, then one temperature fitted out of fold. Actions are 0..n_items-1. Only as good as
    the context: what the policy saw and the log does not hold is confounding that no estimate
    mends.

    Raises:
        ValueError: an action outside the catalogue, or one seen too seldom to be cross-fitted.
    """
    from scipy.optimize import minimize_scalar
    from sklearn.linear_model import LogisticRegression

    a = whole_numbers("action", action, np.int64)
    x = matrix(numbers("context", context))
    if a.ndim != 1:
        raise ValueError(f"action has shape {a.shape}; it is (N,), the item of each decision")
    if a.max(initial=0) >= n_items:
        raise ValueError(f"action {a.max()} is outside the catalogue of {n_items} items")
    if n_items < 2 or len(x) != len(a) or not np.isfinite(x).all():
        raise ValueError(
            f"to estimate propensities of {n_items} items from {len(a)} actions and a context of "
            f"{x.shape}: at least 2 items, a row of finite numbers for each action"
        )
    seen = np.bincount(a[a >= 0], minlength=n_items)
    if len(seen) > n_items or (a < 0).any() or seen.min() < 2 * folds:
        raise ValueError(
            f"each of the {n_items} actions must be logged at least {2 * folds} times to estimate "
            f"its probability; action {int(seen.argmin())} was seen {int(seen.min())} times"
        )
    fold = _stratified_folds(a, folds, seed)
    logits = np.empty((len(a), n_items))
    for k in range(folds):
        model = LogisticRegression(max_iter=2000).fit(x[fold != k], a[fold != k])
        logits[fold == k] = np.log(np.maximum(model.predict_proba(x[fold == k]), 1e-12))

    def negative_log_likelihood(log_t: float) -> float:
        return -float(np.log(_softmax(logits / np.exp(log_t))[np.arange(len(a)), a]).mean())

    temperature = float(
        np.exp(minimize_scalar(negative_log_likelihood, bounds=(-2, 2), method="bounded").x)
    )
    table = _softmax(logits / temperature)
    table = np.maximum(table, FLOOR)
    table /= table.sum(1, keepdims=True)
    return EstimatedPropensity(table[np.arange(len(a)), a], table, temperature)


def _softmax(x: F64) -> F64:
    e = np.exp(x - x.max(1, keepdims=True))
    return np.asarray(e / e.sum(1, keepdims=True))


def _stratified_folds(
    a: np.ndarray[tuple[int], np.dtype[np.int64]], folds: int, seed: int
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Every fold gets its share of every action."""
    order = np.random.default_rng(seed).permutation(len(a))
    order = order[np.argsort(a[order], kind="stable")]
    fold = np.empty(len(a), np.int64)
    fold[order] = np.arange(len(a)) % folds
    return fold
