"""SlateQ: a slate is worth what its items are worth, weighed by what the user picks.

Ie et al. (2019, arXiv 1905.12767), with three differences that decide whether it plans at all:
picking nothing has a learned value of its own, the slate maximises the exact ratio (ratio.py), and
what users pick is learned beside the values, from the same decisions.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor, nn

from offpolicy.log.dataset import LoggedDataset
from policies.base import Observation, Serving, candidate_items, observation_of_log
from policies.baselines.simple import uniform
from policies.encoders.base import Encoder
from policies.features import LIVE_CLIP, StateFeatures, features_of, item_table, state_features
from policies.one_user import recommend
from policies.rl.data.replay import Batch, Replay
from policies.rl.data.world import Encoded, World, encode
from policies.rl.sb3.configs import falling
from policies.rl.slateq.net import SlateQConfig, SlateQNet, Slates, bootstrap, losses, scores
from policies.rollout import collect
from policies.saved import (
    Arrays,
    Saved,
    moments,
    prefixed,
    set_moments,
    set_weights,
    under,
    weights,
)
from policies.slates.distributions import SlateDistribution, TopK, explore, masked
from policies.validation import check_steps

OnSteps = Callable[[int], None]


@dataclass(slots=True, eq=False)
class SlateQ:
    """Learns in a world by `learn`; serves the slate of highest value, uniform ones before."""

    config: SlateQConfig
    state: StateFeatures
    encoder: Encoder | None
    reward_scale: float = 1.0
    steps: int = 0  # decisions learnt from
    learner: Learner | None = None  # once scales are known

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.state.serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        places = self.serving.slate_size
        flat = masked(np.zeros(candidate_items(obs, self.serving.n_items).shape), obs.eligible)
        if self.learner is None:
            return explore(TopK(flat, places), flat, places, 1.0)
        score = self.learner.scores(encode(self.state, obs), self.learner.average).double().numpy()
        return explore(TopK(score, places), flat, places, self.config.epsilon)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Scale state, items and reward to the first log; values are learnt in a world."""
        if self.learner is None:
            self.state = self.state.fitted(observation_of_log(log, self.serving))
            self.reward_scale = float(log.reward.std()) or 1.0
            items = item_table(self.serving, self.encoder, log)
            self.learner = self._learner(items)
        return {"reward_scale": self.reward_scale}

    def _learner(self, items: NDArray[np.float32]) -> Learner:
        return Learner(self.config, self.state.size, items, self.serving.slate_size)

    def saved(self) -> Saved:
        counts = {"reward_scale": self.reward_scale, "steps": self.steps}
        arrays = dict(self.state.to_arrays())
        if self.learner is not None:
            arrays |= prefixed("learner.", self.learner.to_arrays())
        return Saved(config=asdict(self.config) | counts, arrays=arrays, encoder=self.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        config = dict(saved.config)
        counts = config.pop("reward_scale"), config.pop("steps")
        agent = cls(SlateQConfig(**config), features_of(saved, serving), saved.encoder, *counts)
        if learnt := under("learner.", saved.arrays):
            agent.learner = agent._learner(learnt["net.value.items"])
            agent.learner.take(learnt)
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
        self.check_learn(total_steps, env.num_envs)
        if self.learner is None:  # scales from a short look at the world under uniform slates
            self.update(collect(env, uniform(self.serving), n_steps=64, seed=seed))
        learner = self.learner
        assert learner is not None
        replay = Replay(self.config.capacity)
        rng = np.random.default_rng([self.config.seed, seed, self.steps])
        first = int(rng.integers(2**31))
        world = World(env, self.state, reward_scale=self.reward_scale, seed=first)
        goal = self.steps + total_steps
        while self.steps < goal:
            replay.add(world.step(learner.explore(world.now, rng)))
            self.steps += env.num_envs
            if replay.size >= self.config.warm:
                learner.improve(replay.draw(self.config.batch_size, rng), self.steps)
            if on_steps is not None:
                on_steps(self.steps)


class Learner:
    """The networks and their optimiser."""

    def __init__(
        self, config: SlateQConfig, state_size: int, items: NDArray[np.float32], places: int
    ) -> None:
        self.config, self.places = config, places
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.net = SlateQNet(state_size, items, config)
        self.average = copy.deepcopy(self.net)  # the target of learning, and what is served
        self.adam = torch.optim.Adam(self.net.parameters(), lr=config.learning_rate)

    def to_arrays(self) -> Arrays:
        """Both networks and the optimiser's moments; `take` takes them back."""
        both = prefixed("net.", weights(self.net)) | prefixed("average.", weights(self.average))
        return both | prefixed("adam.", moments(self.adam))

    def take(self, arrays: Arrays) -> None:
        """Be the learner that gave these arrays."""
        set_weights(self.net, under("net.", arrays))
        set_weights(self.average, under("average.", arrays))
        set_moments(self.adam, under("adam.", arrays))

    @torch.no_grad()
    def scores(self, seen: Encoded, net: SlateQNet) -> Tensor:
        """(B, C) of users; the K largest are the slate."""
        state, ids = torch.from_numpy(seen.state), torch.from_numpy(seen.items).long()
        return scores(net(state, ids), self.places, self.config.slates)

    @torch.no_grad()
    def explore(self, seen: Encoded, rng: np.random.Generator) -> NDArray[np.int64]:
        """Slates (B, K) of columns: the best, or for some users one by chance.

        Half of these are uniform, and half in proportion to the picks: of a large catalogue users
        take few items, and uniform slates would hardly ever show one.
        """
        state, ids = torch.from_numpy(seen.state), torch.from_numpy(seen.items).long()
        known = self.net(state, ids)
        score = scores(known, self.places, self.config.slates)
        draw = rng.random(len(score))
        uniform_, by_pick = (
            draw < self.config.explore / 2,
            draw < self.config.explore,
        )
        rows = torch.from_numpy(np.flatnonzero(by_pick))
        logit = torch.where(torch.from_numpy(uniform_)[:, None], 0.0, known.weight.log())[rows]
        chance = logit + torch.from_numpy(rng.gumbel(size=logit.shape).astype(np.float32))
        score[rows] = torch.where(known.weight[rows] > 0, chance, -torch.inf)
        return score.topk(self.places, dim=1).indices.numpy()

    def improve(self, batch: Batch, steps: int) -> None:
        """One step of Adam; the step size falls with the decisions taken so far."""
        c = self.config
        with torch.no_grad():
            later = bootstrap(self.net, self.average, batch, self.places, c.slates)
            goal = batch.reward + c.gamma * batch.alive * later
        difference, surprise = losses(self.net, batch, goal)
        self.adam.zero_grad()
        (difference + surprise).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        self.adam.param_groups[0]["lr"] = c.learning_rate * falling(steps, c.decay_steps)
        self.adam.step()
        with torch.no_grad():
            for slow, fast in zip(self.average.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast, c.average)


def slateq(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    gamma: float = 0.995,
    slates: Slates = "ratio",
    hidden: int = 128,
    learning_rate: float = 1e-3,
    decay_steps: int = 5_000_000,
    batch_size: int = 1024,
    warm: int = 5_000,
    item_size: int = 0,
    windows: tuple[int, ...] = (),
    epsilon: float = 0.0,
    seed: int = 0,
) -> SlateQ:
    """An agent that has not learnt yet: call `learn(env, total_steps=, seed=)`.

    warm: decisions before the first update of a call. windows: means of the last so many items'
    vectors in the state, for want of an encoder.
    """
    config = SlateQConfig(
        gamma=gamma,
        slates=slates,
        hidden=hidden,
        learning_rate=learning_rate,
        decay_steps=decay_steps,
        batch_size=batch_size,
        warm=warm,
        item_size=item_size,
        epsilon=epsilon,
        seed=seed,
    )
    state = state_features(serving, encoder, windows=windows, clip=LIVE_CLIP)
    return SlateQ(config, state, encoder)
