"""Slates of highest value when the user picks one place, or none, in proportion to weights.

The value of a slate is (w0 v0 + sum w v) / (w0 + sum w) over its K items: a ratio, so that an item
worth less than the slate's own value costs value by being picked at all.
"""

from __future__ import annotations

import torch
from torch import Tensor

ROUNDS = 4  # Dinkelbach's iteration converges faster than geometrically


def slate_value(weight: Tensor, value: Tensor, none: Tensor, none_weight: float = 1.0) -> Tensor:
    """Expected value (B,) of slates with weights and values (B, K); `none` (B,) of no choice."""
    mass = none_weight + weight.sum(1)
    total: Tensor = (none_weight * none + (weight * value).sum(1)) / mass
    return total


def gains(weight: Tensor, value: Tensor, none: Tensor, places: int) -> Tensor:
    """Scores (B, C) whose K largest are the slate of highest value; -inf where the weight is 0.

    w (v - lambda) for the best ratio lambda, which Dinkelbach's iteration finds: the K largest for
    a guess of the ratio are a slate whose own ratio is a better guess. Dinkelbach (1967).
    """
    possible = weight > 0
    ratio = none
    score = weight
    for _ in range(ROUNDS):
        score = torch.where(possible, weight * (value - ratio[:, None]), -torch.inf)
        top = score.topk(min(places, score.shape[1]), dim=1).indices
        ratio = slate_value(weight.gather(1, top), value.gather(1, top), none)
    return torch.where(possible, weight * (value - ratio[:, None]), -torch.inf)


def weighted(weight: Tensor, value: Tensor) -> Tensor:
    """Scores (B, C) = w v, the top-K slate of Ie et al. (2019); -inf where the weight is 0.

    Where all values share a large common part it ranks by weight alone.
    """
    return torch.where(weight > 0, weight * value, -torch.inf)


def one_by_one(weight: Tensor, value: Tensor, none: Tensor, places: int) -> Tensor:
    """Scores (B, C), K for the first place taken down to 1: each place takes the item that raises
    the slate's value most, given those above. The greedy slate of Ie et al. (2019)."""
    score = torch.where(weight > 0, torch.zeros_like(weight), -torch.inf)
    mass, total = torch.ones_like(none), none
    for place in range(min(places, weight.shape[1])):
        open_ = score == 0
        reached = (total[:, None] + weight * value) / (mass[:, None] + weight)  # (B, C)
        pick = torch.where(open_, reached, -torch.inf).argmax(1, keepdim=True)
        can = open_.gather(1, pick)
        w = torch.where(can, weight.gather(1, pick), 0.0)
        score = torch.where(can, score.scatter(1, pick, float(places - place)), score)
        mass, total = mass + w.squeeze(1), total + (w * value.gather(1, pick)).squeeze(1)
    return score
