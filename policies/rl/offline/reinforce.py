"""Policy gradient from a log with propensities. Chen et al. (2019, arXiv 1812.02353).

Their correction is per item, with a factor for its chance to be anywhere in the slate, since they
do not know what a slate's probability was. Where it was logged the weight can be that of the slate
itself: min(pi(slate) / propensity, cap). Both are here.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from policies.rl.data.logged import LogBatch
from policies.rl.nets.item_net import ItemNet
from policies.rl.offline.method import Method, OfflineConfig, masked_logits, slate_log_prob


def loss(net: ItemNet, slow: ItemNet, batch: LogBatch, config: OfflineConfig) -> Tensor:
    """-mean w (G - V(s)) log pi(slate) - strength entropy + (G - V(s))^2, G the reward to go."""
    score, value = net(batch.state, batch.items)
    logit = masked_logits(score[0], batch.items)
    log_pi = slate_log_prob(logit, batch.shown)
    weight = (log_pi.detach() - batch.propensity.log()).exp().clamp(max=config.cap)
    gain = batch.to_go - value[:, 0]
    log_p = torch.log_softmax(logit, dim=1)
    entropy = -(log_p.exp() * log_p.clamp(min=-1e9)).sum(1)
    policy = -(weight * gain.detach() * log_pi).mean() - config.strength * entropy.mean()
    total: Tensor = policy + functional.smooth_l1_loss(value[:, 0], batch.to_go)
    return total


def top_k_loss(net: ItemNet, slow: ItemNet, batch: LogBatch, config: OfflineConfig) -> Tensor:
    """The same per item taken: the weight is the item's, times K (1 - pi)^(K-1) for its chance to
    be anywhere in the slate; equations 5 to 7 of the paper."""
    score, value = net(batch.state, batch.items)
    log_p = torch.log_softmax(masked_logits(score[0], batch.items), dim=1)
    taken = (batch.place < batch.shown.shape[1]).float()
    log_pi = log_p.gather(1, batch.action().clamp(min=0)[:, None]).squeeze(1)
    pi, k = log_pi.detach().exp(), batch.shown.shape[1]
    weight = (pi / batch.first).clamp(max=config.cap) * k * (1 - pi) ** (k - 1)
    gain = batch.to_go - value[:, 0]
    policy = -(taken * weight * gain.detach() * log_pi).mean()
    total: Tensor = policy + functional.smooth_l1_loss(value[:, 0], batch.to_go)
    return total


REINFORCE = Method(loss, extras=1, needs_next=False)
TOP_K = Method(top_k_loss, extras=1, needs_next=False)
