"""The slate head for an algorithm that hands it masks; needs the extra sb3-contrib.

Huang & Ontanon (2022): what may not be chosen has no probability and no gradient. Masks tell of the
whole catalogue too, where an observation has no item ids to leave out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from torch import Tensor

from policies.rl.sb3.slate_head import PlackettLuceActions, SlateActorCritic


class MaskedSlates(SlateActorCritic):
    """Plackett-Luce over the columns that the mask (B, C) allows."""

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
