"""What stands on sb3-contrib, an optional extra: slates under a mask, and quantiles of returns."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import QRDQN, MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.qrdqn.policies import QRDQNPolicy, QuantileNetwork
from torch import Tensor

from policies.rl.sb3.actor_critic import PlackettLuceActions, SlateActorCritic
from policies.rl.sb3.single_action import TiedHead

__all__ = ["QRDQN", "ColumnMasks", "MaskablePPO", "MaskedSlates", "TiedQRDQN", "allowed"]


class MaskedSlates(SlateActorCritic):
    """Plackett-Luce over the columns that the mask (B, C) allows.

    Huang & Ontanon (2022): what may not be chosen has no probability and no gradient. Masks tell of
    the whole catalogue too, where an observation has no item ids to leave out.
    """

    def forward(
        self, obs: Tensor, deterministic: bool = False, action_masks: Any = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        whole, value = self.read(obs)
        d = allowed(whole, action_masks)
        actions = d.get_actions(deterministic=deterministic)
        return self.shaped(actions), value, d.log_prob(actions)

    def evaluate_actions(  # type: ignore[override]
        self, obs: Tensor, actions: Tensor, action_masks: Any = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        whole, value = self.read(obs)
        d = allowed(whole, action_masks)
        return value, d.log_prob(actions.reshape(len(obs), -1)), d.entropy()


MaskableActorCriticPolicy.register(MaskedSlates)  # what MaskablePPO asks of a policy


def allowed(d: PlackettLuceActions, masks: Any) -> PlackettLuceActions:
    """The same distribution over what the masks (B, C) allow; None allows all."""
    if masks is None:
        return d
    mask = torch.as_tensor(np.asarray(masks, np.bool_))
    return PlackettLuceActions(d.logits.masked_fill(~mask, -torch.inf), d.places)


class ColumnMasks(MaskableRolloutBuffer):
    """Keeps one mask for all places of a slate: they are filled from the same columns."""

    def reset(self) -> None:
        super().reset()
        nvec = getattr(self.action_space, "nvec", None)
        if nvec is not None:
            self.mask_dims = int(nvec[0])
            shape = (self.buffer_size, self.n_envs, self.mask_dims)
            self.action_masks = np.ones(shape, np.float32)


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
        metadata: object = None,  # kept by model.save, see builders.from_zip
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
