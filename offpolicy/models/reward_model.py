"""Reward models: q-hat for the logged slate, and averaged over the target policy; cross-fitted.

No row is predicted by a model that was fitted to its unit. One decision: the reward. Sessions: the
return from the row on, by fitted Q evaluation with the EXPECTATION under the target policy,
backwards over the finite horizon. Le et al. (2019), Chernozhukov et al. (2018).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError, NoOverlapError
from offpolicy.estimators.terms import F64, check_gamma
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import I64, group, in_group_order
from offpolicy.log.scores import Predictions, TargetScores, check_scores
from offpolicy.models.features import Slates, crossed_features, expected, shown, step_columns
from offpolicy.models.ridge import CrossFit
from offpolicy.models.sklearn_adapter import Regressor, sklearn_predictions

SWEEPS = 200  # most backward sweeps of fitted Q evaluation; a session of T steps needs T
SETTLED = 1e-4  # sweeps end when values move less than this share of their spread


def predict_rewards(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    horizon: str,
    item_features: ArrayLike | None = None,
    estimator: Regressor | None = None,
    robust: bool = False,
    folds: int = 3,
    ridge: float = 10.0,
    gamma: float = 1.0,
    seed: int = 0,
) -> Predictions:
    """Fit and apply reward models to every row of the log.

    The default is a ridge regression (`ridge` in rows) on state, shown items and, with
    `item_features` (A, F), their features crossed with the state; each item then has coefficients
    of its own on the state (but not on single steps), shrunk to that model as far as the log says
    (`ItemSlopes`; this takes 3 folds or more). `estimator` plugs in a
    scikit-learn regressor or classifier instead (cloned per fold). For sessions the ridge looks at
    most 200 steps ahead. `robust` fits the ridge where
    the doubly robust estimate needs it: squared errors weighted by pi_e (1 - p) / p^2, for one
    decision. Farajtabar, Chow & Ghavamzadeh (2018).

    Raises:
        LogError: the scores carry no slates of the target, or do not fit the log.
    """
    return RewardData(
        log, item_features=item_features, folds=folds, ridge=ridge, seed=seed
    ).predict(scores, horizon=horizon, estimator=estimator, robust=robust, gamma=gamma)


class RewardData:
    """Of a log, all that its reward models share whatever the target: features, folds, and the
    normal equations, factored on first use. Make it once to judge many targets from one log.

    Memory: N (D + 2 F) + folds (D + A)^2 + folds A C^2 numbers.
    """

    def __init__(
        self,
        log: LoggedDataset,
        *,
        item_features: ArrayLike | None = None,
        folds: int = 3,
        ridge: float = 10.0,
        seed: int = 0,
    ) -> None:
        self.log, self.ridge = log, ridge
        self.table = None if item_features is None else _item_table(item_features, log.n_items)
        state = crossed_features(log, self.table)
        self.crossed = state.shape[1]
        self.dense = np.concatenate([state, step_columns(log)], axis=1)
        self.logged = shown(log.slate, log.n_items, self.table)
        self.fold = assign_folds(log.unit, folds, seed)

    @cached_property
    def fit(self) -> CrossFit:
        """The ridge regressions, ready for any target of the rows."""
        h = self.log.row_weight
        return CrossFit(
            self.dense,
            self.logged,
            self.fold,
            ridge=self.ridge,
            crossed=self.crossed,
            weight=None if h is None else h / h.mean(),
        )

    def predict(
        self,
        scores: TargetScores,
        *,
        horizon: str,
        estimator: Regressor | None = None,
        robust: bool = False,
        gamma: float = 1.0,
    ) -> Predictions:
        """As `predict_rewards`, for one more target.

        Raises:
            LogError: the scores carry no slates of the target, or do not fit the log.
        """
        log = self.log
        check_gamma(gamma)
        check_scores(log, scores)
        if scores.slates is None:
            raise LogError(
                "a reward model needs slates that the target policy would show: pass "
                "TargetScores(slates=...) with some draws per row, or leave out dm and dr."
            )
        target = expected(scores.slates, scores.slate_weight, log.n_items, self.table)
        following = None if horizon == "one_step" else next_rows(log)
        if estimator is None:
            fit = self._robust_fit(scores, horizon) if robust else self.fit
            return _ridge(fit, target, log, following, gamma)
        if robust:
            raise ValueError("robust weights are for the ridge; leave estimator out")
        return sklearn_predictions(
            estimator, log, self.dense, self.logged, scores, self.table, self.fold, following, gamma
        )

    def _robust_fit(self, scores: TargetScores, horizon: str) -> CrossFit:
        """Its variance is what these weights make least, as far as the model allows."""
        if horizon != "one_step":
            raise ValueError("robust weights are of one decision; fit sessions without them")
        p = self.log.propensity
        weight = scores.propensity * (1 - p) / p**2
        if self.log.row_weight is not None:
            weight = weight * self.log.row_weight
        if not weight.any():
            raise NoOverlapError(
                "the target never serves what was logged with a choice: no row has a robust weight"
            )
        return CrossFit(
            self.dense,
            self.logged,
            self.fold,
            ridge=self.ridge,
            weight=weight / weight.mean(),
            crossed=self.crossed,
        )


def _ridge(
    fit: CrossFit, target: Slates, log: LoggedDataset, following: I64 | None, gamma: float
) -> Predictions:
    models = fit.fit(log.reward)
    if following is not None:
        goes_on = following >= 0
        later = following[goes_on]
        values = np.zeros((fit.folds, len(log)))
        for _ in range(min(int(log.step.max()), SWEEPS)):
            ahead = np.broadcast_to(log.reward, values.shape).copy()
            moved = 0.0
            for k, model in enumerate(models):
                new = fit.apply(model, target, slice(None))
                moved = max(moved, float(np.abs(new - values[k]).mean()))
                values[k] = new
                ahead[k, goes_on] += gamma * new[later]
            models = fit.fit(ahead)
            if moved <= SETTLED * float(values.std()):
                break
    return Predictions(fit.predict(models, fit.shown), fit.predict(models, target))


def next_rows(log: LoggedDataset) -> I64:
    """Row (N,) of the session's next step, -1 at its end.

    Raises:
        LogError: a session has missing steps.
    """
    log.require_whole_sessions("the value of a step is made of the steps after it.")
    order = in_group_order(log.groups, log.step)
    rows = np.arange(len(log)) if order is None else order
    code = log.sessions[rows]
    following = np.full(len(log), -1, np.int64)
    same = code[1:] == code[:-1]
    following[rows[:-1][same]] = rows[1:][same]
    return following


def assign_folds(unit: NDArray[Any], folds: int, seed: int) -> I64:
    """Fold (N,) 0..folds-1 of each row: whole units, equal sizes, at random by `seed`.

    Raises:
        ValueError: fewer units than folds.
    """
    units = group(unit)
    if units.n < folds or folds < 2:
        raise ValueError(
            f"cross-fitting in {folds} folds needs 2 folds and a unit in each; there are "
            f"{units.n} units. Log more sessions."
        )
    of_unit = np.random.default_rng(seed).permutation(units.n) % folds
    return np.asarray(of_unit[units.code])


def _item_table(item_features: ArrayLike, n_items: int) -> F64:
    table = np.asarray(item_features, np.float64)
    if table.ndim != 2 or len(table) != n_items:
        raise LogError(
            f"item_features has shape {table.shape}; it is ({n_items}, F): a row per item."
        )
    if not np.isfinite(table).all():
        row = int(np.flatnonzero(~np.isfinite(table).all(1))[0])
        raise LogError(f"item_features[{row}] = {table[row].tolist()} is not finite; fill it.")
    spread = table.std(0)
    return np.asarray(table[:, spread > 0] / spread[spread > 0])
