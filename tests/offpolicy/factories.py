"""Logs, target policies and terms that many tests of `offpolicy` build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from offpolicy import Interval, LoggedDataset, TargetScores, Terms
from offpolicy.streaming.stream import StreamSpec

GOOD = Interval(0.1, 0.05, 0.15, 0.025, 0.95, 1000)  # an uplift above 0
STREAM = StreamSpec(
    horizon="per_decision",
    estimators=("pdis", "snpdis"),
    columns={"session": "sid", "step": "t", "propensity": "p", "target": "q", "reward": "pay"},
)  # of `raw_files`
STEPS = 15
TO_1 = np.array([[0.2, 0.7], [0.4, 0.9]])  # probability of state 1 after (state, action)
P_B, P_E = np.array([0.5, 0.5]), np.array([0.3, 0.8])  # probability of action 1 in each state


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


def flat(n: int) -> Terms:
    """One decision a unit, every weight and reward 1."""
    return Terms(np.ones(n), np.ones(n), None, None, np.arange(n))


def plackett(w: NDArray[np.float64], slate: tuple[int, ...]) -> list[float]:
    """Probability of each place given those above, under Plackett-Luce weights w."""
    left, places = w.sum(), []
    for item in slate:
        places.append(w[item] / left)
        left -= w[item]
    return places


def chain(
    n: int, seed: int, p1: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """States, actions and rewards (n, STEPS) of a Markov chain of two states and two actions."""
    rng = np.random.default_rng(seed)
    s = np.zeros((n, STEPS + 1), int)
    a = np.zeros((n, STEPS), int)
    for t in range(STEPS):
        a[:, t] = rng.random(n) < p1[s[:, t]]
        s[:, t + 1] = rng.random(n) < TO_1[s[:, t], a[:, t]]
    return s[:, :-1], a, (s[:, 1:] + 0.5 * a).astype(float)


def chain_value() -> float:
    """What a session of the chain pays under P_E, summed over its states."""
    d, total = np.array([1.0, 0.0]), 0.0
    for _ in range(STEPS):
        joint = d[:, None] * np.column_stack([1 - P_E, P_E])
        total += float((joint * (TO_1 + np.array([0.0, 0.5]))).sum())
        d = np.array([1 - (joint * TO_1).sum(), (joint * TO_1).sum()])
    return total


def chain_log(n: int, seed: int) -> tuple[LoggedDataset, TargetScores, NDArray[np.int64]]:
    """A log of the chain under P_B, the target P_E on it, and the state of every row."""
    s, a, r = chain(n, seed, P_B)
    log = LoggedDataset.from_columns(
        session=np.repeat(np.arange(n), STEPS), step=np.tile(np.arange(STEPS), n),
        slate=a.ravel(), propensity=np.full(n * STEPS, 0.5), reward=r.ravel(), n_items=2,
    )  # fmt: skip
    p = np.where(a == 1, P_E[s], 1 - P_E[s]).ravel()
    return log, TargetScores(p), s.ravel()


def raw_files(folder: Path, files: int = 4, sessions: int = 500) -> pa.Table:
    """Sessions of 1 to 4 steps in several Parquet files under foreign names."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    tables = []
    for k in range(files):
        length = rng.integers(1, 5 if k else 3, sessions)
        n = int(length.sum())
        p = rng.uniform(0.3, 0.9, n)
        tables.append(
            pa.table(
                {
                    "sid": np.repeat(np.arange(sessions) + k * sessions, length),
                    "t": np.concatenate([np.arange(m) for m in length]).astype(np.int32),
                    "p": p, "q": np.clip(p * rng.uniform(0.6, 1.4, n), 0, 1), "pay": rng.random(n),
                    "item": rng.integers(0, 5, n),
                }
            )
        )  # fmt: skip
        pq.write_table(tables[-1], folder / f"{k}.parquet", row_group_size=300)
    return pa.concat_tables(tables)
