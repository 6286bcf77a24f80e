"""SlateQ's settings, network, slates and losses: pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from policies.rl.data.replay import Batch
from policies.rl.nets import ItemNet
from policies.rl.slateq.ratio import gains, one_by_one, slate_value, weighted
from policies.validation import COUNT, DISCOUNT, FROM_1, POSITIVE, SHARE, SOME_SHARE, whole

Slates = Literal["ratio", "top_k", "one_by_one"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SlateQConfig:
    """Defaults suit a few hundred parallel users."""

    gamma: float = 0.995  # per decision
    slates: Slates = "ratio"  # how values become a slate; the others are those of the paper
    hidden: int = 128
    learning_rate: float = 1e-3
    decay_steps: int = 5_000_000  # decisions over which the learning rate falls to a tenth
    batch_size: int = 1024  # decisions replayed for each step of all users
    capacity: int = 100_000  # decisions kept, of one call of `learn`
    warm: int = 5_000  # decisions before the first update of a call
    tau: float = 0.01  # share by which the target network follows, per update
    item_size: int = 0  # numbers learnt of every item, beside its given vector
    windows: tuple[int, ...] = ()  # means of the last so many items' vectors in the state
    explore: float = 0.1  # share of random slates while learning
    epsilon: float = 0.0  # the same when serving; the propensity counts it
    seed: int = 0

    def __post_init__(self) -> None:
        DISCOUNT.check("gamma", self.gamma)
        COUNT.check_all(self, "hidden", "batch_size", "capacity")
        POSITIVE.check("learning_rate", self.learning_rate)
        FROM_1.check("decay_steps", self.decay_steps)
        SOME_SHARE.check("tau", self.tau)
        SHARE.check_all(self, "explore", "epsilon")
        whole(0).check_all(self, "warm", "item_size", "seed")
        if self.warm > self.capacity:
            raise ValueError(
                f"warm is {self.warm:,}; no more than capacity = {self.capacity:,} decisions are "
                "kept, so no update would ever come: give less"
            )
        if self.slates not in ("ratio", "top_k", "one_by_one"):
            raise ValueError(f"slates = {self.slates!r}: choose ratio, top_k or one_by_one")


class Values(NamedTuple):
    """Of items, in each user's state."""

    weight: Tensor  # (B, C) of a pick, against 1 for none; 0 = not eligible
    value: Tensor  # (B, C) return to come when picked
    none: Tensor  # (B,) return to come when nothing is picked


class SlateQNet(nn.Module):
    """One network for values and one for picks."""

    def __init__(self, state_size: int, items: NDArray[np.float32], config: SlateQConfig) -> None:
        super().__init__()
        c = config
        self.value = ItemNet(state_size, items, c.hidden, extras=1, learned=c.item_size)
        self.pick = ItemNet(state_size, items, c.hidden, learned=c.item_size)

    def forward(self, state: Tensor, ids: Tensor) -> Values:
        """state (B, D), ids (B, C)."""
        value, none = self.value(state, ids)
        weight = self.logit(state, ids).exp()
        if ids.shape[1]:
            weight = weight * (ids >= 0)
        return Values(weight, value[0], none[:, 0])

    def logit(self, state: Tensor, ids: Tensor) -> Tensor:
        """Log weight (B, C) of a pick, bounded so that no weight over- or underflows."""
        logit: Tensor = self.pick(state, ids)[0][0].clamp(-15.0, 15.0)
        return logit


def scores(values: Values, places: int, how: Slates) -> Tensor:
    """Scores (B, C) whose K largest are the slate to show; -inf = not eligible."""
    if how == "top_k":
        return weighted(values.weight, values.value)
    if how == "one_by_one":
        return one_by_one(values.weight, values.value, values.none, places)
    return gains(values.weight, values.value, values.none, places)


def bootstrap(net: SlateQNet, target: SlateQNet, batch: Batch, places: int, how: Slates) -> Tensor:
    """Value (B,) of the next slate: chosen by the network, valued by its target network.

    van Hasselt et al. (2016); the target network that follows is that of Lillicrap et al. (2016).
    """
    values = net(batch.next_state, batch.next_items)
    top = scores(values, places, how).topk(places, dim=1).indices
    value, none = target.value(batch.next_state, batch.next_items)
    return slate_value(values.weight.gather(1, top), value[0].gather(1, top), none[:, 0])


def losses(net: SlateQNet, batch: Batch, goal: Tensor) -> tuple[Tensor, Tensor]:
    """(temporal difference of what was picked to its goal (B,), cross-entropy of the pick)."""
    value, none = net.value(batch.state, batch.slate)
    picked = torch.cat([value[0], none], dim=1).gather(1, batch.place[:, None]).squeeze(1)
    logit = net.logit(batch.state, batch.slate).masked_fill(batch.slate < 0, -torch.inf)
    logit = torch.cat([logit, torch.zeros_like(none)], dim=1)  # (B, K + 1)
    return nn.functional.smooth_l1_loss(picked, goal), nn.functional.cross_entropy(
        logit, batch.place
    )
