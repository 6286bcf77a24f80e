"""Neural-linear Thompson sampling: Bayesian weights on a learned representation.

Riquelme, Tucker & Snoek (2018). The network is trained as a reward model; its last layer is a
regression shared by all items, computed anew from the remembered decisions after every training.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.bandits.draws import Draws
from policies.bandits.linear import Regressions, means
from policies.bandits.lints import ThompsonConfig
from policies.baselines.reward_model import RewardModel, RewardModelConfig, reward_model
from policies.configured import configured, part
from policies.encoders.base import Encoder
from policies.features import place_rewards
from policies.learning import learning_log, observed
from policies.observation import Observation, Serving, candidate_items, observation_of_log
from policies.one_user import recommend
from policies.saved import Saved
from policies.slates.distributions import SlateDistribution, explore, masked
from policies.validation import COUNT, POSITIVE

F64 = NDArray[np.float64]
F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class PosteriorConfig(ThompsonConfig):
    """The posterior's draws, and what it is computed from."""

    ridge: float = 10.0  # prior precision of every last-layer weight
    memory: int = 50_000  # shown places remembered: the newest logs', the last sessions' of one

    def __post_init__(self) -> None:
        ThompsonConfig.__post_init__(self)
        POSITIVE.check("ridge", self.ridge)
        COUNT.check("memory", self.memory)


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """M shown places: raw rows, so that a new representation can be computed of them."""

    state: F32  # (M, D)
    item: NDArray[np.int64]  # (M,)
    reward: F32  # (M,) in the model's units


@dataclass(slots=True)
class NeuralLinear:
    """The best slate under one of S draws of the last layer."""

    config: PosteriorConfig
    model: RewardModel
    memory: Memory
    last: Regressions  # one, over [hidden, 1]
    theta: F64  # (S, 1, d)
    updates: int = 0

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.model.serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        obs = observed(obs, self.serving)
        obs = obs.rows(np.arange(len(obs)))  # a copy: draws are made from it later
        columns = candidate_items(obs, self.serving.n_items)
        shape, places = columns.shape, self.serving.slate_size
        state = np.repeat(self.model.state(obs), shape[1], axis=0)
        hidden = self.represent(state, np.maximum(columns, 0).ravel().astype(np.int64))
        arm = np.zeros((len(hidden), 1), np.int32)

        def scores(theta: F64) -> F64:
            return masked(means(hidden, arm, theta).reshape(shape), obs.eligible)

        theta = self.theta  # an update makes new ones
        mean = scores(self.last.theta)
        drawn = Draws(lambda: map(scores, theta), mean, places)
        return explore(drawn, mean, places, self.config.epsilon)

    @torch.no_grad()
    def represent(self, state: F32, item: NDArray[np.int64]) -> F64:
        """(M, hidden + 1): what the network's last layer reads, and a constant."""
        net = self.model.net
        seen = net.of_item(net.items[torch.from_numpy(item)])
        hidden = torch.relu(net.of_state(torch.from_numpy(state)) + seen).double().numpy()
        return np.concatenate([hidden, np.ones((len(hidden), 1))], axis=1)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        log = learning_log(log, self.serving)
        old = replace(self.model)
        metrics = self.model.update(log)
        self.memory = rescaled(self.memory, old, self.model)
        self.memory = remember(self.memory, self.model, log, self.config.memory)
        self.updates += 1
        self._refit()
        return metrics

    def _refit(self) -> None:
        """The last layer's posterior on everything remembered, and its draws."""
        c, memory = self.config, self.memory
        size = self.model.net.head.in_features + 1
        self.last = Regressions.empty(1, size, c.ridge)
        if len(memory.item):
            x = self.represent(memory.state, memory.item)
            inverse = np.linalg.inv(c.ridge * np.eye(size) + x.T @ x)
            moment = x.T @ memory.reward
            self.last = Regressions.from_arrays(
                {
                    "inverse": ((inverse + inverse.T) / 2)[None],
                    "moment": moment[None],
                    "theta": (inverse @ moment)[None],
                }
            )
        rng = np.random.default_rng([c.seed, self.updates])
        self.theta = self.last.draws(c.draws, c.width, rng)

    def saved(self) -> Saved:
        own = {f"memory.{k}": v for k, v in asdict(self.memory).items()}
        config = {**asdict(self.config), "updates": self.updates}
        return Saved(config=config, arrays=own, inner=self.model)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> NeuralLinear:
        settings = dict(saved.config)
        updates = settings.pop("updates")
        memory = Memory(*(saved.arrays[f"memory.{k}"] for k in ("state", "item", "reward")))
        bandit = _new(PosteriorConfig(**settings), saved.inner)
        bandit.memory, bandit.updates = memory, updates
        bandit._refit()
        return bandit


def rescaled(memory: Memory, old: RewardModel, new: RewardModel) -> Memory:
    """What a model remembered, in the scales of the same model after one more log."""
    state = old.state.centre + old.state.scale * memory.state
    reward = old.centre + old.scale * memory.reward.astype(np.float64)
    z = np.clip((state - new.state.centre) / new.state.scale, -new.state.clip, new.state.clip)
    units = ((reward - new.centre) / new.scale).astype(np.float32)
    return Memory(z.astype(np.float32), memory.item, units)


def remember(memory: Memory, model: RewardModel, log: LoggedDataset, size: int) -> Memory:
    """The newest `size` shown places, those of the log among them."""
    row, place = np.nonzero(log.slate >= 0)
    row, place = row[-size:], place[-size:]
    state = model.state(observation_of_log(log, model.serving))[row]
    reward = (place_rewards(log)[row, place] - model.centre) / model.scale
    return Memory(
        np.concatenate([memory.state, state])[-size:],
        np.concatenate([memory.item, log.slate[row, place].astype(np.int64)])[-size:],
        np.concatenate([memory.reward, reward.astype(np.float32)])[-size:],
    )


def _new(config: PosteriorConfig, model: RewardModel) -> NeuralLinear:
    """A bandit that remembers nothing."""
    none = Memory(
        np.zeros((0, model.state.size), np.float32), np.zeros(0, np.int64), np.zeros(0, np.float32)
    )
    empty = Regressions.empty(1, 1, 1.0)
    return NeuralLinear(config, model, none, empty, np.zeros((0, 1, 1)))


@dataclass(frozen=True, slots=True, kw_only=True)
class NeuralLinearConfig(RewardModelConfig, PosteriorConfig):
    """The posterior, and the reward model whose last layer it replaces."""

    width: float = 1.0
    hidden: int = 32  # size of the representation

    def __post_init__(self) -> None:
        PosteriorConfig.__post_init__(self)
        RewardModelConfig.__post_init__(self)


@configured(NeuralLinearConfig)
def neural_linear(
    serving: Serving, config: NeuralLinearConfig, encoder: Encoder | None
) -> NeuralLinear:
    """Thompson sampling of Bayesian weights on a learned representation."""
    bandit = _new(part(config, PosteriorConfig), reward_model(serving, config, encoder))
    bandit._refit()
    return bandit
