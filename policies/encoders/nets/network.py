"""What encoders train: a network over packed sequences, its examples, and a step of one event."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.encoders.data.sequences import Sequences
from policies.encoders.nets.layers import CONTENT_RMS, Dropout, content_vectors
from policies.encoders.nets.packed import Packed, pack


@dataclass(frozen=True, slots=True)
class Examples:
    """One batch: sequences in, and what to predict at which of their rows."""

    packed: Packed
    target: Tensor  # (M,) item ids
    at: Tensor | None = None  # (M,) rows whose state predicts; None: all N

    def to(self, device: torch.device) -> Examples:
        """The same batch on another device."""
        at = None if self.at is None else self.at.to(device)
        return Examples(self.packed.to(device), self.target.to(device), at)


class Network(nn.Module, ABC):
    """What encoders train: packed sequences in, one hidden state per event out."""

    def __init__(self, table: Tensor, temperature: float | None, drop: Dropout) -> None:
        super().__init__()
        self.table = nn.Parameter(table)  # (A, D), the input and output vectors
        self.temperature = temperature
        self.drop = drop

    def vectors(self) -> Tensor:
        """(A, D) item vectors that states are multiplied with; unit vectors for cosines."""
        unit = self.temperature is not None
        return nn.functional.normalize(self.table, dim=-1) if unit else self.table

    def embed(self, items: Tensor, table: Tensor | None = None) -> Tensor:
        """(N,) ids -> (N, D) rows of the table, scaled by sqrt(D) as in Vaswani et al. (2017)."""
        table = self.table if table is None else table
        rows = nn.functional.embedding(items, table) * table.shape[1] ** 0.5
        out: Tensor = self.drop(rows)
        return out

    @torch.no_grad()
    def begin_at(self, features: Tensor) -> None:
        """Add the principal components of the items' features (A, F) to their initial vectors."""
        components = content_vectors(features.to(self.table), self.table.shape[1])
        self.table[:, : components.shape[1]] += CONTENT_RMS * components

    @abstractmethod
    def forward(self, packed: Packed) -> Tensor:
        """(N, D): the state after each event."""

    @abstractmethod
    def last(self, packed: Packed) -> Tensor:
        """(B, D): the state after each sequence's last event."""

    def examples(
        self, pieces: Sequences, rows: NDArray[np.int64], rng: np.random.Generator
    ) -> Examples:
        """The next event of every event, for the windows `rows`."""
        packed = pack(pieces.items, pieces.offsets[rows], pieces.offsets[rows + 1] - 1)
        return Examples(packed, torch.from_numpy(pieces.items[packed.rows + 1].astype(np.int64)))


@runtime_checkable
class Incremental(Protocol):
    """A network for which one more event costs less than a pass over the whole history."""

    def start(self, batch: int) -> Any:
        """The memory of `batch` users without events; see `state.NetworkState`."""

    def step(self, cache: Any, items: Tensor, active: Tensor) -> Tensor:
        """Add one event, items (B,), to the users in `active` (rows) -> (B, D), undefined
        elsewhere."""
