"""A supervised one-step reward model: what showing an item is worth now, and nothing later."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from offpolicy.log.dataset import LoggedDataset
from policies.configured import configured, part
from policies.encoders.base import Encoder
from policies.features import (
    StateFeatures,
    features_of,
    item_table,
    place_rewards,
    state_features,
)
from policies.moments import Moments
from policies.observation import Observation, Serving, candidate_items, observation_of_log
from policies.saved import (
    Saved,
    generator_array,
    generator_from_array,
    module_arrays,
    prefixed,
    set_module_arrays,
    under,
)
from policies.score_policy import Exploration, ScorePolicy, Scores
from policies.validation import COUNT, whole

CELLS = 1 << 17  # numbers (users x candidates x hidden) in memory at a time


@dataclass(frozen=True, kw_only=True)
class RewardModelConfig:
    """Size and training of a reward model."""

    hidden: int = 64
    epochs: int = 5  # passes over each log
    seed: int = 0

    def __post_init__(self) -> None:
        COUNT.check_all(self, "hidden", "epochs")
        whole(0).check("seed", self.seed)


class RewardNet(nn.Module):
    """r(s, a) = w . relu(U s + V x_a) + b_a: an item enters as its vector and a bias of its own."""

    def __init__(self, state_size: int, items: NDArray[np.float32], hidden: int) -> None:
        super().__init__()
        self.items: Tensor
        self.register_buffer("items", torch.from_numpy(items))
        self.of_state = nn.Linear(state_size, hidden)
        self.of_item = nn.Linear(items.shape[1], hidden, bias=False)
        self.head = nn.Linear(hidden, 1)
        self.bias = nn.Parameter(torch.zeros(len(items)))

    def forward(self, state: Tensor, columns: Tensor) -> Tensor:
        """state (B, D), columns (B, C) item ids -> (B, C)."""
        return self.over(self.of_item(self.items), state, columns)

    def over(self, items: Tensor, state: Tensor, columns: Tensor) -> Tensor:
        """The same from what the items (A, hidden) add."""
        hidden = torch.relu(self.of_state(state)[:, None, :] + items[columns])  # (B, C, hidden)
        value: Tensor = self.head(hidden).squeeze(2) + self.bias[columns]  # (B, C)
        return value


@dataclass(slots=True)
class RewardModel:
    """Regression of a shown place's reward on state and item, by minibatch Adam.

    Every `update` trains on the log it is given, from what earlier ones taught; they are not seen
    again, so give one log of all (`LoggedDataset.concat`) where all shall count alike. Scales of
    state and reward are those of all logs so far: the network is changed to give the same values.
    """

    state: StateFeatures
    net: RewardNet
    epochs: int
    learning_rate: float
    decay: float
    rng: np.random.Generator
    fitted: bool = False
    centre: float = 0.0
    scale: float = 1.0
    rewards: Moments = field(default_factory=lambda: Moments.none(1))  # of places, in all logs

    @property
    def serving(self) -> Serving:
        return self.state.serving

    @torch.no_grad()
    def scores(self, obs: Observation) -> Scores:
        columns = candidate_items(obs, self.serving.n_items)
        ids = torch.from_numpy(np.maximum(columns, 0).astype(np.int64))
        state = torch.from_numpy(self.state(obs))
        few = max(1, CELLS // (ids.shape[1] * self.net.head.in_features))  # rows at a time
        parts = zip(torch.split(state, few), torch.split(ids, few), strict=True)
        items = self.net.of_item(self.net.items)
        value = torch.cat([self.net.over(items, *part) for part in parts]).double().numpy()
        return np.asarray(value * self.scale + self.centre)  # in units of the reward

    def parts(self, obs: Observation) -> dict[str, Scores]:
        """All of a score is the model's prediction."""
        return {"reward model": self.scores(obs)}

    def update(self, log: LoggedDataset) -> dict[str, float]:
        obs = observation_of_log(log, self.serving)
        if not (log.slate >= 0).any():
            raise ValueError("every slate of the log is empty: no item's reward can be learnt")
        place = place_rewards(log)
        self._rescale(obs, place[log.slate >= 0])
        x = torch.from_numpy(self.state(obs))
        shown = torch.from_numpy(log.slate.astype(np.int64))
        target = torch.from_numpy(((place - self.centre) / self.scale).astype(np.float32))
        loss = fit(self, x, shown, target)
        return {"loss": loss, "explained": 1.0 - loss}

    def _rescale(self, obs: Observation, reward: NDArray[np.float64]) -> None:
        """Take the scales of a log's states, and of its places' rewards (M,), into account."""
        if self.fitted and self.state.seen is None:
            return  # of a folder of version 0.1: only the scales were kept
        state, rewards = self.state.fitted(obs), self.rewards.plus(Moments.of(reward[:, None]))
        centre, scale = float(rewards.mean[0]), float(rewards.unit()[0])
        if self.fitted:
            self.state.rescaled(state).into(self.net.of_state)
            with torch.no_grad():
                for part in (self.net.head.weight, self.net.head.bias, self.net.bias):
                    part.mul_(self.scale / scale)
                self.net.head.bias.add_((self.centre - centre) / scale)
        self.state, self.rewards, self.fitted = state, rewards, True
        self.centre, self.scale = centre, scale

    def saved(self) -> Saved:
        config = {
            "hidden": self.net.head.in_features,
            "epochs": self.epochs,
            "learning_rate": self.learning_rate,
            "decay": self.decay,
            "fitted": self.fitted,
            "centre": self.centre,
            "scale": self.scale,
        }
        arrays = self.state.to_arrays() | {"random_state": generator_array(self.rng)}
        arrays |= prefixed("net.", module_arrays(self.net))
        arrays |= prefixed("rewards.", self.rewards.to_arrays())
        return Saved(config=config, arrays=arrays, encoder=self.state.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        state, arrays = features_of(saved, serving), under("net.", saved.arrays)
        net = RewardNet(state.size, arrays["items"], saved.config["hidden"])
        set_module_arrays(net, arrays)
        rest = {k: v for k, v in saved.config.items() if k != "hidden"}
        if kept := under("rewards.", saved.arrays):
            rest["rewards"] = Moments(**kept)
        return cls(state, net, rng=generator_from_array(saved.arrays["random_state"]), **rest)


def fit(model: RewardModel, x: Tensor, shown: Tensor, target: Tensor, batch: int = 1024) -> float:
    """Minibatch Adam with a falling step; the last epoch's mean squared error, in variances."""
    steps = model.epochs * -(-len(x) // batch)
    adam = torch.optim.Adam(
        model.net.parameters(), lr=model.learning_rate, weight_decay=model.decay
    )
    schedule = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.05, total_iters=steps)
    losses: list[float] = []
    for _ in range(model.epochs):
        losses = []
        for rows in torch.split(torch.from_numpy(model.rng.permutation(len(x))), batch):
            here = shown[rows]
            filled = here >= 0
            error = model.net(x[rows], here.clamp(min=0)) - target[rows]  # (b, K)
            loss = (error.square() * filled).sum() / filled.sum().clamp(min=1)
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
            losses.append(float(loss.detach()))
    return float(np.mean(losses))


def reward_model(
    serving: Serving, config: RewardModelConfig, encoder: Encoder | None
) -> RewardModel:
    """A model that has seen nothing."""
    state = state_features(serving, encoder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        net = RewardNet(state.size, item_table(serving, encoder), config.hidden)
    rng = np.random.default_rng(config.seed)
    return RewardModel(state, net, config.epochs, learning_rate=3e-3, decay=1e-5, rng=rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class GreedyRewardConfig(RewardModelConfig, Exploration):
    """The reward model and the exploration over its predictions."""

    def __post_init__(self) -> None:
        Exploration.__post_init__(self)
        RewardModelConfig.__post_init__(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftmaxRewardConfig(GreedyRewardConfig):
    """The same, drawn by default."""

    temperature: float | None = 1.0  # in units of the reward


def _policy(serving: Serving, config: GreedyRewardConfig, encoder: Encoder | None) -> ScorePolicy:
    """The K items of highest predicted immediate reward, or, with a temperature in units of the
    reward, Plackett-Luce over the predictions. Each log is learnt after the others, not with them:
    the last one counts most."""
    return ScorePolicy(reward_model(serving, config, encoder), part(config, Exploration))


greedy_reward = configured(GreedyRewardConfig)(_policy)
softmax_reward = configured(SoftmaxRewardConfig)(_policy)
