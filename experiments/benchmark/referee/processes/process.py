"""What a process of the referee is: logs drawn again and again, and a truth that is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from offpolicy import LoggedDataset, TargetScores
from offpolicy.weighting.horizons import Horizon

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
Flags = NDArray[np.bool_]
REACH = 12.0  # largest sharpness of a target that is solved for


class Draw(NamedTuple):
    """One log, and what is known of it beside its columns."""

    log: LoggedDataset
    scores: TargetScores
    state: I64 | None = None  # (N,) codes of the context, or of the Markov state
    columns: Mapping[str, F64] = {}  # (N,) what guardrails watch


class Truth(NamedTuple):
    """Exact values, of a decision or of a session."""

    value: float  # of the target
    logged: float  # of the logging policy
    changes: Mapping[str, float] = {}  # of each watched column's mean per decision

    @property
    def uplift(self) -> float:
        """Target less logging policy."""
        return self.value - self.logged


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A data-generating process with a target policy."""

    horizon: Horizon
    n: int  # units (decisions, users or sessions) of a log
    draw: Callable[[np.random.Generator, int], Draw]
    truth: Truth
    gamma: float = 1.0
    extra: tuple[str, ...] | None = None  # estimators beside the usual ones; None: the registry's
    same: bool = field(default=False)  # the target IS the logging policy


def softmax(x: F64) -> F64:
    """Over the last axis; entries of -inf get nothing."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def explore(logits: F64, share: float) -> F64:
    """Softmax, with `share` spread evenly over what is open (not -inf)."""
    open_ = np.isfinite(logits)
    return np.asarray((1 - share) * softmax(logits) + share * open_ / open_.sum(-1, keepdims=True))


def pick(table: F64, row: I64, rng: np.random.Generator) -> I64:
    """(N,) one column of each of the table's named rows; the table (M, C) holds probabilities."""
    edge = table.cumsum(1)
    edge[edge > 1 - 1e-12] = 1.0  # rounding never draws a closed column
    flat = (edge + np.arange(len(table))[:, None]).ravel()
    at = np.searchsorted(flat, row + rng.random(len(row)), side="right")
    return np.asarray(at - row * table.shape[1], np.int64)


def sharpness(uplift: Callable[[float], float], wanted: float) -> float:
    """The sharpness in [-REACH, REACH] at which `uplift` is what is wanted.

    Raises:
        ValueError: no sharpness gives it.
    """
    low, high = uplift(-REACH) - wanted, uplift(REACH) - wanted
    if low * high > 0:
        raise ValueError(f"uplifts reach from {low + wanted:.4g} to {high + wanted:.4g} only")
    return float(brentq(lambda s: uplift(s) - wanted, -REACH, REACH, xtol=1e-13))


def every_item(n: int, n_items: int) -> NDArray[np.int32]:
    """(N, A, 1): each item as a slate of its own."""
    return np.broadcast_to(np.arange(n_items, dtype=np.int32)[None, :, None], (n, n_items, 1))
