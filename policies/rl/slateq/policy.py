"""SlateQ: a slate is worth what its items are worth, weighed by what the user picks.

Ie et al. (2019, arXiv 1905.12767), with three differences that decide whether it plans at all:
picking nothing has a learned value of its own, the slate maximises the exact ratio (ratio.py), and
what users pick is learned beside the values, from the same decisions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor, nn

from offpolicy.log.dataset import LoggedDataset
from policies.baselines.uniform import uniform
from policies.configured import configured
from policies.encoders.base import Encoder
from policies.features import LIVE_CLIP, StateFeatures, features_of, item_table, state_features
from policies.learning import learning_log, observed
from policies.moments import Moments
from policies.observation import Observation, Serving, candidate_items, observation_of_log
from policies.one_user import recommend
from policies.rl.data.collector import Collector, Encoded, encode
from policies.rl.data.replay import Batch, Replay
from policies.rl.sb3.configs import decayed
from policies.rl.slateq.net import SlateQConfig, SlateQNet, bootstrap, losses, scores
from policies.rollout import collect
from policies.saved import (
    Arrays,
    Saved,
    module_arrays,
    optimizer_arrays,
    prefixed,
    set_module_arrays,
    set_optimizer_arrays,
    under,
)
from policies.slates.distributions import SlateDistribution, TopK, explore, masked
from policies.validation import check_steps
from policies.wrapped import lean, vectorised

OnSteps = Callable[[int], None]


@dataclass(slots=True, eq=False)
class SlateQ:
    """Learns by `learn`; serves the slate of highest value, before that uniform ones."""

    config: SlateQConfig
    state: StateFeatures
    encoder: Encoder | None
    reward_scale: float = 1.0
    steps: int = 0  # decisions learnt from
    networks: Networks | None = None  # once scales are known
    rewards: Moments = field(default_factory=lambda: Moments.none(1))  # of rows, in all logs

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.state.serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        obs = observed(obs, self.serving)
        places = self.serving.slate_size
        flat = masked(np.zeros(candidate_items(obs, self.serving.n_items).shape), obs.eligible)
        if self.networks is None:
            return explore(TopK(flat, places), flat, places, 1.0)
        score = self.networks.scores(encode(self.state, obs)).double().numpy()
        return explore(TopK(score, places), flat, places, self.config.epsilon)

    def prepare(self, log: LoggedDataset) -> dict[str, float]:
        """Fit the scales of state and reward to all logs so far, and the items' vectors to the last
        of them, until `learn` has begun: from then on they stay."""
        log = learning_log(log, self.serving)
        if self.steps == 0:
            self.state = self.state.fitted(observation_of_log(log, self.serving))
            self.rewards = self.rewards.plus(Moments.of(log.reward[:, None]))
            self.reward_scale = float(self.rewards.unit()[0])
            self._build(item_table(self.serving, self.encoder, log))
        return {"reward_scale": self.reward_scale}

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """As `prepare`: values are learnt in an environment, by `learn`."""
        return self.prepare(log)

    def _build(self, items: NDArray[np.float32]) -> Networks:
        self.networks = Networks(self.config, self.state.size, items, self.serving.slate_size)
        return self.networks

    def saved(self) -> Saved:
        counts = {"reward_scale": self.reward_scale, "steps": self.steps}
        arrays = dict(self.state.to_arrays())
        if self.networks is not None:
            arrays |= prefixed("networks.", self.networks.to_arrays())
            arrays |= prefixed("rewards.", self.rewards.to_arrays())
        return Saved(config=asdict(self.config) | counts, arrays=arrays, encoder=self.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        config = dict(saved.config)
        counts = config.pop("reward_scale"), config.pop("steps")
        state = features_of(saved, serving)
        agent = cls(
            SlateQConfig(**config | {"windows": state.windows}), state, saved.encoder, *counts
        )
        if arrays := under("networks.", saved.arrays):
            agent._build(arrays["net.value.items"]).set_arrays(arrays)
        if kept := under("rewards.", saved.arrays):
            agent.rewards = Moments(**kept)
        return agent

    def check_learn(self, total_steps: int, users: int) -> None:
        """Raise ValueError where `learn` would end before its first update."""
        check_steps(total_steps, users, self.config.warm, "set a smaller warm")

    def learn(
        self,
        env: VectorEnv[Any, Any, Any],
        *,
        total_steps: int,
        seed: int,
        on_steps: OnSteps | None = None,
    ) -> None:
        """Train for `total_steps` decisions over all users; call again to go on.

        on_steps: called with the decisions so far after every step of the users.
        Raises ValueError for too few decisions to learn from.
        """
        env = vectorised(env)
        self.check_learn(total_steps, env.num_envs)
        if self.networks is None:  # scales from a short log of uniform slates
            self.prepare(collect(env, uniform(self.serving), n_steps=64, seed=seed))
        networks = self.networks
        assert networks is not None
        replay = Replay(self.config.capacity)
        rng = np.random.default_rng([self.config.seed, seed, self.steps])
        first = int(rng.integers(2**31))
        goal = self.steps + total_steps
        with lean(env):
            collector = Collector(env, self.state, reward_scale=self.reward_scale, seed=first)
            while self.steps < goal:
                replay.add(collector.step(networks.explore(collector.now, rng)))
                self.steps += env.num_envs
                if replay.size >= self.config.warm:
                    networks.improve(replay.draw(self.config.batch_size, rng), self.steps)
                if on_steps is not None:
                    on_steps(self.steps)


class Networks:
    """The network, its target network and their optimizer."""

    def __init__(
        self, config: SlateQConfig, state_size: int, items: NDArray[np.float32], places: int
    ) -> None:
        self.config, self.places = config, places
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.net = SlateQNet(state_size, items, config)
        self.target = copy.deepcopy(self.net)  # is served, too
        self.optimizer = torch.optim.Adam(self.net.parameters(), lr=config.learning_rate)

    def to_arrays(self) -> Arrays:
        """Both networks and the optimizer's moments."""
        net, target = module_arrays(self.net), module_arrays(self.target)
        both = prefixed("net.", net) | prefixed("target.", target)
        return both | prefixed("optimizer.", optimizer_arrays(self.optimizer))

    def set_arrays(self, arrays: Arrays) -> None:
        """Take back what `to_arrays` gave."""
        set_module_arrays(self.net, under("net.", arrays))
        set_module_arrays(self.target, under("target.", arrays))
        set_optimizer_arrays(self.optimizer, under("optimizer.", arrays))

    @torch.no_grad()
    def scores(self, users: Encoded) -> Tensor:
        """(B, C) by the target network; the K largest are the slate."""
        state, ids = torch.from_numpy(users.state), torch.from_numpy(users.items).long()
        return scores(self.target(state, ids), self.places, self.config.slates)

    @torch.no_grad()
    def explore(self, users: Encoded, rng: np.random.Generator) -> NDArray[np.int64]:
        """Slates (B, K) of columns: the best, or for some users a random one.

        Half of these are uniform, and half in proportion to the picks: of a large catalogue users
        take few items, and uniform slates would hardly ever show one.
        """
        state, ids = torch.from_numpy(users.state), torch.from_numpy(users.items).long()
        values = self.net(state, ids)
        score = scores(values, self.places, self.config.slates)
        draw = rng.random(len(score))
        random = torch.from_numpy(np.flatnonzero(draw < self.config.explore))
        by_weight = torch.from_numpy(draw >= self.config.explore / 2)[:, None]
        logit = torch.where(by_weight, values.weight.log(), 0.0)[random]
        noisy = logit + torch.from_numpy(rng.gumbel(size=logit.shape).astype(np.float32))
        score[random] = torch.where(values.weight[random] > 0, noisy, -torch.inf)
        return score.topk(self.places, dim=1).indices.numpy()

    def improve(self, batch: Batch, steps: int) -> None:
        """One update by Adam; the learning rate falls with the decisions taken so far."""
        c = self.config
        with torch.no_grad():
            later = bootstrap(self.net, self.target, batch, self.places, c.slates)
            goal = batch.reward + c.gamma * batch.alive * later
        difference, cross_entropy = losses(self.net, batch, goal)
        self.optimizer.zero_grad()
        (difference + cross_entropy).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        self.optimizer.param_groups[0]["lr"] = c.learning_rate * decayed(steps, c.decay_steps)
        self.optimizer.step()
        with torch.no_grad():
            pairs = zip(self.target.parameters(), self.net.parameters(), strict=True)
            for follower, parameter in pairs:
                follower.lerp_(parameter, c.tau)


@configured(SlateQConfig)
def slateq(serving: Serving, config: SlateQConfig, encoder: Encoder | None) -> SlateQ:
    """An agent that has not learnt yet: call `learn(env, total_steps=, seed=)`."""
    state = state_features(serving, encoder, windows=config.windows, clip=LIVE_CLIP)
    return SlateQ(config, state, encoder)
