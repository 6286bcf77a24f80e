"""Relative errors on the Open Bandit sample, uniform random -> Bernoulli Thompson sampling.

Protocol of Saito, Aihara, Matsutani & Narita (2021): bootstrap samples of the log, a logistic
regression per position (C = 100) on user and item features, cross-fitted in 3 folds,
settings of Switch-DR and DRos by SLOPE, error against the mean click of BTS itself.

The regressions are solved to their optimum: scikit-learn's default solver stops, since it divides
the loss by the number of rows, some way before it, which moves the errors by up to .006.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.data.open_bandit import POSITIONS
from offpolicy import Terms, estimate
from offpolicy.selection.choosing import choose_setting

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
PRINTED = {
    "dm": 0.157, "ips": 0.311, "snips": 0.312, "dr": 0.292, "sndr": 0.302, "switch_dr": 0.258,
    "dros": 0.160,
}  # fmt: skip
GRID = (10.0, 50.0, 100.0, 500.0, 1000.0, 5000.0, 10000.0, np.inf)
FOLD_SEED, SIMULATIONS = 12345, 100_000
OPTIMUM = 1e-8  # largest slope of the loss at which a regression counts as solved


class Impressions(NamedTuple):
    """One campaign's log with features."""

    user: F64  # (N, U) one-hot, the first of each feature left out
    item: F64  # (A, 4) three categories as codes, and the continuous feature
    action: I64
    position: I64
    click: F64
    propensity: F64

    def rows(self, at: I64) -> Impressions:
        """Some impressions."""
        return self._replace(
            user=self.user[at], action=self.action[at], position=self.position[at],
            click=self.click[at], propensity=self.propensity[at],
        )  # fmt: skip


def impressions(root: Path, campaign: str, policy: str) -> Impressions:
    """Read one policy's log."""
    import pandas as pd

    folder = root / "open-bandit" / policy / campaign
    if not (folder / f"{campaign}.csv").is_file():
        raise FileNotFoundError(f"{folder} holds no Open Bandit log; point --data-root to the data")
    rows = pd.read_csv(folder / f"{campaign}.csv", index_col=0).sort_values("timestamp")
    about = pd.read_csv(folder / "item_context.csv", index_col=0)
    codes = [pd.factorize(about[f"item_feature_{k}"], sort=True)[0] for k in (1, 2, 3)]
    user = pd.get_dummies(rows.filter(regex="^user_feature_"), drop_first=True)
    return Impressions(
        user.to_numpy(np.float64),
        np.column_stack([*codes, about["item_feature_0"]]).astype(np.float64),
        rows["item_id"].to_numpy(np.int64),
        rows["position"].to_numpy(np.int64) - 1,
        rows["click"].to_numpy(np.float64),
        rows["propensity_score"].to_numpy(np.float64),
    )


def thompson_shares(prior: Path, campaign: str) -> F64:
    """(3, A) probability of each item at each place under Beta priors, by simulation. The file is
    JSON or YAML: campaign -> alpha, beta lists."""
    text = prior.read_text("utf-8")
    if prior.suffix == ".json":
        priors = json.loads(text)
    else:
        from importlib import import_module

        try:
            priors = import_module("yaml").safe_load(text)
        except ImportError:
            raise ImportError(f"to read {prior} pip install pyyaml, or write it as JSON") from None
    alpha, beta = (np.array(priors[campaign][k], np.float64) for k in ("alpha", "beta"))
    rng = np.random.default_rng(FOLD_SEED)
    counts = np.zeros((POSITIONS, len(alpha)))
    for _ in range(10):
        drawn = rng.beta(alpha, beta, (SIMULATIONS // 10, len(alpha)))
        top = np.argsort(-drawn, axis=1)[:, :POSITIONS]
        for place in range(POSITIONS):
            counts[place] += np.bincount(top[:, place], minlength=len(alpha))
    return np.asarray(counts / SIMULATIONS)


def own_shares(own: Impressions) -> F64:
    """(3, A) shares of items at each place of the policy's own log."""
    counts = np.zeros((POSITIONS, len(own.item)))
    np.add.at(counts, (own.position, own.action), 1)
    return np.asarray(counts / counts.sum(1, keepdims=True))


def predicted(log: Impressions) -> F64:
    """(N, A) click probability of every item at the row's position, out of fold."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import KFold

    q = np.zeros((len(log.action), len(log.item)))
    split = KFold(3, shuffle=True, random_state=FOLD_SEED)
    x = np.concatenate([log.user, log.item[log.action]], axis=1)
    for seen, held in split.split(x):
        for place in range(POSITIONS):
            train, test = seen[log.position[seen] == place], held[log.position[held] == place]
            model = LogisticRegression(C=100, solver="newton-cholesky", tol=OPTIMUM)
            model.fit(x[train], log.click[train])
            users, items = np.split(model.coef_[0], [log.user.shape[1]])
            logits = (log.user[test] @ users)[:, None] + log.item @ items + model.intercept_
            q[test] = 1 / (1 + np.exp(-logits))
    return q


def one_sample(log: Impressions, shares: F64) -> dict[str, float]:
    """Every estimator's value on one bootstrap sample."""
    q, target = predicted(log), shares[log.position]
    every = np.arange(len(log.action))
    t = Terms(
        target[every, log.action] / log.propensity,
        log.click,
        q[every, log.action],
        (target * q).sum(1),
        every,
    )
    chosen = {
        "switch_dr": {"threshold": choose_setting(t, "switch_dr", "threshold", GRID, level=0.9)},
        "dros": {"shrinkage": choose_setting(t, "dros", "shrinkage", GRID, level=0.9)},
    }
    return {name: estimate(t, name, **chosen.get(name, {})).value for name in PRINTED}


def relative_errors(
    root: Path, *, prior: Path | None = None, samples: int = 30, campaign: str = "all"
) -> dict[str, F64]:
    """Relative errors (samples,) of each estimator."""
    log, own = (impressions(root, campaign, p) for p in ("random", "bts"))
    shares = own_shares(own) if prior is None else thompson_shares(prior, campaign)
    truth = float(own.click.mean())
    errors: dict[str, list[float]] = {name: [] for name in PRINTED}
    n = len(log.action)
    for seed in range(samples):
        # the published samples were drawn by this legacy generator
        at = np.random.RandomState(seed).choice(np.arange(n), n, replace=True)
        for name, value in one_sample(log.rows(at), shares).items():
            errors[name].append(abs(value - truth) / truth)
    return {name: np.array(x) for name, x in errors.items()}
