"""Fitted Q evaluation over any state features, with the EXPECTATION under the target policy.

`reward_model.predict_rewards` does this with the log's own features and a finite horizon. Here the
caller brings features of (state, action) rows, so that encoders' states can be used, and sessions
that were cut go on: only `truncated` rows bootstrap. Le, Voloshin & Yue (2019).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64, check_gamma
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import I64
from offpolicy.log.scores import Predictions
from offpolicy.models.reward_model import assign_folds, next_rows

FeaturesOf = Callable[[slice], F64]  # rows -> (b, P)
BLOCK = 1 << 15
MOST = 10_000  # backups until values must have settled
EXCESS = 3.0  # times the largest return there can be: a fit that leaves it so far diverges


def fitted_q(
    log: LoggedDataset,
    *,
    logged: FeaturesOf,
    target: FeaturesOf,
    after: FeaturesOf | None = None,
    gamma: float = 1.0,
    horizon: int | None = None,
    folds: int = 3,
    ridge: float = 10.0,
    tolerance: float = 1e-5,
    seed: int = 0,
) -> Predictions:
    """Cross-fitted linear Q: `logged` gives the features of the logged (state, slate), `target`
    their average over what the target would show in that state, `after` (for rows whose session was
    truncated) the target's average in the state that follows the last row.

    `horizon` backups (0 is the reward of the row alone); None repeats until values settle, which
    asks for gamma < 1 or for sessions that end. Memory: P x P per fold and two numbers per row and
    fold; features are read in blocks.

    Where the target's features are larger than the logged ones, repeated fits may diverge
    (Tsitsiklis & Van Roy 1997): values above EXCESS times max |r| (1 + gamma + gamma^2 ...), which
    no return exceeds, are refused.

    Raises:
        ValueError: values that diverge or do not settle, or gamma = 1 without a horizon in a log
            whose sessions never end.
    """
    if horizon is None and gamma == 1 and not log.terminated.any():
        raise ValueError("gamma = 1 and no session ever ends: the value is infinite. Set horizon")
    check_gamma(gamma)
    if horizon is not None and horizon < 0:
        raise ValueError(f"horizon = {horizon}; it is a number of backups, 0 or more, or None")
    following, n = next_rows(log), len(log)
    fold = assign_folds(log.unit, folds, seed)
    solve = _Solver(logged, fold, folds, ridge, log.row_weight, n)
    goes_on = following >= 0
    cut = log.truncated & ~goes_on if after is not None else np.zeros(n, bool)
    values = np.zeros((folds, n))
    theta = solve.fit(np.broadcast_to(log.reward, (folds, n)))
    sweeps = MOST if after is not None else int(log.step.max())
    most = highest = float(np.abs(log.reward).max())
    for _ in range(sweeps if horizon is None else horizon):
        ahead = np.broadcast_to(log.reward, (folds, n)).copy()
        before = values.copy()
        for rows in feature_blocks(n):
            values[:, rows] = theta @ target(rows).T
            if after is not None and cut[rows].any():
                ahead[:, rows] += gamma * cut[rows] * (theta @ after(rows).T)
        _check_bounded(values, most)
        most = highest + gamma * most
        ahead[:, goes_on] += gamma * values[:, following[goes_on]]
        theta = solve.fit(ahead)
        if float(np.abs(values - before).max()) <= tolerance * max(float(np.abs(values).max()), 1):
            break
    else:
        if horizon is None and after is not None:
            raise ValueError(
                f"values have not settled in {MOST:,} backups: sessions go on for ever under this "
                "target. Set gamma below 1, or a horizon"
            )
    q, v = _own(theta, logged, fold, n), _own(theta, target, fold, n)
    _check_bounded(v, most)
    return Predictions(q, v)


def _check_bounded(values: F64, most: float) -> None:
    """Raise where values leave `most`, the largest return of so many backups, by far."""
    largest = float(np.abs(values).max())
    if not largest <= EXCESS * most:
        raise ValueError(
            f"fitted Q diverges: values reach {largest:.4g}, though no return exceeds {most:.4g} "
            "(max |r| times 1 + gamma + gamma^2 ... over the backups). The target's features are "
            "larger than the logged ones (Tsitsiklis & Van Roy 1997): scale features alike, use "
            "indicators, a larger ridge, a smaller gamma or a shorter horizon"
        )


class _Solver:
    """X'X of each training part, factored once."""

    def __init__(
        self,
        logged: FeaturesOf,
        fold: I64,
        folds: int,
        ridge: float,
        counted: F64 | None,
        n: int,
    ) -> None:
        """`counted` (N,): how often each row counts."""
        from scipy.linalg import cho_factor

        self.logged, self.fold, self.folds, self.n = logged, fold, folds, n
        self.counted = np.ones(n) if counted is None else counted / counted.mean()
        width = logged(slice(0, 1)).shape[1]
        grams = np.zeros((folds, width, width))
        for rows in feature_blocks(n):
            x = logged(rows)
            for k in range(folds):
                own, h = x[fold[rows] == k], self.counted[rows][fold[rows] == k]
                grams[k] += own.T @ (own * h[:, None])
        total = grams.sum(0) + ridge * np.eye(width)
        self.factors = [cho_factor(total - gram, check_finite=False) for gram in grams]

    def fit(self, y: NDArray[np.float64]) -> F64:
        """(folds, P) coefficients for targets (folds, N)."""
        from scipy.linalg import cho_solve

        right = np.zeros((self.folds, self.factors[0][0].shape[0]))
        for rows in feature_blocks(self.n):
            x = self.logged(rows)
            for k in range(self.folds):
                counted = np.where(self.fold[rows] == k, 0.0, self.counted[rows])
                right[k] += x.T @ (counted * y[k, rows])
        solved = [
            cho_solve(f, r, check_finite=False) for f, r in zip(self.factors, right, strict=True)
        ]
        return np.stack(solved)


def _own(theta: F64, features: FeaturesOf, fold: I64, n: int) -> F64:
    """(N,) each row by the model that did not see its unit."""
    out = np.empty(n)
    for rows in feature_blocks(n):
        out[rows] = (features(rows) * theta[fold[rows]]).sum(1)
    return out


def feature_blocks(n: int) -> list[slice]:
    """Slices of rows whose features stand in memory together."""
    return [slice(at, min(at + BLOCK, n)) for at in range(0, n, BLOCK)]
