"""From a network over packed sequences to an encoder: fitting, scoring, fall-backs, arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from policies.encoders.base import (
    F32,
    I32,
    check_histories,
    left_padded,
    log_shares,
    not_fitted,
    unique_rows,
)
from policies.encoders.data.sequences import Sequences
from policies.encoders.data.splits import Heldout
from policies.encoders.evaluate import check_queries, ndcg
from policies.encoders.nets.network import Incremental, Network
from policies.encoders.nets.packed import pack
from policies.encoders.serving.offered import offered_scores
from policies.encoders.serving.state import HistoryState, NetworkState, check_events
from policies.encoders.serving.topk import Top, top_k
from policies.encoders.training.config import TrainConfig
from policies.encoders.training.parallel import ProcessGroup
from policies.encoders.training.resume import Epoch
from policies.encoders.training.train import torch_threads, train

CHUNK = 16_384  # events of one inference batch: its activations stay in the cache


class NeuralEncoder(ABC):
    """What the networks share. A model's file gives its name and its network.

    scores = encode @ item_vectors.T. Items that training never saw are dropped from histories and
    score with the lowest known item of their row; a history that is then empty scores by
    log-popularity and encodes to zeros. Only the last `context_length` items of a history are used.
    """

    name: str

    def __init__(self, config: Any) -> None:
        self.config: Any = config
        self.n_items = 0
        self.state_size: int = config.dim
        self.context_length: int = config.length
        self.curve: list[Epoch] = []
        self._net: Network  # made by fit and from_arrays
        self._vectors: Tensor | None = None  # (A, D), made when first asked for
        self._counts: NDArray[np.int64] = np.empty(0, np.int64)  # (A,) events in training

    def fit(
        self,
        sequences: Sequences,
        *,
        valid: Heldout | None = None,
        report: Callable[[Epoch], None] | None = None,
        folder: Path | None = None,
        world: ProcessGroup | None = None,
    ) -> Self:
        """Learn; with `valid`, stop early and keep the epoch with the best NDCG@10 on it.

        `folder` and `world` as in `policies.encoders.training.train.train`.
        """
        if valid is not None:
            check_queries(valid)
        self._build(sequences.n_items, sequences.counts())
        if sequences.item_features is not None:
            self._net.begin_at(torch.from_numpy(sequences.item_features))
        config: TrainConfig = self.config

        def score() -> float:
            assert valid is not None
            self._vectors = None  # computed from older weights
            return ndcg(self, valid)

        self.curve = train(
            self._net,
            sequences,
            config,
            validate=None if valid is None else score,
            report=report,
            folder=folder,
            world=world,
        )
        self._vectors = None
        return self

    def scores(self, histories: ArrayLike) -> F32:
        """(B, H) -> (B, A)."""
        rows, inverse = unique_rows(self._known(histories))
        out = self._scores_of(self._states(rows))
        return out if len(out) == len(inverse) else out[inverse]

    def scores_at(self, states: F32, items: ArrayLike) -> F32:
        """(B, D) states of histories and item ids (B, C) -> (B, C): `scores` of these items alone.

        Raises ValueError for items of another shape, or outside the catalogue.
        """
        with torch_threads(self.config.threads), torch.inference_mode():
            return offered_scores(states, items, self.item_vectors, self._counts)

    def encode(self, histories: ArrayLike) -> F32:
        """(B, H) -> (B, D)."""
        rows, inverse = unique_rows(self._known(histories))
        return self._states(rows)[inverse]

    def initial_state(self, batch: int) -> Any:
        """`batch` users with empty histories: the network's state, or the last items."""
        if not self.n_items:
            raise not_fitted(self.name)
        if not isinstance(self._net, Incremental):
            return HistoryState(self, batch)
        vectors = np.zeros((batch, self.state_size), np.float32)
        return NetworkState(self._net.start(batch), vectors)

    def step(self, state: Any, items: ArrayLike) -> Any:
        """One more event for each user, -1 = none; the state is advanced in place."""
        size = len(state.items if isinstance(state, HistoryState) else state.vectors)
        ids = check_events(items, size, self.n_items)
        known = np.where((ids >= 0) & (self._counts[ids] > 0), ids, np.int32(-1))
        if isinstance(state, HistoryState):
            state.append(known)
            return state
        active = torch.from_numpy(np.flatnonzero(known >= 0))
        events = torch.from_numpy(np.maximum(known, 0).astype(np.int64))
        with torch_threads(self.config.threads), torch.inference_mode():
            assert isinstance(self._net, Incremental)  # or it had given no such state
            after = self._net.step(state.cache, events, active)
            torch.from_numpy(state.vectors)[active] = after[active]
        return state

    def state_scores(self, state: Any) -> F32:
        """(B, A): `scores` of the histories that the state has seen."""
        return self._scores_of(state.vectors)

    def state_top(self, state: Any, k: int) -> Top:
        """The best k trained items of each user; by popularity where the history is empty.

        Never holds (B, A) scores: one million items fit in memory.
        """
        vectors, counts = state.vectors, self._counts
        known = np.flatnonzero(counts > 0)
        table = self.item_vectors if len(known) == self.n_items else self.item_vectors[known]
        with torch_threads(self.config.threads):
            best = top_k(vectors, table, k)
        items = known[best.items].astype(np.int32)
        empty = ~vectors.any(axis=1)
        if empty.any():
            popular = np.argsort(-counts, kind="stable")[:k]
            items[empty], best.scores[empty] = popular, log_shares(counts)[popular]
        return Top(items, best.scores)

    @property
    def item_vectors(self) -> F32:
        """(A, D)."""
        vectors: F32 = self._table.cpu().numpy()
        return vectors

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The network's weights and the training counts of the items."""
        weights = self._net.state_dict().items()
        return {"counts": self._counts, **{f"net.{k}": v.cpu().numpy() for k, v in weights}}

    @classmethod
    def from_arrays(cls, config: Any, arrays: dict[str, NDArray[Any]]) -> Self:
        """The encoder that `to_arrays` was called on."""
        encoder = cls(config)
        encoder._build(len(arrays["counts"]), arrays["counts"])
        weights = {
            k.removeprefix("net."): torch.from_numpy(v)
            for k, v in arrays.items()
            if k.startswith("net.")
        }
        encoder._net.load_state_dict(weights)
        return encoder

    def _scores_of(self, states: F32) -> F32:
        """(B, D) -> (B, A); a state of zeros is an empty history."""
        with torch_threads(self.config.threads), torch.inference_mode():
            table = self._table
            out: F32 = (torch.from_numpy(states).to(table.device) @ table.T).cpu().numpy()
        unseen = self._counts == 0
        if unseen.any() and not unseen.all():
            out[:, unseen] = out[:, ~unseen].min(axis=1, keepdims=True)
        empty = ~states.any(axis=1)
        if empty.any():
            out[empty] = log_shares(self._counts)
        return out

    def _build(self, n_items: int, counts: NDArray[np.int64]) -> None:
        self.n_items, self._counts = n_items, counts
        self._net = self._network(n_items)
        self._net.eval()

    @abstractmethod
    def _network(self, n_items: int) -> Network:
        """A fresh module."""

    @property
    def _table(self) -> Tensor:
        if not self.n_items:
            raise not_fitted(self.name)
        if self._vectors is None:
            self._vectors = self._net.vectors().detach()
        return self._vectors

    def _known(self, histories: ArrayLike) -> I32:
        """Checked histories of trained items only, left-padded, (B, at most length)."""
        if not self.n_items:
            raise not_fitted(self.name)
        ids = check_histories(histories, self.n_items)
        if (self._counts == 0).any():
            ids = np.where((ids >= 0) & (self._counts[ids] > 0), ids, np.int32(-1))
        return left_padded(ids)[:, -self.context_length :]

    def _states(self, rows: I32) -> F32:
        """(B, H) left-padded histories -> (B, D) in chunks of like length."""
        out = np.zeros((len(rows), self.state_size), np.float32)
        sizes = (rows >= 0).sum(axis=1)
        order = np.argsort(sizes, kind="stable")
        order = order[sizes[order] > 0]
        if not len(order):
            return out
        number = (np.cumsum(sizes[order]) - 1) // CHUNK
        with torch_threads(self.config.threads), torch.inference_mode():
            for part in np.split(order, np.flatnonzero(np.diff(number)) + 1):
                end = (part + 1) * rows.shape[1]
                packed = pack(rows.ravel(), end - sizes[part], end).to(self._net.table.device)
                out[part[packed.order]] = self._net.last(packed).cpu().numpy()
        return out
