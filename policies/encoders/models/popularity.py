"""Popularity: the same scores for every history, from all events or the recent ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.encoders.base import F32, check_histories, log_shares, not_fitted
from policies.encoders.data.sequences import Sequences
from policies.encoders.serving.state import ServesHistory
from policies.validation import COUNT, POSITIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class PopularityConfig:
    """Which events count; at most one of `window` and `tail`."""

    window: float | None = None  # seconds before the newest event; needs times
    tail: int | None = None  # last events of each user: recency where only the order is known
    prior: float = 1.0  # pseudo-events of every item

    @classmethod
    def small(cls, *, length: int, seed: int, threads: int = 1) -> Self:
        """Sizes for a simulator: the defaults, since no network is trained."""
        return cls()

    def __post_init__(self) -> None:
        if self.window is not None and self.tail is not None:
            raise ValueError("give window (seconds) or tail (events per user), not both")
        if self.window is not None:
            POSITIVE.check("window", self.window)
        if self.tail is not None:
            COUNT.check("tail", self.tail)
        POSITIVE.check("prior", self.prior)


class Popularity(ServesHistory):
    """Scores are log-shares of the counted events; the state is the constant 1."""

    name = "popularity"

    def __init__(self, config: PopularityConfig | None = None) -> None:
        self.config = config or PopularityConfig()
        self.n_items = 0
        self.state_size = 1
        self.context_length = 1
        self._scores: F32 = np.empty(0, np.float32)  # (A,)

    def fit(self, sequences: Sequences) -> Self:
        """Count the events that the configuration names."""
        counted = sequences.items[_recent(sequences, self.config)]
        counts = np.bincount(counted, minlength=sequences.n_items)
        self.n_items = sequences.n_items
        self._scores = log_shares(counts, prior=self.config.prior)
        return self

    def scores(self, histories: ArrayLike) -> F32:
        """(B, H) -> (B, A), the same row for everybody (read-only)."""
        if not self.n_items:
            raise not_fitted(self.name)
        rows = len(check_histories(histories, self.n_items))
        return np.broadcast_to(self._scores, (rows, self.n_items))

    def encode(self, histories: ArrayLike) -> F32:
        """(B, H) -> (B, 1) ones, so that encode @ item_vectors.T are the scores."""
        return np.ones((len(check_histories(histories, self.n_items)), 1), np.float32)

    @property
    def item_vectors(self) -> F32:
        """(A, 1) log-shares."""
        return self._scores[:, None]

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The learnt log-shares."""
        return {"scores": self._scores}

    @classmethod
    def from_arrays(cls, config: PopularityConfig, arrays: dict[str, NDArray[Any]]) -> Self:
        """The encoder that `to_arrays` was called on."""
        encoder = cls(config)
        encoder._scores = arrays["scores"]
        encoder.n_items = len(encoder._scores)
        return encoder


def _recent(sequences: Sequences, config: PopularityConfig) -> NDArray[np.bool_]:
    """(T,) which events count."""
    if config.tail is not None:
        behind = sequences.offsets[1:][sequences.owner] - np.arange(sequences.n_events)
        return np.asarray(behind <= config.tail)
    if config.window is None:
        return np.ones(sequences.n_events, dtype=np.bool_)
    if sequences.times is None:
        raise ValueError("popularity in a window of seconds needs times; use tail= instead")
    newest = sequences.times.max(initial=-np.inf)
    return np.asarray(sequences.times > newest - config.window)
