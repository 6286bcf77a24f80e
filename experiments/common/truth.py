"""The true value of a policy in a world, under common random numbers for all policies."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from scipy.stats import rankdata

from offpolicy import LoggedDataset
from policies import Policy, collect
from policies.rollout import Progress

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Truth:
    """Returns of whole sessions, in an order that is the same for every policy under one seed."""

    returns: F64  # (S,) reward summed over a session
    by_step: F64  # (T,) mean reward at each step, users who left counted 0
    coverage: float  # share of the catalogue that was shown at all


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean with its normal interval over independent sessions."""

    value: float
    low: float
    high: float


def serve(
    env: VectorEnv[Any, Any, Any],
    policy: Policy,
    *,
    n_sessions: int,
    seed: int,
    progress: Progress | None = None,
) -> Truth:
    """Run whole sessions of the policy in the world."""
    return truth_of(collect(env, policy, n_sessions=n_sessions, seed=seed, progress=progress))


def truth_of(log: LoggedDataset) -> Truth:
    """What whole sessions that a policy served brought."""
    by_step = np.bincount(log.step, weights=log.reward) / log.n_sessions
    shown = np.unique(log.slate[log.slate >= 0])
    return Truth(log.session_rewards(), by_step, len(shown) / log.n_items)


def mean(values: F64, level: float = 0.95) -> Mean:
    """Mean of independent values (S,), S >= 2."""
    if len(values) < 2:
        raise ValueError(f"an interval needs 2 sessions, got {len(values)}")
    z = NormalDist().inv_cdf(0.5 + level / 2)
    value, wide = float(values.mean()), z * float(values.std(ddof=1)) / len(values) ** 0.5
    return Mean(value, value - wide, value + wide)


def ratio(a: F64, b: F64, level: float = 0.95) -> Mean:
    """Mean of a (U,) over mean of b (U,) on the same users, by the delta method."""
    value = float(a.mean() / b.mean())
    spread = mean((a - value * b) / b.mean(), level)
    return Mean(value, value + spread.low, value + spread.high)


def rank_correlation(a: F64, b: F64) -> float:
    """Of two lists of values (P,), by their ranks (Spearman, 1904)."""
    return float(np.corrcoef(rankdata(a), rankdata(b))[0, 1])
