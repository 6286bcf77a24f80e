"""Stationary ratios without states in cells: linear in features, regularised, in closed form.

The regularised Lagrangian of Yang et al. (2020) is a game between a value nu and a ratio zeta. With
nu and zeta linear in the same features and squares as regularisers its saddle point is one linear
system, so that no game is played; the reward plays no part in it (their alpha_R = 0).
"""

from __future__ import annotations

import numpy as np

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64, Terms, check_gamma, refuse_row_weights
from offpolicy.log.dataset import LoggedDataset
from offpolicy.models.fqe import FeaturesOf, feature_blocks
from offpolicy.models.reward_model import next_rows

UNSEEN = 1e-9  # share of what the target meets that may lie outside the log's features


def dice_terms(
    log: LoggedDataset,
    *,
    logged: FeaturesOf,
    target: FeaturesOf,
    after: FeaturesOf | None = None,
    gamma: float = 1.0,
    strength: float = 1e-3,
) -> Terms:
    """Terms of `dice`: the visits a session of the target pays to the row's (state, slate) for each
    one in the log, zeta = phi v, discount included.

    Features as for `fitted_q`: `logged` of the logged (state, slate), `target` averaged over what
    the target would show in that state, `after` (for sessions that were truncated) the target's in
    the state that follows the last row; without it cut sessions count as ended.

    v minimises |starts + A' v|^2 + strength * mean (zeta - 1)^2, A the mean of
    phi (gamma phi_next - phi)', the first norm weighed by the inverse of mean phi phi': flow into
    every feature balances, and where the log cannot tell, zeta stays at the log's own 1. strength 0
    is minimax weight learning (Uehara, Huang & Jiang 2020), whose value is LSTD-Q's; infinity is
    the logging policy's value. With a constant among the features no normalisation is needed.
    Ratios may be negative. The interval takes them as known, though they are fitted to the same
    rows, and does not hold at its level.

    Raises:
        LogError: missing steps, or a target that goes where the log has no features.
        ValueError: gamma outside [0, 1] or a negative strength.
    """
    check_gamma(gamma)
    refuse_row_weights(log, "dice")
    if not strength >= 0:
        raise ValueError(f"strength = {strength} must not be negative")
    following = next_rows(log)
    starts, gram, flow, mean = _moments(log, logged, target, after, gamma, following)
    inverse = np.linalg.pinv(gram, hermitian=True)
    passed = flow @ inverse
    if np.isinf(strength):
        v = inverse @ mean
    else:
        left = passed @ flow.T + strength * gram
        v = np.linalg.pinv(left, hermitian=True) @ (strength * mean - passed @ starts)
    weight = np.concatenate([logged(rows) @ v for rows in feature_blocks(len(log))])
    return Terms(
        weight,
        log.reward,
        None,
        None,
        log.unit,
        stratum=log.step.astype(np.int64),
        session=log.sessions,
        horizon="marginal",
        rows="visits",
    )


def _moments(
    log: LoggedDataset,
    logged: FeaturesOf,
    target: FeaturesOf,
    after: FeaturesOf | None,
    gamma: float,
    following: np.ndarray[tuple[int], np.dtype[np.int64]],
) -> tuple[F64, F64, F64, F64]:
    """Per session: the target's features at starts (P,), phi phi' (P, P), phi (gamma phi_next -
    phi)' (P, P) and phi (P,)."""
    width = logged(slice(0, 1)).shape[1]
    starts, mean = np.zeros(width), np.zeros(width)
    gram, carried, visited = (np.zeros((width, width)) for _ in range(3))
    came_from = np.full(len(log), -1, np.int64)
    came_from[following[following >= 0]] = np.flatnonzero(following >= 0)
    for rows in feature_blocks(len(log)):
        phi, would = logged(rows), target(rows)
        inside = came_from[rows] >= 0
        before = _rows_of(logged, came_from[rows][inside])
        starts += would[~inside].sum(0)
        mean += phi.sum(0)
        gram += phi.T @ phi
        carried += before.T @ would[inside]
        visited += would.T @ would
        cut = log.truncated[rows] & (following[rows] < 0)
        if after is not None and cut.any():
            next_features = after(rows)[cut]
            carried += phi[cut].T @ next_features
            visited += next_features.T @ next_features
    _check_support(gram, visited)
    n = log.n_sessions
    return starts / n, gram / n, (gamma * carried - gram) / n, mean / n


def _rows_of(features: FeaturesOf, rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> F64:
    """Features of rows that stand near each other."""
    if not rows.size:
        return features(slice(0, 1))[:0]
    first = int(rows.min())
    return features(slice(first, int(rows.max()) + 1))[rows - first]


def _check_support(gram: F64, visited: F64) -> None:
    """What the target meets lies in the span of what was logged."""
    values, vectors = np.linalg.eigh(gram)
    empty = vectors[:, values <= 1e-12 * values.max(initial=0.0)]
    outside = float(np.trace(empty.T @ visited @ empty))
    if outside > UNSEEN * float(np.trace(visited)):
        raise LogError(
            "the target shows what the log has no features of: no ratio can make up for it. Log "
            "with more exploration, try a closer policy, or share features between slates."
        )
