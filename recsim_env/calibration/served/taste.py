"""What each session's user prefers: normal random effects of a conditional logit, by Laplace."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.calibration.served.log import F64, I64, ServedLog

BLOCK = 1024  # sessions of about the same length that pass through a step together


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
    for at in range(0, len(order), BLOCK):
        chosen = order[at : at + BLOCK]
        steps = np.arange(length[chosen[0]])
        rows = starts[:-1][chosen, None] + steps
        yield chosen, np.where(steps < length[chosen, None], rows, -1).astype(np.int64)


def newton_step(
    log: ServedLog, features: NDArray[np.float32], utility: F64, tastes: F64, covariance: F64
) -> tuple[F64, F64]:
    """One Newton step of every session's effects (S, D + 1) towards their mode, and a draw there.

    `utility` (N, K) is that of the slate's items less that of nothing, without the users' effects;
    -inf for an empty place. The draw is from the normal with the curvature before the step.
    """
    rng = np.random.default_rng(len(tastes))
    prior = np.linalg.inv(covariance)
    mode, draw = tastes.copy(), np.empty_like(tastes)
    width = tastes.shape[1]
    for chosen, rows in blocks(log):
        some = rows >= 0
        slate = log.slate[rows]  # (B, L, K)
        z = np.ones((*slate.shape, width), np.float32)
        z[..., :-1] = features[np.maximum(slate, 0)]
        p = shares(z, np.where(some[:, :, None], utility[rows], -np.inf), tastes[chosen])
        took = np.where(some, log.position[rows], -1)[:, :, None] == np.arange(slate.shape[2])
        flat = z.reshape(len(chosen), -1, width)
        gap = (took - p).reshape(len(chosen), 1, -1).astype(np.float32)
        slope = (gap @ flat)[:, 0] - tastes[chosen] @ prior
        mean = (p[..., None] * z).sum(2)
        weighed = flat * p.reshape(len(chosen), -1, 1)
        curve = weighed.transpose(0, 2, 1) @ flat - mean.transpose(0, 2, 1) @ mean + prior
        mode[chosen] += np.linalg.solve(curve, slope[..., None])[..., 0]
        root = np.linalg.cholesky(np.linalg.inv(curve))
        noise = rng.standard_normal((len(chosen), width, 1))
        draw[chosen] = mode[chosen] + (root @ noise)[..., 0]
    return mode, draw


def shares(z: NDArray[np.float32], utility: F64, tastes: F64) -> NDArray[np.float32]:
    """Chances (B, L, K) of each place of a slate, beside nothing, whose utility is 0."""
    total = utility + (z @ tastes[:, None, :, None].astype(np.float32))[..., 0]
    top = np.maximum(total.max(2, keepdims=True), 0.0)
    mass = np.exp(total - top)
    return np.asarray(mass / (mass.sum(2, keepdims=True) + np.exp(-top)), np.float32)


def matches(log: ServedLog, features: NDArray[np.float32], tastes: F64) -> F64:
    """(N, K) effects of each row's user on its slate's items, the one for taking anything
    included."""
    taste = tastes.astype(np.float32)[log.session]
    out = np.empty(log.slate.shape)
    for k in range(log.slate.shape[1]):
        items = np.maximum(log.slate[:, k], 0)
        out[:, k] = np.einsum("nd,nd->n", taste[:, :-1], features[items]) + taste[:, -1]
    return out
