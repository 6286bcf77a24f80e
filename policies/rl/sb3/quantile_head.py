"""QR-DQN's networks over candidates; needs the extra sb3-contrib."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.qrdqn.policies import QRDQNPolicy, QuantileNetwork
from torch import Tensor

from policies.rl.sb3.q_head import TiedHead


class TiedQRDQN(QRDQNPolicy):
    """Quantiles of the return of every candidate. Dabney et al. (2018)."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Any,
        *,
        items: Tensor,
        state_size: int,
        hidden: int,
        n_quantiles: int,
        optimizer_class: type[torch.optim.Optimizer],
        optimizer_kwargs: dict[str, Any],
        about: object = None,  # kept by model.save, see sb3.from_zip
    ) -> None:
        self.tied = items, state_size, hidden
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            n_quantiles=n_quantiles,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )

    def make_quantile_net(self) -> QuantileNetwork:
        net = super().make_quantile_net()
        net.quantile_net = TiedHead(*self.tied, heads=self.n_quantiles)  # type: ignore[assignment]
        return net
