"""What is shown along the session: repetition, variety of slates, and how exposure is spread."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.sessions.steps import Curve, while_there


class Exposure(NamedTuple):
    """How the places of all slates are spread over the catalogue."""

    coverage: float  # share of items that were shown at all
    effective_items: float  # exp(entropy) of the shares: as many items shown equally often
    gini: float  # 0: all items equally often, towards 1: one item alone


def repetition(log: LoggedDataset, *, level: float = 0.95) -> Curve:
    """Share of the shown places, at each step, whose item was shown earlier in the same session,
    mean over the sessions that reach the step.

    Raises:
        LogError: a session has missing steps, or there are fewer than 2 units.
    """
    return while_there(log, _share(shown_before(log), log), level=level)


def consumed_again(log: LoggedDataset, *, level: float = 0.95) -> Curve:
    """Share of the shown places, at each step, whose item the user took earlier in the session.

    Raises:
        LogError: no column consumed, a session has missing steps, or fewer than 2 units.
    """
    if log.consumed is None:
        raise LogError("the log has no column consumed; without it nothing is known to be taken")
    taken = _first_steps(log, log.consumed[:, None])
    key = log.sessions[:, None] * log.n_items + log.slate
    before = _looked_up(taken, key) < log.step[:, None]
    return while_there(log, _share(before & (log.slate >= 0), log), level=level)


def slate_diversity(log: LoggedDataset, item_features: ArrayLike, *, level: float = 0.95) -> Curve:
    """Mean of 1 - cosine similarity over the pairs of items of a slate, at each step: 0 where all
    point one way. item_features: (A, D). After Ziegler et al. (2005).

    Raises:
        LogError: slates of one place, features of another shape, missing steps, or fewer than 2
            units.
    """
    features = np.asarray(item_features, np.float64)
    if features.ndim != 2 or len(features) != log.n_items:
        raise LogError(f"item features have shape {features.shape}; give ({log.n_items}, D)")
    if log.slate_size < 2:
        raise LogError("slates have one place: there are no pairs; see `repetition`")
    norm = np.linalg.norm(features, axis=1, keepdims=True)
    unit = np.divide(features, norm, out=np.zeros_like(features), where=norm > 0)
    shown = log.slate >= 0
    total = np.zeros((len(log), features.shape[1]))
    squares = np.zeros(len(log))
    for k in range(log.slate_size):  # a place at a time: no (N, K, D) table
        vector = np.where(shown[:, k : k + 1], unit[log.slate[:, k]], 0.0)
        total += vector
        squares += (vector**2).sum(1)
    n = shown.sum(1)
    pairs = np.maximum(n * (n - 1), 1)
    alike = ((total**2).sum(1) - squares) / pairs
    return while_there(log, np.where(n > 1, 1 - alike, 0.0), level=level)


def exposure(log: LoggedDataset) -> Exposure:
    """How the shown places of a log are spread over its catalogue of A items."""
    count = np.bincount(log.slate[log.slate >= 0], minlength=log.n_items).astype(np.float64)
    share = np.sort(count / count.sum())
    positive = share[share > 0]
    rank = np.arange(1, log.n_items + 1)
    gini = float(2 * (rank @ share) / log.n_items - (log.n_items + 1) / log.n_items)
    entropy = float(-(positive * np.log(positive)).sum())
    return Exposure(len(positive) / log.n_items, float(np.exp(entropy)), gini)


def shown_before(log: LoggedDataset) -> NDArray[np.bool_]:
    """(N, K) whether the item of a place was shown at an earlier step of the same session."""
    first = _first_steps(log, log.slate)
    key = log.sessions[:, None] * log.n_items + log.slate
    return np.asarray((_looked_up(first, key) < log.step[:, None]) & (log.slate >= 0))


def _first_steps(log: LoggedDataset, items: NDArray[np.int32]) -> tuple[NDArray[np.int64], F64]:
    """Sorted keys (session, item) of what is there, and the first step of each."""
    there = items >= 0
    key = (log.sessions[:, None] * log.n_items + items)[there]
    step = np.broadcast_to(log.step[:, None], items.shape)[there]
    order = np.lexsort((step, key))
    head = np.ones(len(key), bool)
    head[1:] = key[order][1:] != key[order][:-1]
    return key[order][head], step[order][head].astype(np.float64)


def _looked_up(
    table: tuple[NDArray[np.int64], F64],
    key: NDArray[np.int64],
) -> F64:
    """First step of each key, infinite where it is not in the table."""
    keys, steps = table
    if not len(keys):
        return np.full(key.shape, np.inf)
    place = np.minimum(np.searchsorted(keys, key), len(keys) - 1)
    return np.where(keys[place] == key, steps[place], np.inf)


def _share(hit: NDArray[np.bool_], log: LoggedDataset) -> F64:
    return np.asarray(hit.sum(1) / np.maximum((log.slate >= 0).sum(1), 1), np.float64)
