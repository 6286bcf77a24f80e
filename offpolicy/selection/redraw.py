"""Logs like the user's with known truth: which estimator errs least, and whose interval holds?

The log's states and logged distributions are kept; actions and rewards are drawn anew, rewards from
a model fitted to the log with its residuals shuffled back in. The target is the logger tilted
towards what the model likes, as far as `tilt` says. Where the full distribution was not logged,
rows themselves are the actions: they are drawn with replacement and the tilt is over rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from offpolicy.diagnostics import effective
from offpolicy.estimators import estimate_all
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.intervals.inference import interval
from offpolicy.log.dataset import LoggedDataset
from offpolicy.models.features import state_features

RIDGE = 10.0


class EstimatorScore(NamedTuple):
    """How an estimator did over the redrawn logs."""

    estimator: str
    rmse: float
    bias: float
    coverage: float  # of nominal 95 % intervals
    width: float


class Population(NamedTuple):
    """What redrawn logs are drawn from: N states with C actions each."""

    logging: F64  # (N, C)
    target: F64  # (N, C)
    reward: F64  # (N, C) expected
    model: F64  # (N, C) what the reward model of the estimators says: noisier than the truth
    noise: F64  # (M,) residuals
    truth: float


def score_estimators(
    log: LoggedDataset,
    names: Sequence[str],
    *,
    tilt: float = 1.0,
    redraws: int = 100,
    seed: int = 0,
) -> tuple[list[EstimatorScore], float]:
    """Scores, least error first, and the mean effective share of the redrawn logs. `tilt` is in
    standard deviations of the model's rewards."""
    check_order(names, tilt, redraws)
    rng = np.random.default_rng(seed)
    people = population(log, tilt, rng)
    errors: dict[str, list[tuple[float, bool, float]]] = {n: [] for n in names}
    share = []
    for _ in range(redraws):
        t = redraw(people, rng)
        share.append(effective(t.weight) / len(t))
        for name, e in estimate_all(t, names).items():
            i = interval(e)
            errors[name].append(
                (e.value - people.truth, i.low <= people.truth <= i.high, i.high - i.low)
            )
    return summary(errors), float(np.mean(share))


def check_order(names: Sequence[str], tilt: float, redraws: int) -> None:
    """There is something to score.

    Raises:
        ValueError: there is not.
    """
    if not names or redraws < 1 or not np.isfinite(tilt):
        raise ValueError(
            f"names = {list(names)}, redraws = {redraws}, tilt = {tilt}: scoring needs estimators, "
            "a redraw at least and a finite tilt"
        )


def summary(errors: Mapping[str, Sequence[tuple[float, bool, float]]]) -> list[EstimatorScore]:
    """Least error first, from (error, interval holds, width) of every redraw."""
    scored = []
    for name, found in errors.items():
        x = np.array(found, np.float64)
        rmse = float(np.sqrt((x[:, 0] ** 2).mean()))
        scored.append(EstimatorScore(name, rmse, *(float(m) for m in x.mean(0))))
    return sorted(scored, key=lambda s: s.rmse)


def population(log: LoggedDataset, tilt: float, rng: np.random.Generator) -> Population:
    """States, distributions and a reward surface fitted to the log."""
    dense = state_features(log, None)
    if log.candidate_propensity is None or log.candidate_propensity.shape[1] > 256:
        return _rows_as_actions(log, dense, tilt)
    p = np.maximum(log.candidate_propensity, 0)
    p = p / p.sum(1, keepdims=True)
    every = np.arange(log.n_items) if log.candidates is None else log.candidates
    ids: I64 = np.array(np.broadcast_to(every, p.shape), np.int64)
    truth = _fitted(dense, log.slate[:, 0], log.reward, log.n_items)
    half = rng.random(len(log)) < 0.5
    model = _fitted(dense[half], log.slate[half, 0], log.reward[half], log.n_items)
    mean, guess = (_surface(dense, w, ids) for w in (truth, model))
    at = log.slate[:, 0]
    noise = log.reward - (dense * truth[at]).sum(1)
    logits = np.log(np.maximum(p, 1e-300)) + tilt * mean / max(float(mean.std()), 1e-12)
    target = np.exp(logits - logits.max(1, keepdims=True)) * (p > 0)
    target /= target.sum(1, keepdims=True)
    return Population(
        p, target, mean, guess, noise - noise.mean(), float((target * mean).sum(1).mean())
    )


def redraw(people: Population, rng: np.random.Generator) -> Terms:
    """One log like the user's."""
    n = len(people.logging)
    rows = rng.integers(0, n, n)
    if people.logging.shape[1] == 1:  # rows as actions: target holds each row's weight
        weight, reward = people.target[rows, 0], people.reward[rows, 0]
        modelled = np.full(n, float((people.target * people.model).mean()))
        return Terms(weight, reward, people.model[rows, 0], modelled, np.arange(n))
    p, e = people.logging[rows], people.target[rows]
    a = draw_actions(p, rng)
    every = np.arange(n)
    reward = people.reward[rows, a] + rng.choice(people.noise, n)
    guess = people.model[rows]
    weight = e[every, a] / np.maximum(p[every, a], 1e-300)
    return Terms(weight, reward, guess[every, a], (e * guess).sum(1), every)


def draw_actions(p: F64, rng: np.random.Generator) -> I64:
    """One column (N,) for each row of probabilities (N, C), never one of probability 0."""
    reach = p.cumsum(1)
    return np.asarray((rng.random((len(p), 1)) * reach[:, -1:] >= reach).sum(1), np.int64)


def _rows_as_actions(log: LoggedDataset, dense: F64, tilt: float) -> Population:
    gram = dense.T @ dense + RIDGE * np.eye(dense.shape[1])
    model = dense @ np.linalg.solve(gram, dense.T @ log.reward)
    spread = max(float(log.reward.std()), 1e-12)
    weight = np.exp(tilt * (log.reward - log.reward.mean()) / spread) / log.propensity
    weight = (weight / weight.mean())[:, None]
    truth = float((weight[:, 0] * log.reward).mean())
    one = np.ones((len(log), 1))
    return Population(one, weight, log.reward[:, None], model[:, None], np.zeros(1), truth)


def _fitted(
    dense: F64, item: np.ndarray[tuple[int], np.dtype[np.int32]], y: F64, n_items: int
) -> F64:
    """(A, D): a ridge regression per item, shrunk to that of all items."""
    d = dense.shape[1]
    base = np.linalg.solve(dense.T @ dense + RIDGE * np.eye(d), dense.T @ y)
    table = np.tile(base, (n_items, 1))
    rest = y - dense @ base
    for a in np.unique(item[item >= 0]):
        x = dense[item == a]
        table[a] += np.linalg.solve(x.T @ x + RIDGE * np.eye(d), x.T @ rest[item == a])
    return table


def _surface(dense: F64, table: F64, ids: I64) -> F64:
    """(N, C) the model's reward of every candidate."""
    return np.asarray(np.take_along_axis(dense @ table.T, np.maximum(ids, 0), 1))
