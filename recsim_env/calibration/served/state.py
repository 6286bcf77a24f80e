"""What was had of late, before and after each decision: the recursion of `users.served`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.calibration.served.log import F64, Clock, ServedLog


class State(NamedTuple):
    """What a slate's items meet, and how worn the most worn topic is after the decision."""

    worn: F64  # (N, K) how much of the item's topic was had of late, before the decision
    likeness: F64  # (N, K) of the item to what was had of late, before the decision
    most_worn: F64  # (N,) after the decision


def states(
    log: ServedLog,
    clock: Clock,
    features: NDArray[np.float32],
    topics: NDArray[np.int32],
    keep: float,
) -> State:
    """States of every row; an empty place has 0."""
    n_topics, width = int(topics.max()) + 1, features.shape[1]
    worn = np.zeros((clock.n_sessions, n_topics), np.float32)
    recent = np.zeros((clock.n_sessions, width), np.float32)
    out = State(np.zeros(log.slate.shape), np.zeros(log.slate.shape), np.zeros(len(log)))
    consumed = log.consumed
    for rows in clock.rows:
        n, slate, taken = len(rows), np.maximum(log.slate[rows], 0), consumed[rows]
        out.worn[rows] = np.take_along_axis(worn[:n], topics[slate], axis=1)
        out.likeness[rows] = np.einsum("nd,nkd->nk", recent[:n], features[slate])
        worn[:n] *= np.float32(keep)
        recent[:n] *= np.float32(keep)
        had = np.flatnonzero(taken >= 0)
        worn[had, topics[taken[had]]] += 1
        recent[had] += features[taken[had]]
        out.most_worn[rows] = worn[:n].max(1)
    empty = log.slate < 0
    out.worn[empty] = out.likeness[empty] = 0.0
    return out
