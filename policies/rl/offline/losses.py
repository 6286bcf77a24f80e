"""What learns from a log, one loss and one config each: cloning, policy gradients, values.

A slate stands for one action where a method has one: the item taken, or its first place where
nothing was. A loss is (network, target network, batch, config) -> scalar.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional

from policies.rl.data.logged import LogBatch
from policies.rl.nets import ItemNet
from policies.score_policy import Exploration
from policies.validation import COUNT, DISCOUNT, FROM_0, POSITIVE, SOME_SHARE, whole

PREDICT, VALUE = 0, 1  # heads of SNQN and SA2C


@dataclass(frozen=True, slots=True, kw_only=True)
class OfflineConfig(Exploration, ABC):
    """Settings of every learner from a log."""

    hidden: int = 64
    epochs: int = 10
    batch_size: int = 512
    learning_rate: float = 1e-3
    tau: float = 0.05  # share by which the target network follows: 1 / tau updates a decision back
    seed: int = 0

    def __post_init__(self) -> None:
        Exploration.__post_init__(self)
        COUNT.check_all(self, "epochs", "batch_size", "hidden")
        POSITIVE.check("learning_rate", self.learning_rate)
        SOME_SHARE.check("tau", self.tau)
        whole(0).check("seed", self.seed)

    @property
    @abstractmethod
    def method(self) -> str:
        """Key of METHODS."""

    @property
    def discount(self) -> float:
        """Per decision, of the rewards to go that the loss may read."""
        return 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class BCConfig(OfflineConfig):
    """Behaviour cloning. Pomerleau (1989)."""

    temperature: float | None = 1.0

    @property
    def method(self) -> str:
        return "bc"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscountedConfig(OfflineConfig):
    """Settings of methods that look ahead."""

    gamma: float = 0.95  # per decision

    def __post_init__(self) -> None:
        OfflineConfig.__post_init__(self)
        DISCOUNT.check("gamma", self.gamma)

    @property
    def discount(self) -> float:
        return self.gamma


@dataclass(frozen=True, slots=True, kw_only=True)
class ReinforceConfig(DiscountedConfig):
    """Policy gradient from a log with propensities. Chen et al. (2019, arXiv 1812.02353).

    Their correction `top_k` is per item, with a factor for its chance to be anywhere in the slate,
    since they do not know what a slate's probability was. Where it was logged the weight can be
    that of the `slate` itself: min(pi(slate) / propensity, cap). Either way the place that was
    taken gets the credit for what came of it, or, with credit="slate", every place of the slate
    does: no assumption on users, and much noise from items that had no part in it.
    """

    temperature: float | None = 1.0
    correction: Literal["slate", "top_k"] = "slate"
    credit: Literal["taken", "slate"] = "taken"  # with correction="slate"
    cap: float = 10.0  # of the importance weight
    entropy: float = 0.01  # weight of the bonus, with correction="slate"

    def __post_init__(self) -> None:
        DiscountedConfig.__post_init__(self)
        if self.correction not in ("slate", "top_k"):
            raise ValueError(f"correction = {self.correction!r}: choose slate or top_k")
        if self.credit not in ("taken", "slate"):
            raise ValueError(f"credit = {self.credit!r}: choose taken or slate")
        POSITIVE.check("cap", self.cap)
        FROM_0.check("entropy", self.entropy)

    @property
    def method(self) -> str:
        return {"slate": "reinforce", "top_k": "reinforce_top_k"}[self.correction]


@dataclass(frozen=True, slots=True, kw_only=True)
class CQLConfig(DiscountedConfig):
    """Conservative Q-learning on what was taken. Kumar et al. (2020, arXiv 2006.04779), discrete.

    Conservatism pulls towards what the log shows often, not towards what users take of it. An item
    that is surely chosen, of C that the log shows alike, loses about `strength` units of Q: the
    penalty's gradient is pi / beta - 1 for each item, which is C - 1 there. A unit is a standard
    deviation of a decision's reward.
    """

    epochs: int = 4  # the largest of many values is taken: more passes fit the noise in it
    strength: float = 1.0  # of the conservatism, in units of Q

    def __post_init__(self) -> None:
        DiscountedConfig.__post_init__(self)
        FROM_0.check("strength", self.strength)

    @property
    def method(self) -> str:
        return "cql"


@dataclass(frozen=True, slots=True, kw_only=True)
class SNQNConfig(DiscountedConfig):
    """Next item and its value from one network: SNQN. Xin et al. (2020; 2022, arXiv 2111.03474).

    One head predicts the item taken, the other its Q. Items that were not taken earn 0 now and the
    same future; where the papers sample some of them, all on offer are averaged here. SA2C
    (advantage=True) weighs the prediction by how much better than those the item was.
    """

    temperature: float | None = 1.0
    gamma: float = 0.5  # per decision
    advantage: bool = False
    strength: float = 1.0  # weight of the temporal difference
    cap: float = 10.0  # of an advantage

    def __post_init__(self) -> None:
        DiscountedConfig.__post_init__(self)
        FROM_0.check("strength", self.strength)
        POSITIVE.check("cap", self.cap)

    @property
    def method(self) -> str:
        return "sa2c" if self.advantage else "snqn"


def place_log_probs(logit: Tensor, shown: Tensor) -> Tensor:
    """(B, K): log-probability of each column of slates (B, K), given those that stand before it.

    Their sum is log Plackett-Luce of the slate under logits (B, C). An empty place (-1) adds 0.
    """
    parts = []
    for place in range(shown.shape[1]):
        column = shown[:, place : place + 1]
        known = column.clamp(min=0)
        log_p = torch.log_softmax(logit, dim=1).gather(1, known).squeeze(1)
        filled = column.squeeze(1) >= 0
        parts.append(torch.where(filled, log_p, 0.0))
        logit = torch.where(filled[:, None], logit.scatter(1, known, -torch.inf), logit)
    return torch.stack(parts, dim=1)


def masked_logits(score: Tensor, items: Tensor) -> Tensor:
    """(B, C), -inf where an item was not eligible."""
    return score.masked_fill(items < 0, -torch.inf) if items.shape[1] else score


def bc_loss(net: ItemNet, target: ItemNet, batch: LogBatch, config: BCConfig) -> Tensor:
    """Minus the mean log-probability of the slates shown."""
    score, _ = net(batch.state, batch.items)
    return -place_log_probs(masked_logits(score[0], batch.items), batch.shown).sum(1).mean()


def reinforce_loss(
    net: ItemNet, target: ItemNet, batch: LogBatch, config: ReinforceConfig
) -> Tensor:
    """-mean w (G - V(s)) log pi(place taken) - entropy bonus + (G - V(s))^2, G the reward to go."""
    score, value = net(batch.state, batch.items)
    logit = masked_logits(score[0], batch.items)
    places = place_log_probs(logit, batch.shown)
    log_pi = places.sum(1) if config.credit == "slate" else (places * batch.credit).sum(1)
    weight = (places.detach().sum(1) - batch.propensity.log()).exp().clamp(max=config.cap)
    gain = batch.to_go - value[:, 0]
    log_p = torch.log_softmax(logit, dim=1)
    entropy = -(log_p.exp() * log_p.clamp(min=-1e9)).sum(1)
    policy = -(weight * gain.detach() * log_pi).mean() - config.entropy * entropy.mean()
    total: Tensor = policy + functional.smooth_l1_loss(value[:, 0], batch.to_go)
    return total


def top_k_loss(net: ItemNet, target: ItemNet, batch: LogBatch, config: ReinforceConfig) -> Tensor:
    """The same per item taken: the weight is the item's, times K (1 - pi)^(K-1) for its chance to
    be anywhere in the slate; equations 5 to 7 of Chen et al."""
    if batch.first.isnan().any():
        raise ValueError(
            "correction='top_k' needs the log's candidate_propensity column (the first-place "
            "probability of every candidate); log it, or learn with correction='slate'"
        )
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


def bootstrapped(net: ItemNet, target: ItemNet, batch: LogBatch, gamma: float, head: int) -> Tensor:
    """r + gamma Q_target(s', argmax Q(s')), (B,); nothing follows where the user left."""
    with torch.no_grad():
        best = masked_logits(net(batch.next_state, batch.next_items)[0][head], batch.next_items)
        later = target(batch.next_state, batch.next_items)[0][head]
        following = later.gather(1, best.argmax(1, keepdim=True)).squeeze(1)
    goal: Tensor = batch.reward + gamma * batch.alive * following
    return goal


def cql_loss(net: ItemNet, target: ItemNet, batch: LogBatch, config: CQLConfig) -> Tensor:
    """Temporal difference + strength / C (log sum exp Q - mean Q of the slate); C are on offer."""
    q = masked_logits(net(batch.state, batch.items)[0][0], batch.items)
    of_action = q.gather(1, batch.action()[:, None]).squeeze(1)
    goal = bootstrapped(net, target, batch, config.gamma, 0)
    difference = functional.smooth_l1_loss(of_action, goal)
    filled = batch.shown >= 0
    each = q.gather(1, batch.shown.clamp(min=0)).where(filled, 0.0)  # -inf times 0 is no number
    gap = (torch.logsumexp(q, dim=1) - each.sum(1) / filled.sum(1)) / q.isfinite().sum(1)
    return difference + config.strength * gap.mean()


def _snqn_parts(
    net: ItemNet, target: ItemNet, batch: LogBatch, gamma: float
) -> tuple[Tensor, Tensor, Tensor]:
    """(cross-entropy (B,), temporal difference of taken and other items, advantage (B,))."""
    score, _ = net(batch.state, batch.items)
    log_p = torch.log_softmax(masked_logits(score[PREDICT], batch.items), dim=1)
    action = batch.action()[:, None]
    goal = bootstrapped(net, target, batch, gamma, VALUE)
    q = score[VALUE]
    positive = functional.smooth_l1_loss(q.gather(1, action).squeeze(1), goal)
    others = torch.ones_like(q).scatter(1, action, 0.0)
    if batch.items.shape[1]:
        others = others * (batch.items >= 0)
    without = (goal - batch.reward)[:, None].expand_as(q)  # the same future without its reward
    errors = functional.smooth_l1_loss(q, without, reduction="none")
    negative = ((errors * others).sum(1) / others.sum(1).clamp(min=1)).mean()
    usual = (q * others).sum(1) / others.sum(1).clamp(min=1)
    advantage = (q.gather(1, action).squeeze(1) - usual).detach()
    return -log_p.gather(1, action).squeeze(1), positive + negative, advantage


def snqn_loss(net: ItemNet, target: ItemNet, batch: LogBatch, config: SNQNConfig) -> Tensor:
    """Cross-entropy of the action + strength times the temporal difference."""
    cross_entropy, difference, _ = _snqn_parts(net, target, batch, config.gamma)
    return cross_entropy.mean() + config.strength * difference


def sa2c_loss(net: ItemNet, target: ItemNet, batch: LogBatch, config: SNQNConfig) -> Tensor:
    """The same with each cross-entropy times its advantage in 0..cap: a worse action than usual
    is not made likelier, and not pushed away without bound either."""
    cross_entropy, difference, advantage = _snqn_parts(net, target, batch, config.gamma)
    weight = advantage.clamp(min=0.0, max=config.cap)
    return (weight * cross_entropy).mean() + config.strength * difference


@dataclass(frozen=True, slots=True)
class Method:
    """A loss, its config, and which numbers it needs and serves."""

    config: type[OfflineConfig]
    loss: Callable[[ItemNet, ItemNet, LogBatch, Any], Tensor]
    heads: int = 1  # numbers per item
    serves: int = 0  # the head whose K largest are shown
    extras: int = 0  # numbers of the state alone
    needs_next: bool = True  # rows whose successor was not logged are left out
    values: tuple[int, ...] = ()  # the heads that are in units of the reward; so are all extras


METHODS: dict[str, Method] = {
    "bc": Method(BCConfig, bc_loss, needs_next=False),
    "reinforce": Method(ReinforceConfig, reinforce_loss, extras=1, needs_next=False),
    "reinforce_top_k": Method(ReinforceConfig, top_k_loss, extras=1, needs_next=False),
    "cql": Method(CQLConfig, cql_loss, values=(0,)),
    "snqn": Method(SNQNConfig, snqn_loss, heads=2, serves=PREDICT, values=(VALUE,)),
    "sa2c": Method(SNQNConfig, sa2c_loss, heads=2, serves=PREDICT, values=(VALUE,)),
}
