"""An actor whose actions are ordered slates: Plackett-Luce over scores tied to the item vectors."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.distributions import Distribution
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from policies.encoders.nets.network import Network
from policies.rl.nets.tied import tied_scores
from policies.rl.sb3.relevance import Relevance
from policies.rl.sb3.tracker import Tracker
from policies.rl.sb3.tuned import TunedFront, TwoPaces


class Front(BaseFeaturesExtractor):
    """The state's D numbers of an observation (D + C)."""

    def forward(self, observations: Tensor) -> Tensor:
        return observations[:, : self.features_dim]


class TrackedFront(BaseFeaturesExtractor):
    """The same, its trail of item ids read by a recurrent encoder that learns with the agent."""

    def __init__(
        self, space: spaces.Box, *, state_size: int, n_items: int, trail: int, tracker: int
    ) -> None:
        super().__init__(space, state_size - trail + tracker)
        self.state_size = state_size
        self.tracker = Tracker(n_items, trail, tracker)

    def forward(self, observations: Tensor) -> Tensor:
        state: Tensor = self.tracker(observations[:, : self.state_size])
        return state


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
    network's latent, over sqrt(Di), and the encoder's own scores lean on it (relevance.py)."""

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
        relevance: Tensor,
        item_at: int,
        trail: int = 0,
        tracker: int = 0,
        tuned: Network | None = None,
        tune: float = 0.0,
        about: object = None,  # kept by model.save, see sb3.from_zip
        use_sde: bool = False,
    ) -> None:
        self.item_size, self.places, self.state_size = items.shape[1], places, state_size
        front: dict[str, Any] = {"features_dim": state_size}
        if tracker:
            front = {"state_size": state_size, "n_items": len(items)}
            front |= {"trail": trail, "tracker": tracker}
        if tuned is not None:
            front = {"state_size": state_size, "trail": trail, "net": tuned}
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,
            net_arch=net_arch,
            activation_fn=nn.Tanh,
            features_extractor_class=TunedFront if tuned else TrackedFront if tracker else Front,
            features_extractor_kwargs=front,
        )
        self.items: Tensor
        self.register_buffer("items", items)
        self.action_net = nn.Linear(self.mlp_extractor.latent_dim_pi, self.item_size)
        nn.init.orthogonal_(self.action_net.weight, 0.1)
        self.item_bias = nn.Parameter(torch.zeros(len(items)))
        self.relevance = None
        if len(relevance):
            self.relevance = Relevance(
                relevance,
                latent=self.mlp_extractor.latent_dim_pi,
                state_at=tracker,  # a tracker's state comes first
                item_at=item_at,
                width=self.item_size,
            )
        if tuned is None:
            self.optimizer = torch.optim.Adam(self.parameters(), lr=lr_schedule(1), eps=1e-5)
        else:
            assert isinstance(self.features_extractor, TunedFront)
            slow = self.features_extractor.net
            slow.load_state_dict(tuned.state_dict())  # Stable-Baselines3 began it anew
            self.optimizer = TwoPaces(self, slow, tune, lr_schedule(1))

    def slates(self, obs: Tensor, features: Tensor, latent: Tensor) -> PlackettLuceActions:
        """The distribution over slates of observations (B, D + C), their features and latent."""
        query = self.action_net(latent) / self.item_size**0.5  # (B, Di)
        if self.relevance is not None:
            query = query + self.relevance(features, latent)
        ids = obs[:, self.state_size :].long()  # (B, C)
        if ids.shape[1] == 0:
            return PlackettLuceActions(query @ self.items.T + self.item_bias, self.places)
        return PlackettLuceActions(tied_scores(query, self.item_bias, self.items, ids), self.places)

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
