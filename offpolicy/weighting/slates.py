"""Slates -> Terms: a row per position, whose weight is an assumption about the user."""

from __future__ import annotations

from typing import get_args

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.estimators.registry import Weighting
from offpolicy.estimators.terms import F64, Terms
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import Predictions, TargetScores, check_scores


def slate_terms(
    log: LoggedDataset,
    scores: TargetScores,
    *,
    weighting: Weighting,
    model: Predictions | None = None,
    marginals: tuple[F64, F64] | None = None,
    behaviour: NDArray[np.bool_] | None = None,
) -> Terms:
    """Terms of N slates of K positions, N * K rows; the value is the expected sum over positions.

    joint: the whole slate's ratio on every position. cascade: that of the positions down to it.
    marginal, pseudo_inverse: ratios of the position's marginal probabilities; `marginals` are the
    (N, K) logged and target ones. Left out, position probabilities are taken as marginals, which is
    right only for policies that fill positions independently.
    adaptive: the product over the positions m that matter to position l by the users' `behaviour`
    [l, m] (K, K or N, K, K); positions independent. `model` (N * K each) is of the rewards from the
    position on.

    Raises:
        LogError: the log or the scores lack what the weighting needs.
    """
    check_scores(log, scores)
    reward = _position_rewards(log)
    n, positions = reward.shape
    weight, before = _weights(log, scores, weighting, marginals, behaviour)
    unit = log.unit
    q, v = (None, None) if model is None else model
    return Terms(
        weight.ravel(),
        reward.ravel(),
        q,
        v,
        np.repeat(unit, positions),
        weight_before=before.ravel(),
        stratum=np.tile(np.arange(positions), n),
        session=np.repeat(np.arange(n), positions),
        horizon="slate",
        rows="positions",
        row_weight=None if log.row_weight is None else np.repeat(log.row_weight, positions),
    )


def _weights(
    log: LoggedDataset,
    scores: TargetScores,
    weighting: Weighting,
    marginals: tuple[F64, F64] | None,
    behaviour: NDArray[np.bool_] | None,
) -> tuple[F64, F64]:
    """(N, K) weight of each position, and of reaching it."""
    positions = log.slate_size
    if weighting == "joint":
        w = np.repeat((scores.propensity / log.propensity)[:, None], positions, axis=1)
        return w, w
    if weighting not in get_args(Weighting):
        raise ValueError(f"no weighting {weighting!r}; there are {', '.join(get_args(Weighting))}")
    logged, target = marginals or _position_propensities(log, scores)
    ratio = target / logged
    if weighting == "cascade":
        running = np.asarray(np.cumprod(ratio, axis=1), np.float64)
        return running, np.concatenate([np.ones((len(log), 1)), running[:, :-1]], axis=1)
    if weighting == "marginal":
        return ratio, np.ones_like(ratio)
    if weighting == "pseudo_inverse":
        w = np.repeat((1 - positions + ratio.sum(1))[:, None], positions, axis=1)
        return w, np.ones_like(w)
    return _adaptive(ratio, behaviour), np.ones_like(ratio)


def _adaptive(ratio: F64, behaviour: NDArray[np.bool_] | None) -> F64:
    if behaviour is None:
        raise ValueError(
            "adaptive weights need behaviour (K, K) or (N, K, K): which positions matter to each"
        )
    matter = np.broadcast_to(behaviour, (len(ratio), ratio.shape[1], ratio.shape[1]))
    w = np.ones_like(ratio)
    for m in range(ratio.shape[1]):
        w *= np.where(matter[:, :, m], ratio[:, m, None], 1.0)
    return w


def _position_rewards(log: LoggedDataset) -> F64:
    if log.position_reward is not None:
        return log.position_reward
    if log.slate_size == 1:
        return log.reward[:, None]
    raise LogError(
        "the log has no position_reward: slate estimators need what came back from each position. "
        "Log it, or use ips (whole slates) instead."
    )


def _position_propensities(log: LoggedDataset, scores: TargetScores) -> tuple[F64, F64]:
    if log.slate_size == 1:
        return log.propensity[:, None], scores.propensity[:, None]
    if log.position_propensity is None or scores.position_propensity is None:
        who = "the log" if log.position_propensity is None else "the target scores"
        raise LogError(
            f"{who} lack position_propensity (N, K), the probability of each position given those "
            "above; only sips and snsips do without."
        )
    return log.position_propensity, scores.position_propensity
