"""The choice of a slate's item or of nothing: a mixed logit by stochastic EM.

Effects of users are drawn from their posterior (by Laplace) in turn with the coefficients of
highest penalised likelihood given the draws (Celeux and Diebolt, 1985; Train, 2009). Items have
normal random effects whose variance is estimated (empirical Bayes).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.calibration.served.log import F64, Clock, ServedLog
from recsim_env.calibration.served.solve import least
from recsim_env.calibration.served.state import State, states
from recsim_env.calibration.served.taste import Tastes, marginal, matches, newton_step

KEEPS = (0.7, 0.9, 0.97)  # memories that are tried
ROUNDS = 10
START_VARIANCE = 0.25  # of items' effects and of users' level, in squared logits
TASTE_VARIANCE = 1.0  # of users' preferences
LEAST_VARIANCE = 1e-4
SCALES = (0.03, 0.3, 1.0)
MOST_SCALED = 2000  # sessions


class Coefficients(NamedTuple):
    """Fixed effects and the items' random ones."""

    appeal: F64  # (A,) about 0
    position: F64  # (K,) the first is 0
    no_choice: float
    follow: float
    dull: float
    variance: float  # between items


class Choice(NamedTuple):
    """The fitted choice, the state that it reads, and each session's user."""

    coefficients: Coefficients
    keep: float
    state: State
    tastes: Tastes


def fit_choice(
    log: ServedLog,
    clock: Clock,
    features: NDArray[np.float32],
    topics: NDArray[np.int32],
) -> Choice:
    """Coefficients, users' effects, and the memory, tried again once users' effects are known."""
    known = {keep: states(log, clock, features, topics, keep) for keep in KEEPS}
    plain = np.zeros(log.slate.shape)
    keep, coefficients = best_memory(log, known, plain, start(log))
    # What differs between users is explained by their effects first: begun the other way round,
    # EM takes hundreds of rounds to leave it to them.
    coefficients = coefficients._replace(follow=0.0)
    width = features.shape[1] + 1
    covariance = np.diag([TASTE_VARIANCE] * (width - 1) + [START_VARIANCE])
    mode = np.zeros((log.n_sessions, width))
    drawn: list[Coefficients] = []
    for nth in range(ROUNDS):
        utility = fixed_utility(log, known[keep], coefficients)
        for _ in range(1 if nth else 3):
            mode, draw = newton_step(log, features, utility, mode, covariance)
        covariance = draw.T @ draw / len(draw) + LEAST_VARIANCE * np.eye(width)
        own = matches(log, features, draw)
        if nth == ROUNDS // 2:
            keep, coefficients = best_memory(log, known, own, coefficients)
            coefficients, covariance = rescaled(
                log, features, known[keep], coefficients, covariance
            )
        else:
            _, coefficients = maximised(log, known[keep], own, coefficients, 6)
        drawn.append(coefficients)
    coefficients = averaged(drawn[-ROUNDS // 3 :])
    return Choice(coefficients, keep, known[keep], Tastes(mode, draw, covariance))


def best_memory(
    log: ServedLog, known: dict[float, State], own: F64, first: Coefficients
) -> tuple[float, Coefficients]:
    """The memory of highest likelihood given the users' effects, and its coefficients."""
    tried = [(*maximised(log, state, own, first, 12), keep) for keep, state in known.items()]
    _, coefficients, keep = min(tried, key=lambda one: one[0])
    return keep, coefficients


def rescaled(
    log: ServedLog,
    features: NDArray[np.float32],
    state: State,
    coefficients: Coefficients,
    covariance: F64,
) -> tuple[Coefficients, F64]:
    """What EM has come to, or less: it is slow to find that users hardly differ, and meanwhile a
    negative `follow` makes up for it. The pair of highest marginal likelihood on some sessions."""
    chosen = np.arange(log.n_sessions) < MOST_SCALED
    some, rows = log.sessions(chosen), chosen[log.session]
    tried = []
    for follow in (coefficients.follow, 0.0):
        other = coefficients._replace(follow=follow)
        utility = fixed_utility(log, state, other)[rows]
        tried += [
            (float(marginal(some, features, utility, s * covariance).sum()), other, s)
            for s in SCALES
        ]
    _, other, scale = max(tried, key=lambda one: one[0])
    return other, scale * covariance


def start(log: ServedLog) -> Coefficients:
    """Nothing but the rate at which slates are taken."""
    rate = np.clip((log.position >= 0).mean(), 1e-3, 1 - 1e-3)
    shown = float((log.slate >= 0).sum(1).mean())
    none = float(np.log(shown * (1 - rate) / rate))
    zeros = np.zeros(log.slate.shape[1])
    return Coefficients(np.zeros(log.n_items), zeros, none, 0.0, 0.0, START_VARIANCE)


def averaged(drawn: list[Coefficients]) -> Coefficients:
    """Means of the last rounds, over which draws of users' effects differ."""
    return Coefficients(
        appeal=np.mean([c.appeal for c in drawn], axis=0),
        position=np.mean([c.position for c in drawn], axis=0),
        no_choice=float(np.mean([c.no_choice for c in drawn])),
        follow=float(np.mean([c.follow for c in drawn])),
        dull=float(np.mean([c.dull for c in drawn])),
        variance=float(np.mean([c.variance for c in drawn])),
    )


def fixed_utility(log: ServedLog, state: State, c: Coefficients) -> F64:
    """(N, K) utilities less that of nothing, without users' effects; -inf for an empty place."""
    total = c.appeal[np.maximum(log.slate, 0)] + c.position - c.no_choice
    total += c.follow * state.likeness - c.dull * state.worn
    return np.asarray(np.where(log.slate >= 0, total, -np.inf))


def log_chances(utility: F64, position: NDArray[np.integer]) -> F64:
    """(N,) log-likelihood of the place taken, or of nothing, whose utility is 0."""
    top = np.maximum(utility.max(1), 0.0)
    mass = np.exp(utility - top[:, None]).sum(1) + np.exp(-top)
    taken = np.take_along_axis(utility, np.maximum(position, 0)[:, None], 1)[:, 0]
    return np.asarray(np.where(position >= 0, taken, 0.0) - top - np.log(mass))


def maximised(
    log: ServedLog, state: State, own: F64, first: Coefficients, iterations: int
) -> tuple[float, Coefficients]:
    """Penalised negative log-likelihood and coefficients, given the users' effects (N, K)."""
    a, k = log.n_items, log.slate.shape[1]
    items, filled = np.maximum(log.slate, 0), log.slate >= 0
    offset = np.where(filled, own, -np.inf)
    took = log.position[:, None] == np.arange(k)
    scale = float(len(log))

    def unpacked(w: F64) -> Coefficients:
        place = np.concatenate([[0.0], w[a : a + k - 1]])
        return Coefficients(w[:a], place, w[-3], w[-2], w[-1], first.variance)

    def chances(w: F64) -> tuple[F64, F64]:
        utility = fixed_utility(log, state, unpacked(w)) + offset
        top = np.maximum(utility.max(1, keepdims=True), 0.0)
        mass = np.exp(utility - top)
        total = mass.sum(1, keepdims=True) + np.exp(-top)
        taken = np.where(took, np.where(filled, utility, 0.0), 0.0).sum(1)
        return mass / total, taken - top[:, 0] - np.log(total[:, 0])

    def loss(w: F64) -> tuple[float, F64]:
        p, likelihood = chances(w)
        gap = p - took
        slope = np.empty_like(w)
        slope[:a] = np.bincount(items.ravel(), gap.ravel(), a) + w[:a] / first.variance
        slope[a : a + k - 1] = gap.sum(0)[1:]
        slope[-3] = -gap.sum()
        slope[-2] = (gap * state.likeness).sum()
        slope[-1] = -(gap * state.worn).sum()
        penalty = 0.5 * float(w[:a] @ w[:a]) / first.variance
        return (penalty - float(likelihood.sum())) / scale, slope / scale

    w = np.concatenate(
        [first.appeal, first.position[1:], [first.no_choice, first.follow, first.dull]]
    )
    value, w = least(loss, w, iterations)
    p, _ = chances(w)
    known = np.bincount(items.ravel(), np.where(filled, p * (1 - p), 0.0).ravel(), a)
    appeal = w[:a]
    variance = float(np.mean(appeal**2 + 1 / (known + 1 / first.variance)))
    return value, unpacked(w)._replace(variance=max(variance, LEAST_VARIANCE))
