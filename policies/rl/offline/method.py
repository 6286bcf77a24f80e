"""What an algorithm that learns from a log is: a loss, and which numbers it needs and serves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from policies.rl.data.logged import LogBatch
from policies.rl.nets.item_net import ItemNet
from policies.validation import COUNT, DISCOUNT, FROM_0, POSITIVE, SOME_SHARE, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineConfig:
    """What every learner from a log is told; `strength` and `cap` mean what its loss says."""

    gamma: float = 0.95  # per decision
    hidden: int = 64
    epochs: int = 10
    batch_size: int = 512
    learning_rate: float = 1e-3
    average: float = 0.01  # share by which the averaged network follows, per update
    strength: float = 1.0
    cap: float = 10.0
    seed: int = 0

    def __post_init__(self) -> None:
        DISCOUNT.check("gamma", self.gamma)
        COUNT.check_all(self, "epochs", "batch_size", "hidden")
        POSITIVE.check_all(self, "learning_rate", "cap")
        SOME_SHARE.check("average", self.average)
        FROM_0.check("strength", self.strength)
        whole(0).check("seed", self.seed)


Loss = Callable[[ItemNet, ItemNet, LogBatch, OfflineConfig], Tensor]


@dataclass(frozen=True, slots=True)
class Method:
    """An algorithm: (network, its averaged copy, batch, config) -> scalar, and what it serves."""

    loss: Loss
    heads: int = 1  # numbers per item
    serves: int = 0  # the head whose K largest are shown
    extras: int = 0  # numbers of the state alone
    needs_next: bool = True  # rows whose successor was not logged are left out


def slate_log_prob(logit: Tensor, shown: Tensor) -> Tensor:
    """log Plackett-Luce (B,) of columns (B, K) under logits (B, C); an empty place (-1) ends it."""
    total = logit.new_zeros(len(logit))
    for place in range(shown.shape[1]):
        column = shown[:, place : place + 1]
        known = column.clamp(min=0)
        step = torch.log_softmax(logit, dim=1).gather(1, known).squeeze(1)
        filled = column.squeeze(1) >= 0
        total = total + torch.where(filled, step, 0.0)
        logit = torch.where(filled[:, None], logit.scatter(1, known, -torch.inf), logit)
    return total


def masked_logits(score: Tensor, items: Tensor) -> Tensor:
    """(B, C), -inf where an item was not eligible."""
    return score.masked_fill(items < 0, -torch.inf) if items.shape[1] else score
