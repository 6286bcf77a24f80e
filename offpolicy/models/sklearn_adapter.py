"""A scikit-learn estimator as the reward model. Small catalogues enter as counts per item."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import I64
from offpolicy.log.scores import Predictions, TargetScores
from offpolicy.models.features import Slates, shown

WIDEST = 256  # items that get a dense column each; larger catalogues show their item features


class Regressor(Protocol):
    """What scikit-learn's estimators do. Classifiers predict the mean reward of their classes."""

    def fit(self, X: Any, y: Any, /) -> Any: ...
    def predict(self, X: Any, /) -> Any: ...


def sklearn_predictions(
    estimator: Regressor,
    log: LoggedDataset,
    dense: F64,
    logged: Slates,
    scores: TargetScores,
    table: F64 | None,
    fold: I64,
    following: I64 | None,
    gamma: float,
) -> Predictions:
    """Cross-fitted q and v; for sessions the model is fitted once more for every step."""
    assert scores.slates is not None
    x = _matrix(dense, logged, log.n_items)
    draws = scores.slates.shape[1]
    share = np.full((len(log), draws), 1 / draws)
    if scores.slate_weight is not None:
        share = scores.slate_weight
    would = [
        _matrix(dense, shown(scores.slates[:, s], log.n_items, table), log.n_items)
        for s in range(draws)
    ]
    q, v = np.empty(len(log)), np.empty(len(log))
    sweeps = 0 if following is None else int(log.step.max())
    for k in range(int(fold.max()) + 1):
        seen, own = fold != k, fold == k
        counted = None if log.row_weight is None else log.row_weight[seen]
        model = _fitted(estimator, x[seen], log.reward[seen], counted)
        for _ in range(sweeps):
            assert following is not None
            ahead = _average(model, would, share)
            target = log.reward + gamma * np.where(following >= 0, ahead[following], 0.0)
            model = _fitted(estimator, x[seen], target[seen], counted)
        q[own] = _predict(model, x[own])
        v[own] = _average(model, [x[own] for x in would], share[own])
    return Predictions(q, v)


def _matrix(dense: F64, slates: Slates, n_items: int) -> F64:
    counts = slates.counts.toarray() if n_items <= WIDEST else np.zeros((len(dense), 0))
    return np.concatenate([dense[:, 1:], slates.z, counts], axis=1)


def _fitted(estimator: Regressor, x: F64, y: F64, counted: F64 | None) -> Any:
    """`counted` (N,): how often each row counts."""
    from sklearn.base import clone
    from sklearn.utils.validation import has_fit_parameter

    if counted is None:
        return clone(estimator).fit(x, y)
    if not has_fit_parameter(estimator, "sample_weight"):
        raise ValueError(
            f"the log has row weights, and {type(estimator).__name__}.fit takes no sample_weight; "
            "use an estimator that does, or the ridge"
        )
    return clone(estimator).fit(x, y, sample_weight=counted / counted.mean())


def _average(model: Any, would: list[F64], share: F64) -> F64:
    predicted = np.stack([_predict(model, x) for x in would], axis=1)
    return np.asarray((predicted * share).sum(1))


def _predict(model: Any, x: F64) -> F64:
    if hasattr(model, "predict_proba"):
        return np.asarray(model.predict_proba(x) @ model.classes_, np.float64)
    return np.asarray(model.predict(x), np.float64)
