"""Features extractors of actor-critics: the state as it is, or histories read by a sequence encoder
that learns with the agent, either from nothing or from where a supervised one was fitted."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from policies.encoders.nets.network import Network
from policies.encoders.nets.packed import pack


class StateExtractor(BaseFeaturesExtractor):
    """The state's D numbers of an observation (D + C)."""

    def forward(self, observations: Tensor) -> Tensor:
        return observations[:, : self.features_dim]


class HistoryGRU(nn.Module):
    """(B, D) whose first `trail` numbers are item ids, -1 = none -> (B, size + D - trail).

    GRU4Rec's recurrence (Hidasi et al., 2016) over items of its own embedding, as state encoders of
    published reinforcement learners are (e.g. Xin et al., 2020).
    """

    def __init__(self, n_items: int, trail: int, size: int) -> None:
        super().__init__()
        self.trail = trail
        self.items = nn.Embedding(n_items + 1, size, padding_idx=0)
        self.cell = nn.GRU(size, size, batch_first=True)

    def forward(self, state: Tensor) -> Tensor:
        """The GRU's last state in place of the ids; empty places come first and are read as
        zeros."""
        ids = state[:, : self.trail].long() + 1  # (B, H)
        hidden, _ = self.cell(self.items(ids))  # (B, H, size)
        return torch.cat([hidden[:, -1], state[:, self.trail :]], dim=1)


class EndToEndExtractor(BaseFeaturesExtractor):
    """Observations (B, D + C) -> features, the item ids in the state read by a GRU that learns from
    the agent's reward alone: what a supervised encoder must beat."""

    def __init__(
        self, space: spaces.Box, *, state_size: int, n_items: int, trail: int, size: int
    ) -> None:
        super().__init__(space, state_size - trail + size)
        self.state_size = state_size
        self.gru = HistoryGRU(n_items, trail, size)

    def forward(self, observations: Tensor) -> Tensor:
        features: Tensor = self.gru(observations[:, : self.state_size])
        return features


class FineTunedExtractor(BaseFeaturesExtractor):
    """Observations (B, D + C) whose first `trail` numbers are item ids -> the encoder's states of
    these histories over sqrt(De), as frozen ones are, then the other numbers of the state.

    The encoder begins as it was fitted and follows the agent's reward at a share of its learning
    rate: between a frozen encoder, which cannot unlearn, and one trained end to end, which begins
    with nothing.
    """

    def __init__(self, space: spaces.Box, *, state_size: int, trail: int, net: Network) -> None:
        width = net.table.shape[1]
        super().__init__(space, state_size - trail + width)
        self.state_size, self.trail, self.width = state_size, trail, width
        self.net = copy.deepcopy(net)

    def forward(self, observations: Tensor) -> Tensor:
        ids = observations[:, : self.trail].long()
        rest = observations[:, self.trail : self.state_size]
        return torch.cat([self.encoded(ids) / self.width**0.5, rest], dim=1)

    def encoded(self, ids: Tensor) -> Tensor:
        """(B, H) left-padded histories -> (B, De), zeros for an empty one."""
        rows = ids.numpy().astype(np.int32)
        out = self.net.table.new_zeros(len(rows), self.width)
        sizes = (rows >= 0).sum(axis=1)
        end = (np.arange(len(rows)) + 1) * rows.shape[1]
        if not sizes.any():
            return out
        packed = pack(rows.ravel(), end - sizes, end)
        return out.index_copy(0, torch.from_numpy(packed.order), self.net.last(packed))

    def train(self, mode: bool = True) -> Self:
        """The encoder's own dropout stays off: an update must see what the rollout saw."""
        super().train(mode)
        self.net.eval()
        return self


class SlowGroupAdam(torch.optim.Adam):
    """Adam with a slow parameter group: it goes only a share of the way for these parameters.

    A learning rate of the group's own would not do: Stable-Baselines3 sets one rate for all groups
    before every update.
    """

    def __init__(self, net: nn.Module, slow_group: nn.Module, share: float, lr: float) -> None:
        super().__init__(net.parameters(), lr=lr, eps=1e-5)
        self.slow_group, self.share = list(slow_group.parameters()), share

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One update of all parameters."""
        before = [p.clone() for p in self.slow_group]
        loss = super().step(closure)
        for p, old in zip(self.slow_group, before, strict=True):
            p.lerp_(old, 1 - self.share)
        return loss
