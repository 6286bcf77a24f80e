"""LinUCB with one ridge regression per item. Li, Chu, Langford & Schapire (2010), algorithm 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numba import njit
from numpy.typing import NDArray

from offpolicy.log import LoggedDataset
from policies.base import Observation, Serving, observation_of_log
from policies.encoders.base import Encoder
from policies.features import StateFeatures, features_of, place_rewards, state_features
from policies.saved import Saved
from policies.scored import Exploration, Scored, Scores

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]


@dataclass(slots=True)
class LinUCB:
    """theta_a.x + alpha sqrt(x' A_a^-1 x) over the state x of D numbers and a constant.

    Memory: A (D + 1)^2 doubles.
    """

    state: StateFeatures
    alpha: float
    ridge: float
    precision_inverse: F64  # (A, D+1, D+1)  A_a^-1
    moment: F64  # (A, D+1)       b_a
    theta: F64  # (A, D+1)       A_a^-1 b_a
    fitted: bool = False

    @property
    def serving(self) -> Serving:
        return self.state.serving

    def scores(self, obs: Observation) -> Scores:
        x = with_constant(self.state(obs))
        columns = obs.candidates
        if columns is None:
            every = np.arange(self.serving.n_items, dtype=np.int32)
            columns = np.broadcast_to(every, (len(obs), len(every)))
        out = np.empty(columns.shape)
        upper_bounds(x, columns, self.theta, self.precision_inverse, self.alpha, out)
        return out

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Every shown place is one observation of its item; the reward is the place's own."""
        obs = observation_of_log(log, self.serving)
        if not self.fitted:  # the scale of the state is fixed by the first log
            self.state, self.fitted = self.state.fitted(obs), True
        x = with_constant(self.state(obs))
        reward = place_rewards(log)
        sherman_morrison(x, log.slate, reward, self.precision_inverse, self.moment)
        self.theta = np.einsum("aij,aj->ai", self.precision_inverse, self.moment)
        return {"observations": float((log.slate >= 0).sum())}

    def saved(self) -> Saved:
        config = {"alpha": self.alpha, "ridge": self.ridge, "fitted": self.fitted}
        learnt = {"inverse": self.precision_inverse, "moment": self.moment, "theta": self.theta}
        arrays = self.state.to_arrays() | learnt
        return Saved(config=config, arrays=arrays, encoder=self.state.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        arrays, state = saved.arrays, features_of(saved, serving)
        learnt = arrays["inverse"], arrays["moment"], arrays["theta"]
        return cls(
            state, saved.config["alpha"], saved.config["ridge"], *learnt, saved.config["fitted"]
        )


def linucb(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    alpha: float = 0.5,
    ridge: float = 10.0,
    epsilon: float = 0.0,
) -> Scored:
    """alpha: width of the bonus in standard errors; ridge: prior precision of every weight."""
    if alpha < 0 or ridge <= 0:
        raise ValueError(f"linucb needs alpha >= 0 and ridge > 0, got {alpha} and {ridge}")
    state = state_features(serving, encoder)
    d = state.size + 1
    inverse = np.tile(np.eye(d) / ridge, (serving.n_items, 1, 1))
    empty = np.zeros((serving.n_items, d))
    bandit = LinUCB(state, alpha, ridge, inverse, empty, empty.copy())
    return Scored(bandit, Exploration(epsilon=epsilon))


def with_constant(x: NDArray[np.float32]) -> F64:
    """(B, D) -> (B, D + 1) doubles whose last column is 1."""
    return np.concatenate([x, np.ones((len(x), 1))], axis=1, dtype=np.float64)


@njit(cache=True)
def upper_bounds(x: F64, columns: I32, theta: F64, inverse: F64, alpha: float, out: F64) -> None:
    """Upper confidence bound of every candidate into `out` (B, C); 0 for an empty one (-1)."""
    d = x.shape[1]
    for b in range(columns.shape[0]):
        for c in range(columns.shape[1]):
            a = columns[b, c]
            if a < 0:
                out[b, c] = 0.0
                continue
            mean = 0.0
            variance = 0.0
            for i in range(d):
                mean += theta[a, i] * x[b, i]
                row = 0.0
                for j in range(d):
                    row += inverse[a, i, j] * x[b, j]
                variance += row * x[b, i]
            out[b, c] = mean + alpha * np.sqrt(max(variance, 0.0))


@njit(cache=True)
def sherman_morrison(x: F64, slate: I32, reward: F64, inverse: F64, moment: F64) -> None:
    """Add every shown place to its item's regression, in place: rank-one updates of A_a^-1."""
    d = x.shape[1]
    v = np.empty(d)
    for n in range(slate.shape[0]):
        for k in range(slate.shape[1]):
            a = slate[n, k]
            if a < 0:
                continue
            scale = 1.0
            for i in range(d):
                v[i] = 0.0
                for j in range(d):
                    v[i] += inverse[a, i, j] * x[n, j]
                scale += v[i] * x[n, i]
            for i in range(d):
                for j in range(d):
                    inverse[a, i, j] -= v[i] * v[j] / scale
                moment[a, i] += reward[n, k] * x[n, i]
