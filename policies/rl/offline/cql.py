"""Conservative Q-learning on what was taken. Kumar et al. (2020, arXiv 2006.04779), discrete form.

A slate stands for one action: the item taken, or its first place where nothing was. Conservatism
pulls towards what the log shows often; expect popular items.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from policies.rl.data.logged import LogBatch
from policies.rl.nets.item_net import ItemNet
from policies.rl.offline.method import Method, OfflineConfig, masked_logits


def goal(net: ItemNet, slow: ItemNet, batch: LogBatch, config: OfflineConfig, head: int) -> Tensor:
    """r + gamma Q_slow(s', argmax Q(s')), (B,); nothing follows where the user left."""
    with torch.no_grad():
        best = masked_logits(net(batch.next_state, batch.next_items)[0][head], batch.next_items)
        later = slow(batch.next_state, batch.next_items)[0][head]
        following = later.gather(1, best.argmax(1, keepdim=True)).squeeze(1)
    target: Tensor = batch.reward + config.gamma * batch.alive * following
    return target


def loss(net: ItemNet, slow: ItemNet, batch: LogBatch, config: OfflineConfig) -> Tensor:
    """Temporal difference + strength (log sum exp Q - Q of the action)."""
    q = masked_logits(net(batch.state, batch.items)[0][0], batch.items)
    mine = q.gather(1, batch.action()[:, None]).squeeze(1)
    difference = functional.smooth_l1_loss(mine, goal(net, slow, batch, config, 0))
    return difference + config.strength * (torch.logsumexp(q, dim=1) - mine).mean()


CQL = Method(loss)
