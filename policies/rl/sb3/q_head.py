"""Value networks of Stable-Baselines3 whose actions are the candidates of the row."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.dqn.policies import DQNPolicy, QNetwork
from torch import Tensor, nn

from policies.rl.nets.item_net import ItemNet

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
        about: object = None,  # kept by model.save, see sb3.from_zip
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
