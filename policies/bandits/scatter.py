"""How states lie around their mean, and what that says of them in other scales and directions."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from policies.features import CONSTANT, StateFeatures

F64 = NDArray[np.float64]


class Scatter(NamedTuple):
    """Of N states (D,)."""

    n: F64  # () N
    mean: F64  # (D,)
    squares: F64  # (D, D) sum of products of deviations from the mean

    @classmethod
    def of(cls, rows: F64) -> Scatter:
        """Of rows (N, D)."""
        mean = rows.mean(axis=0)
        centred = rows - mean
        return cls(np.asarray(float(len(rows))), mean, centred.T @ centred)

    def plus(self, other: Scatter) -> Scatter:
        """Of both. Chan, Golub & LeVeque (1983)."""
        n = self.n + other.n
        gap, share = other.mean - self.mean, other.n / n
        squares = self.squares + other.squares + np.outer(gap, gap) * self.n * share
        return Scatter(n, self.mean + share * gap, squares)

    def through(self, to: F64) -> Scatter:
        """The same states as (to (D + 1, D + 1)) times (state, 1)."""
        linear, offset = to[:-1, :-1], to[:-1, -1]
        return Scatter(self.n, linear @ self.mean + offset, linear @ self.squares @ linear.T)

    def directions(self, rank: int) -> F64:
        """(D, P) leading principal directions, each signed so that it sums to >= 0."""
        _, vectors = np.linalg.eigh(self.squares)
        lead = vectors[:, ::-1][:, : min(rank, len(vectors))]
        signed: F64 = lead * np.where(lead.sum(axis=0) < 0, -1.0, 1.0)
        return signed


def between(old: StateFeatures, new: StateFeatures) -> F64:
    """(D + 1, D + 1) that makes (state, 1) in new scales of it in old ones, but for clipping."""
    assert old.seen is not None
    varied = old.seen.spread() > CONSTANT * np.abs(old.seen.mean)  # else the state was 0
    scale = new.scale.astype(np.float64)
    slope = np.where(varied, old.scale / scale, 0.0)
    to = np.diag(np.append(slope, 1.0))
    to[:-1, -1] = (old.centre.astype(np.float64) - new.centre) / scale
    return to


def best_map(states: Scatter, axes: F64, to: F64, new_axes: F64) -> tuple[F64, F64]:
    """(1, state x new_axes) of the new states as a linear map of (1, state x axes) of the old ones.

    The map (P' + 1, P + 1) of least squares over these states, and the covariance (P' + 1, P' + 1)
    of what it leaves: none, where the new directions lie among the old ones.
    """
    covariance = states.squares / states.n
    moved = to[:-1, :-1].T @ new_axes  # (D, P') new directions of old states
    inner = axes.T @ covariance @ axes
    slope = moved.T @ covariance @ axes @ np.linalg.pinv(inner, rcond=1e-9, hermitian=True)
    left = np.zeros((new_axes.shape[1] + 1, axes.shape[1] + 1))
    left[0, 0] = 1.0
    left[1:, 1:] = slope
    left[1:, 0] = moved.T @ states.mean + new_axes.T @ to[:-1, -1] - slope @ axes.T @ states.mean
    residual = np.zeros((len(left), len(left)))
    residual[1:, 1:] = moved.T @ covariance @ moved - slope @ inner @ slope.T
    return left, residual
