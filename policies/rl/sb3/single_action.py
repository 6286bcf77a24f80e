"""Algorithms whose action is one candidate or one vector: their networks, and the slate around it.

A value network scores the candidates of the row; the one chosen stands first and is followed by
those most like it. A vector is a proto-item among the items, and the slate is what lies nearest.
Dulac-Arnold et al. (2015).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn

from policies.rl.nets import ItemNet
from policies.slates.distributions import top_places

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
NEVER = -1e6  # value of a place without a candidate: finite, so that no loss becomes NaN


class TiedHead(nn.Module):
    """Observations (B, D + C) -> (B, H C): H numbers of every candidate, tied to its vector."""

    def __init__(self, items: Tensor, state_size: int, hidden: int, heads: int) -> None:
        super().__init__()
        self.state_size = state_size
        self.net = ItemNet(state_size, items.numpy(), hidden, heads=heads)

    def forward(self, obs: Tensor) -> Tensor:
        ids = obs[:, self.state_size :].long()
        value, _ = self.net(obs[:, : self.state_size], ids)  # (H, B, C)
        if ids.shape[1]:
            value = value.masked_fill(ids < 0, NEVER)
        flat: Tensor = value.transpose(0, 1).flatten(1)
        return flat


class TiedDQN(DQNPolicy):
    """DQN's two networks over candidates."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Any,
        *,
        items: Tensor,
        state_size: int,
        hidden: int,
        metadata: object = None,  # kept by model.save, see builders.from_zip
    ) -> None:
        self.tied = items, state_size, hidden
        super().__init__(observation_space, action_space, lr_schedule)

    def make_q_net(self) -> QNetwork:
        net = super().make_q_net()
        net.q_net = TiedHead(*self.tied, heads=1)  # type: ignore[assignment]
        return net


def values(policy: Any, obs: Tensor) -> Tensor:
    """Expected returns (B, C), of a network or of its quantiles."""
    if hasattr(policy, "quantile_net"):
        return torch.as_tensor(policy.quantile_net(obs)).mean(dim=1)
    return torch.as_tensor(policy.q_net(obs))


def unit_vectors(table: F32, rank: int) -> F32:
    """(A, P) leading principal directions of item vectors (A, D), rows of length 1."""
    centred = (table - table.mean(axis=0)).astype(np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    lead = centred @ axes[:, ::-1][:, : min(rank, table.shape[1])]
    norm = np.linalg.norm(lead, axis=1, keepdims=True)
    unit: F32 = (lead / np.where(norm > 1e-9, norm, 1.0)).astype(np.float32)
    return unit


def near_vector(vectors: F32, proto: F32, ids: I32 | None) -> F64:
    """Scores (B, C) of candidates ids (B, C), or of all items: products with proto (B, P).

    -inf for an empty candidate (-1).
    """
    if ids is None:
        return (proto @ vectors.T).astype(np.float64)
    scores = np.einsum("bcp,bp->bc", vectors[np.maximum(ids, 0)], proto).astype(np.float64)
    return np.where(ids < 0, -np.inf, scores)


def near_item(vectors: F32, column: NDArray[np.int64], ids: I32 | None) -> F64:
    """Scores (B, C) by likeness to the candidate in `column` (B,), which stands first."""
    rows = np.arange(len(column))
    chosen = column if ids is None else np.maximum(ids[rows, column], 0)
    scores = near_vector(vectors, vectors[chosen], ids)
    there = ~np.isneginf(scores[rows, column])
    scores[rows[there], column[there]] = 2.0  # likeness is at most 1
    return scores


def slate_of(scores: F64, places: int) -> I32:
    """The K best columns (B, K): what an environment takes."""
    return top_places(scores, places)
