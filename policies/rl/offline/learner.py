"""The loop of what learns from a log: scales, minibatches, Adam, a target network.

A method is a loss and its config (losses.py), run by this loop.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from offpolicy.log.dataset import LoggedDataset
from policies.configured import configured, part
from policies.encoders.base import Encoder
from policies.features import StateFeatures, features_of, item_table, state_features
from policies.moments import Moments
from policies.observation import Observation, Serving, candidate_items, observation_of_log
from policies.rl.data.collector import encode
from policies.rl.data.logged import LogBatch, LoggedTransitions, log_batch, logged_transitions
from policies.rl.nets import ItemNet
from policies.rl.offline.losses import (
    METHODS,
    BCConfig,
    CQLConfig,
    Method,
    OfflineConfig,
    ReinforceConfig,
    SNQNConfig,
)
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


@dataclass(slots=True, eq=False)
class OfflineLearner:
    """A score model that every `update` trains for `epochs` over the log it is given.

    It goes on from what earlier logs taught, without seeing them again: the last log counts most.
    Give one log of all (`LoggedDataset.concat`) where all shall count alike. Scales of state and
    reward are those of all logs so far: the networks are changed to give the same values.
    """

    config: OfflineConfig
    state: StateFeatures
    rng: np.random.Generator
    reward_scale: float = 1.0
    net: ItemNet | None = None
    target: ItemNet | None = None
    rewards: Moments = field(default_factory=lambda: Moments.none(1))  # of rows, in all logs

    @property
    def serving(self) -> Serving:
        return self.state.serving

    @property
    def method(self) -> Method:
        """Its loss, and what this needs."""
        return METHODS[self.config.method]

    @torch.no_grad()
    def scores(self, obs: Observation) -> Scores:
        if self.net is None:
            return np.zeros(candidate_items(obs, self.serving.n_items).shape)
        encoded = encode(self.state, obs)
        ids = torch.from_numpy(encoded.items).long()
        score, _ = self.net(torch.from_numpy(encoded.state), ids)
        return np.asarray(score[self.method.serves].double().numpy())

    def update(self, log: LoggedDataset) -> dict[str, float]:
        c, state, scale, rewards = self.config, self.state, self.reward_scale, self.rewards
        if self.net is None or state.seen is not None:  # or a folder of 0.1 kept only the scales
            state = state.fitted(observation_of_log(log, self.serving))
            rewards = rewards.plus(Moments.of(log.reward[:, None]))
            scale = float(rewards.unit()[0])
        transitions = logged_transitions(log, state, gamma=c.discount, reward_scale=scale)
        rows = self._learnable(transitions)
        for net in (self.net, self.target):
            if net is not None and state is not self.state:
                self.state.rescaled(state).into(net.entrance)
                net.scale_outputs(self.reward_scale / scale, self.method.values)
        self.state, self.reward_scale, self.rewards = state, scale, rewards
        if self.net is None:
            self._build(item_table(self.serving, state.encoder, log))
        assert self.net is not None
        updates = c.epochs * -(-len(rows) // c.batch_size)
        adam = torch.optim.Adam(self.net.parameters(), lr=c.learning_rate)
        schedule = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.05, total_iters=updates)
        losses: list[float] = []
        for _ in range(c.epochs):
            order = self.rng.permutation(rows)
            parts = [order[i : i + c.batch_size] for i in range(0, len(order), c.batch_size)]
            losses = [self._improve(log_batch(transitions, part), adam, schedule) for part in parts]
        return {"loss": float(np.mean(losses))}

    def _learnable(self, transitions: LoggedTransitions) -> NDArray[np.int64]:
        """The rows that the method can learn from; ValueError where there are none."""
        name = self.config.method
        if not (transitions.shown >= 0).any():
            raise ValueError(f"every slate of the log is empty: {name} has nothing to learn from")
        if not self.method.needs_next:
            return np.arange(len(transitions.shown))
        rows = np.flatnonzero(transitions.whole & (transitions.action() >= 0))
        if not len(rows):
            raise ValueError(
                f"{name} has nothing to learn from: no decision of the log is followed by another "
                "or by its session's end. Mark the last row of a session as terminated where the "
                "user left; of sessions that were cut after one decision bc and reinforce learn."
            )
        return rows

    def _improve(self, batch: LogBatch, adam: torch.optim.Adam, schedule: Any) -> float:
        assert self.net is not None
        assert self.target is not None
        loss = self.method.loss(self.net, self.target, batch, self.config)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        adam.step()
        schedule.step()
        with torch.no_grad():
            pairs = zip(self.target.parameters(), self.net.parameters(), strict=True)
            for follower, parameter in pairs:
                follower.lerp_(parameter, self.config.tau)
        return loss.item()

    def _build(self, items: NDArray[np.float32]) -> None:
        c, method = self.config, self.method
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(c.seed)
            self.net = ItemNet(
                self.state.size, items, c.hidden, heads=method.heads, extras=method.extras
            )
        self.target = copy.deepcopy(self.net)

    def saved(self) -> Saved:
        state = {"method": self.config.method, "reward_scale": self.reward_scale}
        arrays = self.state.to_arrays() | {"random_state": generator_array(self.rng)}
        if self.net is not None and self.target is not None:
            arrays |= prefixed("net.", module_arrays(self.net))
            arrays |= prefixed("target.", module_arrays(self.target))
            arrays |= prefixed("rewards.", self.rewards.to_arrays())
        config = asdict(self.config) | state
        return Saved(config=config, arrays=arrays, encoder=self.state.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        config = dict(saved.config)
        method, scale = config.pop("method"), config.pop("reward_scale")
        state, rng = features_of(saved, serving), generator_from_array(saved.arrays["random_state"])
        learner = cls(METHODS[method].config(**config), state, rng, scale)
        if net := under("net.", saved.arrays):
            learner._build(net["items"])
            assert learner.net is not None
            assert learner.target is not None
            set_module_arrays(learner.net, net)
            set_module_arrays(learner.target, under("target.", saved.arrays))
        if kept := under("rewards.", saved.arrays):
            learner.rewards = Moments(**kept)
        return learner


def _policy(serving: Serving, config: OfflineConfig, encoder: Encoder | None) -> ScorePolicy:
    """A policy learnt from logs alone. Each log is learnt after the others, not with them: the last
    one counts most."""
    state, rng = state_features(serving, encoder), np.random.default_rng(config.seed)
    exploration = part(config, Exploration)
    return ScorePolicy(OfflineLearner(config, state, rng), exploration)


bc = configured(BCConfig)(_policy)
reinforce = configured(ReinforceConfig)(_policy)
cql = configured(CQLConfig)(_policy)
snqn = configured(SNQNConfig)(_policy)
