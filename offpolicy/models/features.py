"""Features of (state, slate) for linear reward models, never as a matrix over all items.

A row is [dense d (D) | z (F) | z x d (F, D) | items (A)]: d speaks of the state, z is the sum of
the features of the shown items, the last block counts each shown item. All are linear in the
slate's counts, so that the average over a policy's draws is again such a row. Memory:
N (D + 2 F) numbers and one entry per shown item.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset

if TYPE_CHECKING:
    from scipy.sparse import csr_array

HISTORY = 10  # items of the history that its summary averages
STEPS = 32  # steps with a column of their own; longer sessions share the last


@dataclass(frozen=True, slots=True, eq=False)
class Slates:
    """What was shown on N rows, or the average of what a policy would show."""

    z: F64  # (N, F) summed item features
    counts: csr_array  # (N, A) how often each item is shown


def state_features(log: LoggedDataset, item_features: F64 | None) -> F64:
    """(N, D): 1, the step, context, and the history's mean responses and mean item features, then
    a column for each step; each scaled to unit variance, constant columns left out."""
    return np.concatenate([crossed_features(log, item_features), step_columns(log)], axis=1)


def crossed_features(log: LoggedDataset, item_features: F64 | None) -> F64:
    """(N, C): the first columns of `state_features`, on which items have slopes of their own."""
    parts = [log.step[:, None].astype(np.float64)]
    if log.context is not None:
        parts.append(log.context.astype(np.float64))
    if log.consumed is not None and _whole(log):
        items, responses = log.histories(HISTORY)
        held = (items >= 0)[..., None]
        size = np.maximum(held.sum(1), 1)
        parts += [held.mean(1), responses.sum(1) / size]
        if item_features is not None:
            parts.append((item_features[np.maximum(items, 0)] * held).sum(1) / size)
    x = _scaled(np.concatenate(parts, axis=1))
    return np.concatenate([np.ones((len(x), 1)), x], axis=1)


def step_columns(log: LoggedDataset) -> F64:
    """(N, T): a column for each step but the first and the last, scaled to unit variance."""
    if log.step.max() == 0:
        return np.zeros((len(log), 0))
    own = np.arange(1, min(int(log.step.max()), STEPS))
    return _scaled(np.asarray(np.minimum(log.step, STEPS)[:, None] == own, np.float64))


def shown(slates: NDArray[np.int32], n_items: int, item_features: F64 | None) -> Slates:
    """The logged slates (N, K)."""
    return expected(slates[:, None, :], None, n_items, item_features)


def expected(
    slates: NDArray[np.int32], weight: F64 | None, n_items: int, item_features: F64 | None
) -> Slates:
    """Average over draws (N, S, K), each with probability 1 / S or `weight` (N, S)."""
    from scipy.sparse import csr_array

    n, draws, positions = slates.shape
    share = np.full((n, draws), 1 / draws) if weight is None else weight
    flat = slates.reshape(n, draws * positions)
    held = flat >= 0
    data = (np.repeat(share, positions, axis=1))[held]
    end = np.concatenate([[0], np.cumsum(held.sum(1))])
    counts = csr_array((data, flat[held].astype(np.int32), end), shape=(n, n_items))
    counts.sum_duplicates()
    z = np.zeros((n, 0)) if item_features is None else np.asarray(counts @ item_features)
    return Slates(z, counts)


def _scaled(x: F64) -> F64:
    """Columns that vary, with mean 0 and variance 1."""
    if not x.shape[1]:
        return x
    spread = x.std(0)
    keep = spread > 1e-9 * (1 + np.abs(x).max(0))
    return np.asarray((x[:, keep] - x[:, keep].mean(0)) / spread[keep])


def _whole(log: LoggedDataset) -> bool:
    size = np.bincount(log.sessions, minlength=log.n_sessions)
    longest = np.zeros(log.n_sessions, np.int64)
    np.maximum.at(longest, log.sessions, log.step)
    return bool((longest + 1 == size).all())
