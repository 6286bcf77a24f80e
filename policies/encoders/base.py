"""The protocol of sequence encoders, and the checks that they share."""

from __future__ import annotations

from typing import Any, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.encoders.data.sequences import Sequences

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


@runtime_checkable
class Encoder(Protocol):
    """Next-item model over histories of item ids; numpy in, numpy out.

    `scores` are log-probabilities up to a constant per row: softmax(scores) is the predicted
    distribution of the next item. An empty history scores items by log-popularity.
    """

    name: str  # the key in ENCODERS
    config: Any  # frozen dataclass; `small(length=, seed=, threads=)` makes one for a simulator
    n_items: int  # A
    state_size: int  # D
    context_length: int  # number of last events of a history that are used

    def fit(self, sequences: Sequences) -> Self:
        """Learn from whole sequences."""

    def scores(self, histories: ArrayLike) -> F32:
        """(B, H) item ids, oldest first, -1 = empty place -> (B, A)."""

    def encode(self, histories: ArrayLike) -> F32:
        """(B, H) item ids -> (B, D): a dense state for agents."""

    @property
    def item_vectors(self) -> F32:
        """(A, D): one vector per item, in the space of the states."""

    def initial_state(self, batch: int) -> Any:
        """A `State` of `batch` users with empty histories."""

    def step(self, state: Any, items: ArrayLike) -> Any:
        """One more event for each user, items (B,), -1 = none; the state is advanced in place.

        state.vectors is then `encode` of the longer histories, to 1e-5.
        """

    def state_scores(self, state: Any) -> F32:
        """(B, A): `scores` of the histories that the state has seen."""

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What was learnt, by name; the class's `from_arrays` takes it back."""

    @classmethod
    def from_arrays(cls, config: Any, arrays: dict[str, NDArray[Any]]) -> Self:
        """An encoder with the same scores as the one that `to_arrays` was called on."""


def check_histories(histories: ArrayLike, n_items: int) -> I32:
    """Item ids as (B, H) int32, each -1 (empty) or 0..n_items-1.

    Raises:
        ValueError: another rank or kind, or an id outside the catalogue; names the row.
    """
    ids = np.asarray(histories)
    if ids.ndim != 2 or ids.dtype.kind not in "iu":
        raise ValueError(
            f"histories must be (B, H) integers, got shape {ids.shape} of {ids.dtype}; "
            "for one user pass histories[None, :]"
        )
    wrong = (ids < -1) | (ids >= n_items)
    if wrong.any():
        row, place = map(int, np.argwhere(wrong)[0])
        raise ValueError(
            f"histories[{row}, {place}] = {ids[row, place]} is outside -1..{n_items - 1}: this "
            f"encoder knows {n_items} items; -1 marks an empty place"
        )
    checked: I32 = ids.astype(np.int32, copy=False)
    return checked


def left_padded(ids: I32) -> I32:
    """The same histories with every empty place moved to the left, (B, H)."""
    empty = ids < 0
    if not (empty[:, 1:] & ~empty[:, :-1]).any():
        return ids
    order = np.argsort(~empty, axis=1, kind="stable")  # empty places first, items keep their order
    return np.take_along_axis(ids, order, axis=1)


def unique_rows(ids: I32) -> tuple[I32, NDArray[np.int64]]:
    """(rows, inverse) with rows[inverse] == ids; equal histories are then computed once.

    By a hash of each row: np.unique(ids, axis=0) sorts whole rows, which takes five times as long.
    """
    if len(ids) < 2 or not ids.shape[1]:
        return ids, np.arange(len(ids))
    mult = np.random.Generator(np.random.PCG64(0)).integers(1 << 62, size=ids.shape[1]) | 1
    key = (ids.astype(np.int64) + 1) @ mult  # wraps; collisions are caught below
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    rows = ids[first]
    if len(first) == len(ids) or not np.array_equal(rows[inverse], ids):
        return ids, np.arange(len(ids))
    return rows, inverse.astype(np.int64)


def log_shares(counts: ArrayLike, *, prior: float = 1.0) -> F32:
    """(A,) log of each item's share of all events, `prior` pseudo-events added to each item."""
    smoothed = np.asarray(counts, dtype=np.float64) + prior
    shares: F32 = np.log(smoothed / smoothed.sum()).astype(np.float32)
    return shares


def not_fitted(name: str) -> ValueError:
    """The error of an encoder that is used before `fit`."""
    return ValueError(f"{name} has learnt nothing yet: call fit(sequences), or load a checkpoint")
