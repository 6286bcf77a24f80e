"""Behaviour cloning: the slates of the log, likelier. Pomerleau (1989). Offline RL must beat it."""

from __future__ import annotations

from torch import Tensor

from policies.rl.data.logged import LogBatch
from policies.rl.nets.item_net import ItemNet
from policies.rl.offline.method import Method, OfflineConfig, masked_logits, slate_log_prob


def loss(net: ItemNet, slow: ItemNet, batch: LogBatch, config: OfflineConfig) -> Tensor:
    """Minus the mean log-probability of the slates shown."""
    score, _ = net(batch.state, batch.items)
    return -slate_log_prob(masked_logits(score[0], batch.items), batch.shown).mean()


CLONE = Method(loss, needs_next=False)
