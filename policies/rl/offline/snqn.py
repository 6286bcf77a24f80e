"""Next item and its value from one network: SNQN and SA2C. Xin et al. (2020; 2022, 2111.03474).

One head predicts the item taken, the other its Q. Items that were not taken earn 0 now and the same
future; where the papers sample some of them, all on offer are averaged here. SA2C weighs the
prediction by how much better than those the item was.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from policies.rl.data.logged import LogBatch
from policies.rl.nets.item_net import ItemNet
from policies.rl.offline.cql import goal
from policies.rl.offline.method import Method, OfflineConfig, masked_logits

PREDICT, VALUE = 0, 1  # heads


def parts(
    net: ItemNet, slow: ItemNet, batch: LogBatch, config: OfflineConfig
) -> tuple[Tensor, Tensor, Tensor]:
    """(cross-entropy (B,), temporal difference of taken and other items, advantage (B,))."""
    score, _ = net(batch.state, batch.items)
    log_p = torch.log_softmax(masked_logits(score[PREDICT], batch.items), dim=1)
    action = batch.action()[:, None]
    target = goal(net, slow, batch, config, VALUE)
    q = score[VALUE]
    positive = functional.smooth_l1_loss(q.gather(1, action).squeeze(1), target)
    others = torch.ones_like(q).scatter(1, action, 0.0)
    if batch.items.shape[1]:
        others = others * (batch.items >= 0)
    without = (target - batch.reward)[:, None].expand_as(q)  # the same future without its reward
    errors = functional.smooth_l1_loss(q, without, reduction="none")
    negative = ((errors * others).sum(1) / others.sum(1).clamp(min=1)).mean()
    usual = (q * others).sum(1) / others.sum(1).clamp(min=1)
    advantage = (q.gather(1, action).squeeze(1) - usual).detach()
    return -log_p.gather(1, action).squeeze(1), positive + negative, advantage


def snqn_loss(net: ItemNet, slow: ItemNet, batch: LogBatch, config: OfflineConfig) -> Tensor:
    """Cross-entropy of the action + strength times the temporal difference."""
    surprise, difference, _ = parts(net, slow, batch, config)
    return surprise.mean() + config.strength * difference


def sa2c_loss(net: ItemNet, slow: ItemNet, batch: LogBatch, config: OfflineConfig) -> Tensor:
    """The same with each cross-entropy times its advantage in 0..cap: a worse action than usual
    is not made likelier, and not pushed away without bound either."""
    surprise, difference, advantage = parts(net, slow, batch, config)
    weight = advantage.clamp(min=0.0, max=config.cap)
    return (weight * surprise).mean() + config.strength * difference


SNQN = Method(snqn_loss, heads=2, serves=PREDICT)
SA2C = Method(sa2c_loss, heads=2, serves=PREDICT)
