"""A supervised sequence encoder that goes on learning, slowly, with the agent above it.

It begins as it was fitted and follows the agent's reward at a share of its learning rate: between a
frozen encoder, which cannot unlearn, and one trained end to end, which begins with nothing.
"""

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


class TunedFront(BaseFeaturesExtractor):
    """Observations (B, D + C) whose first `trail` numbers are item ids -> the encoder's states of
    these histories over sqrt(De), as frozen ones are, then the other numbers of the state."""

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


class TwoPaces(torch.optim.Adam):
    """Adam that goes only a share of the way for some parameters.

    A rate of their own would not do: Stable-Baselines3 sets one rate for all before every update.
    """

    def __init__(self, net: nn.Module, slow: nn.Module, share: float, lr: float) -> None:
        super().__init__(net.parameters(), lr=lr, eps=1e-5)
        self.slow, self.share = list(slow.parameters()), share

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """One step."""
        before = [p.clone() for p in self.slow]
        loss = super().step(closure)
        for p, old in zip(self.slow, before, strict=True):
            p.lerp_(old, 1 - self.share)
        return loss
