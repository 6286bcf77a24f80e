"""What each session's user prefers: normal random effects of a conditional logit, by Laplace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.calibration.served.log import F64, I64, ServedLog

TINY = 1e-30
MODE_STEPS = 5
BLOCK = 1024  # sessions of about the same length that pass through a step together, if they are
ROWS = 1 << 15  # no more decisions than these


class Tastes(NamedTuple):
    """Posterior of the users' effects: D preferences for features, and one for taking anything."""

    mode: F64  # (S, D + 1)
    draw: F64  # (S, D + 1) one draw of each: together they are spread as the users are
    covariance: F64  # (D + 1, D + 1) between users


def blocks(log: ServedLog) -> Iterator[tuple[I64, I64]]:
    """Sessions (B,) of about the same length, and their rows (B, L), -1 after the last."""
    starts = log.starts
    length = np.diff(starts)
    order = np.argsort(-length, kind="stable")
    at = 0
    while at < len(order):
        longest = int(length[order[at]])
        chosen = order[at : at + min(max(ROWS // longest, 1), BLOCK)]
        at += len(chosen)
        steps = np.arange(longest)
        rows = starts[:-1][chosen, None] + steps
        yield chosen, np.where(steps < length[chosen, None], rows, -1).astype(np.int64)


class Curve(NamedTuple):
    """A block of sessions at their effects: log-likelihood with the prior's, its slope, and minus
    its curvature."""

    sessions: I64  # (B,)
    likelihood: F64  # (B,)
    slope: F64  # (B, D + 1)
    curve: F64  # (B, D + 1, D + 1)


def curves(
    log: ServedLog, features: NDArray[np.float32], utility: F64, tastes: F64, prior: F64
) -> Iterator[Curve]:
    """Every session at its effects `tastes` (S, D + 1), whose prior has precision `prior`.

    `utility` (N, K) is that of the slate's items less that of nothing, without the users' effects;
    -inf for an empty place.
    """
    width = tastes.shape[1]
    for chosen, rows in blocks(log):
        some = rows >= 0
        slate, taste = log.slate[rows], tastes[chosen]  # (B, L, K), (B, D + 1)
        z = np.ones((*slate.shape, width), np.float32)
        z[..., :-1] = features[np.maximum(slate, 0)]
        p, none = shares(z, np.where(some[:, :, None], utility[rows], -np.inf), taste)
        took = np.where(some, log.position[rows], -1)[:, :, None] == np.arange(slate.shape[2])
        chance = np.where(took.any(2), (p * took).sum(2), none)
        likelihood = np.log(np.maximum(chance, TINY)).sum(1)
        flat = z.reshape(len(chosen), -1, width)
        gap = (took - p).reshape(len(chosen), 1, -1).astype(np.float32)
        mean = (p[..., None] * z).sum(2)
        weighed = flat * p.reshape(len(chosen), -1, 1)
        curve = weighed.transpose(0, 2, 1) @ flat - mean.transpose(0, 2, 1) @ mean + prior
        pulled = taste @ prior
        yield Curve(
            chosen,
            likelihood - 0.5 * (taste * pulled).sum(1),
            (gap @ flat)[:, 0] - pulled,
            curve,
        )


def newton_step(
    log: ServedLog, features: NDArray[np.float32], utility: F64, tastes: F64, covariance: F64
) -> tuple[F64, F64]:
    """One Newton step of every session's effects (S, D + 1) towards their mode, and a draw there.

    The draw is normal with the curvature before the step (see `curves` for the arguments).
    """
    rng = np.random.default_rng(len(tastes))
    mode, draw = tastes.copy(), np.empty_like(tastes)
    for at in curves(log, features, utility, tastes, inverse_of(covariance)):
        inverse = np.linalg.inv(at.curve)
        mode[at.sessions] += (inverse @ at.slope[..., None])[..., 0]
        noise = rng.standard_normal((*at.slope.shape, 1))
        draw[at.sessions] = mode[at.sessions] + (np.linalg.cholesky(inverse) @ noise)[..., 0]
    return mode, draw


def modes(log: ServedLog, features: NDArray[np.float32], utility: F64, covariance: F64) -> F64:
    """(S, D + 1) each session's most likely effects."""
    mode = np.zeros((log.n_sessions, len(covariance)))
    for _ in range(MODE_STEPS):
        mode, _ = newton_step(log, features, utility, mode, covariance)
    return mode


def marginal(log: ServedLog, features: NDArray[np.float32], utility: F64, covariance: F64) -> F64:
    """(S,) log-likelihood of each session's choices, its user's effects integrated out (Laplace's
    approximation)."""
    prior = inverse_of(covariance)
    mode = modes(log, features, utility, covariance)
    out = np.empty(log.n_sessions)
    for at in curves(log, features, utility, mode, prior):
        size = np.linalg.slogdet(at.curve)[1] - np.linalg.slogdet(prior)[1]
        out[at.sessions] = at.likelihood - 0.5 * size
    return out


def inverse_of(covariance: F64) -> F64:
    """The precision of a normal distribution."""
    return np.asarray(np.linalg.inv(covariance), np.float64)


def shares(z: NDArray[np.float32], utility: F64, tastes: F64) -> tuple[NDArray[np.float32], F64]:
    """Chances (B, L, K) of each place of a slate, and (B, L) of nothing, whose utility is 0."""
    total = utility + (z @ tastes[:, None, :, None].astype(np.float32))[..., 0]
    top = np.maximum(total.max(2), 0.0)
    mass, none = np.exp(total - top[..., None]), np.exp(-top)
    whole = mass.sum(2) + none
    return (mass / whole[..., None]).astype(np.float32), none / whole


def matches(log: ServedLog, features: NDArray[np.float32], tastes: F64) -> F64:
    """(N, K) effects of each row's user on its slate's items, the one for taking anything
    included."""
    taste = tastes.astype(np.float32)[log.session]
    out = np.empty(log.slate.shape)
    for k in range(log.slate.shape[1]):
        items = np.maximum(log.slate[:, k], 0)
        out[:, k] = np.einsum("nd,nd->n", taste[:, :-1], features[items]) + taste[:, -1]
    return out
