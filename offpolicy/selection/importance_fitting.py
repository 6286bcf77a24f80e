"""Choosing an estimator by a split of the log that imitates logging and target policy.
Udagawa et al. (2023)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from offpolicy.errors import NoOverlapError
from offpolicy.estimators import estimate_all
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.terms import F64, Terms, refuse_row_weights
from offpolicy.log.dataset import LoggedDataset
from offpolicy.models.features import state_features
from offpolicy.selection.choosing import Choice

FEWEST = 10  # rows that the target's part expects at least, so that it is not empty
SUREST = 0.99  # highest chance of the target's part: every row can be in the other one too
LEAST, MOST = 0.01, 0.99  # of a state's rows that may go there
EVEN = 10.0  # weight of errors of states' shares against squared errors of the weights


def pas_if(
    log: LoggedDataset,
    terms: Terms,
    names: Sequence[str],
    *,
    share: float = 0.2,
    splits: int = 20,
    seed: int = 0,
) -> Choice:
    """Policy-adaptive selection: rows go to a pseudo-target part by a rule that is fitted so that
    the density ratio of the two parts follows the true weights, and each estimator on the rest is
    compared with the plain mean of that part. One decision; the score is the mean squared gap.

    Raises:
        ValueError: terms of sessions, no names, or too few rows for the share.
        NoOverlapError: all weights are 0.
    """
    _check(terms, names, share, splits)
    refuse_row_weights(terms, "PAS-IF")
    dense = state_features(log, None)
    smooth = _Smoother(dense)
    goes = fitted_rule(terms.weight, dense, share)
    there = np.clip(smooth(goes), LEAST, MOST)
    weight = goes / (1 - goes) * (1 - there) / there
    modelled = smooth(goes * terms.q_logged) / there
    rng = np.random.default_rng(seed)
    loss: dict[str, list[float]] = {n: [] for n in names}
    for _ in range(splits):
        target = rng.random(len(goes)) < goes
        truth = float(terms.reward[target].mean())
        left = ~target
        pseudo = Terms(
            weight[left], terms.reward[left], terms.q_logged[left], modelled[left], terms.unit[left]
        )
        for name, e in estimate_all(pseudo, names).items():
            loss[name].append((e.value - truth) ** 2)
    score = {n: float(np.mean(x)) for n, x in loss.items()}
    return Choice(min(score, key=score.__getitem__), score)


def fitted_rule(weight: F64, dense: F64, share: float) -> F64:
    """(N,) chance rho of going to the target's part: logistic in the state (N, D) and log w, fitted
    by least squares of the parts' ratio, rho / (1 - rho) * E[1 - rho | x] / E[rho | x], to the
    weights, and of E[rho | x] to `share`, so that both parts hold the same states.

    No rule fits exactly: with ratio w and share p in every state, the logging policy's distribution
    would have to be that of the rest times 1 - p + p w, and the mean of 1 / (1 - p + p w) is above
    1 unless w is 1 (Jensen). The paper's rule is a neural network; its chances are 0 where w is.
    """
    from scipy.optimize import minimize

    fit = _Fit(weight, dense, share)
    start = np.zeros(fit.x.shape[1])
    start[0], start[-1] = np.log(share / (1 - share)), 1.0
    result = minimize(fit.cost, start, jac=True, method="L-BFGS-B", options={"maxiter": 200})
    odds = fit.odds(result.x)
    return np.asarray(odds / (1 + odds))


class _Fit:
    """The rule's parameters theta (D + 1,), and how far the parts' ratio is from the weights."""

    def __init__(self, weight: F64, dense: F64, share: float) -> None:
        self.weight, self.share, self.held = weight, share, weight > 0
        self.x = np.column_stack([dense, np.log(np.where(self.held, weight, 1.0))])
        self.smooth, self.scale = _Smoother(dense), float((weight**2).mean())

    def odds(self, theta: F64) -> F64:
        """(N,) rho / (1 - rho)."""
        logit = np.minimum(self.x @ theta, np.log(SUREST / (1 - SUREST)))
        return np.where(self.held, np.exp(logit), 0.0)

    def cost(self, theta: F64) -> tuple[float, F64]:
        """Squared errors of ratio and share, and their gradient."""
        odds = self.odds(theta)
        rho = odds / (1 + odds)
        raw = self.smooth(rho)
        there = np.clip(raw, LEAST, MOST)
        ratio = odds * (1 - there) / there
        off, uneven = (ratio - self.weight) / self.scale, EVEN * (raw - self.share)
        by_share = uneven - np.where(raw == there, off * odds / there**2, 0.0)
        by_logit = off * ratio + self.smooth(by_share) * rho * (1 - rho)
        by_logit[rho >= SUREST * (1 - 1e-12)] = 0.0  # clipped: no gradient
        value = (off * (ratio - self.weight)).mean() + (uneven * (raw - self.share)).mean()
        return float(value), 2 * np.asarray(self.x.T @ by_logit) / len(rho)


class _Smoother:
    """Least squares on the state (N, D): the conditional mean of a column."""

    def __init__(self, dense: F64) -> None:
        self.dense = dense
        gram = dense.T @ dense + 1e-3 * np.eye(dense.shape[1])
        self.solve = np.linalg.inv(gram)

    def __call__(self, y: F64) -> F64:
        return np.asarray(self.dense @ (self.solve @ (self.dense.T @ y)))


def _check(terms: Terms, names: Sequence[str], share: float, splits: int) -> None:
    if is_staged(terms):
        raise ValueError("PAS-IF is for one decision; use cross_validate for sessions")
    if not names or splits < 1:
        raise ValueError("PAS-IF needs the names of estimators, and a split at least")
    if not 0 < share < 1 or share * len(terms) < FEWEST:
        raise ValueError(
            f"{len(terms)} rows cannot be split again and again with a share of {share}: the "
            f"target's part must be able to expect {FEWEST}. Log more, or set share in (0, 1)"
        )
    if not terms.weight.any():
        raise NoOverlapError(
            "all weights are 0: no part of the log looks like the target's. Log with more "
            "exploration, or try a closer policy."
        )
