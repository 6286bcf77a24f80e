"""Balancing weights: a classifier says which rows look like the target's, not the propensities.
Sugiyama et al. (2012), Arbour, Dimmery & Sondhi (2021)."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64, Terms
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores, check_scores
from offpolicy.models.features import shown
from offpolicy.models.reward_model import RewardData

WIDEST = 4096  # columns of the classifier's table: state x items
STIFF = 100.0  # inverse strength of its ridge


def balanced_terms(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    item_features: ArrayLike | None = None,
    folds: int = 3,
    seed: int = 0,
) -> Terms:
    """One-decision terms for `snips`: odds that a (state, slate) came from the target rather than
    from the log, by cross-fitted logistic regression on state, shown items and their products. The
    logged propensities are not read: of use beside them, where they are doubted. The interval
    leaves out the regression's error and does not hold at its level: nominal 95 % covered .73 to
    .93. Memory: rows x (1 + draws) x columns.

    Raises:
        LogError: the scores carry no slates of the target.
        ValueError: too many columns of state x items; pass item_features.
    """
    from sklearn.linear_model import LogisticRegression

    check_scores(log, scores)
    if scores.slates is None:
        raise LogError("balancing weights need slates that the target would show (slates=...)")
    data = RewardData(log, item_features=item_features, folds=folds, seed=seed)
    n, draws, positions = scores.slates.shape
    own = _table(data, log.slate, np.arange(n))
    theirs = _table(
        data, scores.slates.reshape(n * draws, positions), np.repeat(np.arange(n), draws)
    )
    x, came = np.concatenate([own, theirs]), np.repeat([0, 1], [n, n * draws])
    share = np.full((n, draws), 1 / draws) if scores.slate_weight is None else scores.slate_weight
    h = np.ones(n) if log.row_weight is None else log.row_weight
    weight = np.concatenate([h, (h[:, None] * share).ravel()])
    fold = np.concatenate([data.fold, np.repeat(data.fold, draws)])
    odds = np.empty(n)
    for k in range(folds):
        seen, held = (fold != k) & (weight > 0), data.fold == k
        model = LogisticRegression(C=STIFF, solver="newton-cholesky", max_iter=200)
        model.fit(x[seen], came[seen], weight[seen])
        odds[held] = np.exp(model.decision_function(own[held]))
    unit = log.unit
    kept = log.row_weight
    return Terms(odds, log.reward, None, None, unit, horizon="one_step", row_weight=kept)


def _table(data: RewardData, slates: NDArray[np.int32], rows: NDArray[np.int64]) -> F64:
    """(M, P) state, what was shown, and their products: item features where there are some, else a
    column an item."""
    there = shown(slates, data.log.n_items, data.table)
    what = there.counts.toarray() if data.table is None else there.z
    dense = data.dense[rows]
    if what.shape[1] * dense.shape[1] > WIDEST:
        raise ValueError(
            f"{dense.shape[1]} features of the state times {what.shape[1]} of the slate are more "
            f"than {WIDEST} columns; pass item_features with fewer, or a smaller context"
        )
    products = (dense[:, :, None] * what[:, None, :]).reshape(len(dense), -1)
    return np.concatenate([dense[:, 1:], products], axis=1)
