"""Actor-critics whose actions are ordered slates: Plackett-Luce over scores tied to item vectors.

An actor sees the encoder's state h and the item vectors v, but h . v, which the encoder was fitted
for, is a product of the two, and PPO had found little of it after a million decisions. So the
actor's query has a skip connection from the encoder's own scores of the candidates, and learns one
gate: when to follow them. Residual policy learning (Silver et al., 2018) on an encoder instead of a
controller. A prior, a policy that the agent starts as, enters by a gate in the same way (prior.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from policies.encoders.base import Encoder
from policies.encoders.nets.network import Network
from policies.rl.nets import tied_scores
from policies.rl.sb3.extractors import (
    EndToEndExtractor,
    FineTunedExtractor,
    SlowGroupAdam,
    StateExtractor,
)
from policies.rl.sb3.prior import PriorGate

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
ROWS = 4096  # histories that the scale of the encoder's scores is taken from, evenly spread
TINY = 1e-12  # variance below which scores are all alike


def encoder_score_weights(
    encoder: Encoder, histories: I32, items: F32, *, centre: F32 | float, scale: F32 | float
) -> F32:
    """Weights (De,) with sum_d weight_d z_d x_ad = (h - centre) . (v_a - mean v) / s.

    z = (h - centre) / scale is the encoder's part of the state, x = items (A, De) that of
    `item_table(..., as_one=True)`; s makes the products over all items and some of these histories
    (B, H) have variance 1. What a centre leaves out is the same for all users, and the actor's item
    biases have it, or the same for all items. Zeros where the encoder tells no user from another.
    """
    some = histories[:: max(1, len(histories) // ROWS)]
    size = encoder.state_size
    weight = scale * encoder.item_vectors.std(axis=0) * np.float32(size**0.5)
    query = (encoder.encode(some) - centre) / scale * weight
    query = query - query.mean(axis=0)
    variance = float(((query.T @ query / len(query)) * (items.T @ items / len(items))).sum())
    out = weight / variance**0.5 if variance > TINY else np.zeros(size)
    return np.asarray(out, np.float32)


class EncoderScores(nn.Module):
    """Skip connection from the encoder's scores to an actor's query: gate(latent) times them.

    weight: (De,) of `encoder_score_weights`. state_at, item_at: where the encoder's part of the
    features and of the item vectors (width Di) begins. first: what the gate is at first.
    """

    def __init__(
        self, weight: Tensor, *, latent: int, state_at: int, item_at: int, width: int, first: float
    ) -> None:
        super().__init__()
        self.weight: Tensor
        self.register_buffer("weight", weight)
        self.state = slice(state_at, state_at + len(weight))
        self.padding = (item_at, width - item_at - len(weight))
        self.gate = nn.Linear(latent, 1)
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, first)  # standard deviations of the encoder's scores

    def forward(self, features: Tensor, latent: Tensor) -> Tensor:
        """Features (B, D), latent (B, L) -> (B, Di)."""
        query = self.gate(latent) * features[:, self.state] * self.weight
        return nn.functional.pad(query, self.padding)


class PlackettLuceActions(Distribution):
    """Ordered slates without replacement; logits (B, C), -inf = not eligible."""

    def __init__(self, logits: Tensor, places: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.logits, self.places = logits, places

    def proba_distribution_net(self, *args: Any, **kwargs: Any) -> nn.Module:
        raise TypeError("the slate head makes its own logits")

    def proba_distribution(self, *args: Any, **kwargs: Any) -> PlackettLuceActions:
        raise TypeError("a slate distribution is made from its logits")

    def log_prob(self, actions: Tensor) -> Tensor:
        """actions (B, K) columns -> (B,) log-probability of the whole ordered slate."""
        left = self.logits
        total = left.new_zeros(len(left))
        for place in range(self.places):
            column = actions[:, place : place + 1].long()
            total = total + torch.log_softmax(left, dim=1).gather(1, column).squeeze(1)
            left = left.scatter(1, column, -torch.inf)
        return total

    def entropy(self) -> Tensor:
        """Of the first place (B,); a slate's own entropy has no closed form."""
        log_p = torch.log_softmax(self.logits, dim=1)
        return -(log_p.exp() * log_p.clamp(min=-1e9)).sum(1)

    def sample(self) -> Tensor:
        noise = -torch.empty_like(self.logits).exponential_().log()  # Gumbel
        return (self.logits + noise).topk(self.places, dim=1).indices

    def mode(self) -> Tensor:
        return self.logits.topk(self.places, dim=1).indices

    def actions_from_params(self, *args: Any, **kwargs: Any) -> Tensor:
        raise TypeError("a slate distribution is made from its logits")

    def log_prob_from_params(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        raise TypeError("a slate distribution is made from its logits")


class SlateActorCritic(ActorCriticPolicy):
    """score(a) = query . x_a + b_a over the candidates of the row, where the query is linear in the
    network's latent, over sqrt(Di), plus the skip connections from the encoder's own scores and
    from a prior's logits.

    encoder_scores: its weights (De,), empty without an encoder; item_at: where the encoder's part
    of `items` (A, Di) begins. end_to_end: size of a GRU over the `trail` of item ids; 0 = none.
    net, fine_tune: an encoder's network over that trail, and its share of the learning rate.
    prior: number of the last columns of an observation that are a prior's logits; 0 = no prior.
    """

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Any,
        *,
        items: Tensor,
        state_size: int,
        places: int,
        net_arch: list[int],
        encoder_scores: Tensor,
        item_at: int,
        trail: int = 0,
        end_to_end: int = 0,
        net: Network | None = None,
        fine_tune: float = 0.0,
        prior: int = 0,
        metadata: object = None,  # kept by model.save, see builders.from_zip
        use_sde: bool = False,
    ) -> None:
        self.item_size, self.places, self.state_size = items.shape[1], places, state_size
        self.offers = observation_space.shape[0] - prior > state_size  # type: ignore[index]
        extractor: type[BaseFeaturesExtractor] = StateExtractor
        settings: dict[str, Any] = {"features_dim": state_size}
        if end_to_end:
            extractor = EndToEndExtractor
            settings = {"state_size": state_size, "n_items": len(items)}
            settings |= {"trail": trail, "size": end_to_end}
        if net is not None:
            extractor = FineTunedExtractor
            settings = {"state_size": state_size, "trail": trail, "net": net}
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=net_arch,
            activation_fn=nn.Tanh,
            features_extractor_class=extractor,
            features_extractor_kwargs=settings,
        )
        self.prior = PriorGate(self.mlp_extractor.latent_dim_pi) if prior else None
        self._add_actor(items, encoder_scores, state_at=end_to_end, item_at=item_at)
        self.optimizer = self._optimizer(net, fine_tune, lr_schedule(1))

    def _add_actor(
        self, items: Tensor, encoder_scores: Tensor, *, state_at: int, item_at: int
    ) -> None:
        """The query's layer in place of Stable-Baselines3's, item biases, the skip connection.

        Over a prior all of them begin at 0, so that the actor begins as the prior.
        """
        latent = self.mlp_extractor.latent_dim_pi
        self.items: Tensor
        self.register_buffer("items", items)
        self.action_net = nn.Linear(latent, self.item_size)
        nn.init.orthogonal_(self.action_net.weight, 0.1)
        if self.prior is not None:
            nn.init.zeros_(self.action_net.weight)
            nn.init.zeros_(self.action_net.bias)
        self.item_bias = nn.Parameter(torch.zeros(len(items)))
        self.encoder_scores = None
        if len(encoder_scores):
            self.encoder_scores = EncoderScores(
                encoder_scores,
                latent=latent,
                state_at=state_at,  # the state of an end-to-end GRU comes first
                item_at=item_at,
                width=self.item_size,
                first=1.0 if self.prior is None else 0.0,
            )

    def _optimizer(self, net: Network | None, fine_tune: float, lr: float) -> torch.optim.Adam:
        if net is None:
            return torch.optim.Adam(self.parameters(), lr=lr, eps=1e-5)
        assert isinstance(self.features_extractor, FineTunedExtractor)
        slow_group = self.features_extractor.net
        slow_group.load_state_dict(net.state_dict())  # Stable-Baselines3 initialised it anew
        return SlowGroupAdam(self, slow_group, fine_tune, lr)

    def slates(self, obs: Tensor, features: Tensor, latent: Tensor) -> PlackettLuceActions:
        """The distribution over slates of observations (B, D + C), or (B, D + 2 C) over a prior,
        their features and latent."""
        query = self.action_net(latent) / self.item_size**0.5  # (B, Di)
        if self.encoder_scores is not None:
            query = query + self.encoder_scores(features, latent)
        logits = self._on_offer(query, self.item_bias, obs)
        if self.prior is not None:
            logits = logits + self.prior(self._offer(obs)[1], latent)
        return PlackettLuceActions(logits, self.places)

    def _offer(self, obs: Tensor) -> tuple[Tensor, Tensor]:
        """Item ids (B, C), none without a candidate generator, and a prior's logits (B, C): however
        many candidates are served, which may be more than it learnt with."""
        rest = obs[:, self.state_size :]
        logits = 0 if self.prior is None else rest.shape[1] // (1 + self.offers)
        ids = rest.shape[1] - logits
        return rest[:, :ids], rest[:, ids:]

    def _on_offer(self, query: Tensor, bias: Tensor, obs: Tensor) -> Tensor:
        """query . x_a + bias_a (B, C) of the items on offer."""
        ids = self._offer(obs)[0].long()  # (B, C)
        if ids.shape[1] == 0:
            return query @ self.items.T + bias
        return tied_scores(query, bias, self.items, ids)

    @torch.no_grad()
    def logit_parts(self, obs: Tensor) -> dict[str, Tensor]:
        """The actor's logits (B, C) by where they come from: `encoder` and `prior` are the skip
        connections, `actor` is all the rest. Double precision."""
        features: Any = self.extract_features(obs)
        latent, _ = self.mlp_extractor(features)
        rest = self.slates(obs, features, latent).logits.double()
        skips: dict[str, Tensor] = {}
        if self.encoder_scores is not None:
            query = self.encoder_scores(features, latent)
            skips["encoder"] = self._on_offer(query, torch.zeros_like(self.item_bias), obs)
        if self.prior is not None:
            skips["prior"] = self.prior(self._offer(obs)[1], latent)
        parts = {k: v.double().masked_fill(~v.isfinite(), 0.0) for k, v in skips.items()}
        return {"actor": rest - sum(parts.values(), torch.zeros_like(rest))} | parts

    def learn_actor(self, on: bool) -> None:
        """Whether updates move the actor, or only the critic and what both share."""
        parts = (self.mlp_extractor.policy_net, self.action_net, self.encoder_scores, self.prior)
        for part in parts:
            if part is not None:
                part.requires_grad_(on)
        self.item_bias.requires_grad_(on)

    def read(self, obs: Tensor) -> tuple[PlackettLuceActions, Tensor]:
        """Observations (B, D + C) -> the distribution over slates, and values (B, 1)."""
        features: Any = self.extract_features(obs)
        pi, vf = self.mlp_extractor(features)
        return self.slates(obs, features, pi), self.value_net(vf)

    def forward(self, obs: Tensor, deterministic: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        d, value = self.read(obs)
        actions = d.get_actions(deterministic=deterministic)
        log_prob = d.log_prob(actions)
        return self.shaped(actions), value, log_prob

    def evaluate_actions(  # type: ignore[override]
        self, obs: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        d, value = self.read(obs)
        return value, d.log_prob(actions.reshape(len(obs), -1)), d.entropy()

    def get_distribution(self, obs: Tensor) -> PlackettLuceActions:  # type: ignore[override]
        return self.read(obs)[0]

    def _predict(self, observation: Tensor, deterministic: bool = False) -> Tensor:  # type: ignore[override]
        return self.shaped(self.get_distribution(observation).get_actions(deterministic))

    def shaped(self, actions: Tensor) -> Tensor:
        """A slate of one is a Discrete action: (B, 1) -> (B,)."""
        return actions[:, 0] if self.places == 1 else actions
