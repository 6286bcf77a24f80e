"""Logs, target policies and terms that many tests of `offpolicy` build."""

from __future__ import annotations

from typing import Any

import numpy as np

from offpolicy import LoggedDataset, TargetScores, Terms


def sessions_log(n: int = 400, steps: int = 3, seed: int = 0, **more: Any) -> LoggedDataset:
    """Two items, uniform logging, item 1 pays .7 and item 0 pays .3."""
    rng = np.random.default_rng(seed)
    rows = n * steps
    item = rng.integers(0, 2, rows)
    step = np.tile(np.arange(steps), n)
    columns: dict[str, Any] = {
        "session": np.repeat(np.arange(n), steps),
        "step": step,
        "slate": item,
        "propensity": np.full(rows, 0.5),
        "reward": (rng.random(rows) < np.where(item == 1, 0.7, 0.3)).astype(float),
        "n_items": 2,
        "terminated": step == steps - 1,
        "consumed": item,
    }
    return LoggedDataset.from_columns(**(columns | more))


def target(log: LoggedDataset, p1: float = 0.8, draws: int = 8) -> TargetScores:
    """A target that serves item 1 with probability p1."""
    rng = np.random.default_rng(1)
    return TargetScores(
        np.where(log.slate[:, 0] == 1, p1, 1 - p1),
        slates=(rng.random((len(log), draws, 1)) < p1).astype(np.int32),
    )


def log_of(n: int = 40, **more: Any) -> LoggedDataset:
    """One decision a session among four items, uniform logging, rewards in [0, 1)."""
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "session": np.arange(n), "step": np.zeros(n, int), "slate": rng.integers(0, 4, n),
        "propensity": np.full(n, 0.25), "reward": rng.random(n), "n_items": 4,
    }  # fmt: skip
    return LoggedDataset.from_columns(**(columns | more))


def uneven_sessions(seed: int = 0, sessions: int = 9, longest: int = 4) -> Terms:
    """Sessions of different length, two to a user, running weights, a model that is off."""
    rng = np.random.default_rng(seed)
    length = rng.integers(1, longest + 1, sessions)
    length[0] = longest
    session = np.repeat(np.arange(sessions), length)
    step = np.concatenate([np.arange(n) for n in length])
    ratio = rng.uniform(0.3, 2.0, len(session))
    weight, before = ratio.copy(), np.ones(len(session))
    for i in np.flatnonzero(step):
        before[i] = weight[i - 1]
        weight[i] *= before[i]
    return Terms(
        weight, rng.normal(1, 1, len(session)), rng.random(len(session)), rng.random(len(session)),
        session // 2, before, 0.9**step, step, session,
    )  # fmt: skip


def decisions(seed: int = 0, n: int = 14) -> Terms:
    """One decision a row, two rows to a user."""
    rng = np.random.default_rng(seed)
    return Terms(
        rng.uniform(0.1, 3, n), rng.random(n), rng.random(n), rng.random(n), rng.permutation(n) // 2
    )


def even(n: int = 1000, weight: float = 1.0) -> Terms:
    """One decision a unit, weights within 10 % of `weight`, every reward 1."""
    rng = np.random.default_rng(0)
    return Terms(weight * rng.uniform(0.9, 1.1, n), np.ones(n), None, None, np.arange(n))
