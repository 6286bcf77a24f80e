"""The loop of everything that learns from a log: scales, minibatches, Adam, an averaged network.

An algorithm is a loss over this loop: one file and one line of METHODS.
"""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from offpolicy.log.dataset import LoggedDataset
from policies.base import Observation, Serving, candidate_items, observation_of_log
from policies.encoders.base import Encoder
from policies.features import StateFeatures, features_of, item_table, state_features
from policies.rl.data.logged import LogBatch, log_batch, logged_transitions
from policies.rl.data.world import encode
from policies.rl.nets.item_net import ItemNet
from policies.rl.offline.clone import CLONE
from policies.rl.offline.cql import CQL
from policies.rl.offline.method import Method, OfflineConfig
from policies.rl.offline.reinforce import REINFORCE, TOP_K
from policies.rl.offline.snqn import SA2C, SNQN
from policies.saved import Saved, generator_of, prefixed, random_state, set_weights, under, weights
from policies.score_policy import Exploration, ScorePolicy, Scores
from policies.validation import FROM_0

METHODS: dict[str, Method] = {
    "clone": CLONE,
    "reinforce": REINFORCE,
    "reinforce_top_k": TOP_K,
    "cql": CQL,
    "snqn": SNQN,
    "sa2c": SA2C,
}


@dataclass(slots=True, eq=False)
class OfflineLearner:
    """A scorer that every `update` trains for `epochs` over the log it is given."""

    method: str  # key of METHODS
    config: OfflineConfig
    state: StateFeatures
    rng: np.random.Generator
    reward_scale: float = 1.0
    net: ItemNet | None = None
    slow: ItemNet | None = None

    @property
    def serving(self) -> Serving:
        return self.state.serving

    @torch.no_grad()
    def scores(self, obs: Observation) -> Scores:
        if self.net is None:
            return np.zeros(candidate_items(obs, self.serving.n_items).shape)
        seen = encode(self.state, obs)
        score, _ = self.net(torch.from_numpy(seen.state), torch.from_numpy(seen.items).long())
        return np.asarray(score[METHODS[self.method].serves].double().numpy())

    def update(self, log: LoggedDataset) -> dict[str, float]:
        if self.net is None:  # scales are fixed by the first log
            self.state = self.state.fitted(observation_of_log(log, self.serving))
            self.reward_scale = float(log.reward.std()) or 1.0
            self._build(item_table(self.serving, self.state.encoder, log))
        assert self.net is not None
        c, method = self.config, METHODS[self.method]
        transitions = logged_transitions(
            log, self.state, gamma=c.gamma, reward_scale=self.reward_scale
        )
        rows = np.flatnonzero(transitions.whole) if method.needs_next else np.arange(len(log))
        if self.method == "reinforce_top_k" and np.isnan(transitions.first).any():
            raise ValueError(
                "correction='top_k' needs the log's candidate_propensity column (the first-place "
                "probability of every candidate); log it, or learn with correction='slate'"
            )
        steps = c.epochs * -(-len(rows) // c.batch_size)
        adam = torch.optim.Adam(self.net.parameters(), lr=c.learning_rate)
        schedule = torch.optim.lr_scheduler.LinearLR(adam, 1.0, 0.05, total_iters=steps)
        losses: list[float] = []
        for _ in range(c.epochs):
            order = self.rng.permutation(rows)
            parts = [order[i : i + c.batch_size] for i in range(0, len(order), c.batch_size)]
            losses = [self._improve(log_batch(transitions, part), adam, schedule) for part in parts]
        return {"loss": float(np.mean(losses)) if losses else float("nan")}

    def _improve(self, batch: LogBatch, adam: torch.optim.Adam, schedule: Any) -> float:
        assert self.net is not None
        assert self.slow is not None
        loss = METHODS[self.method].loss(self.net, self.slow, batch, self.config)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.net.parameters(), 10.0)
        adam.step()
        schedule.step()
        with torch.no_grad():
            for slow, fast in zip(self.slow.parameters(), self.net.parameters(), strict=True):
                slow.lerp_(fast, self.config.average)
        return loss.item()

    def _build(self, items: NDArray[np.float32]) -> None:
        method = METHODS[self.method]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            self.net = ItemNet(
                self.state.size,
                items,
                self.config.hidden,
                heads=method.heads,
                extras=method.extras,
            )
        self.slow = copy.deepcopy(self.net)

    def saved(self) -> Saved:
        config = asdict(self.config) | {"method": self.method, "reward_scale": self.reward_scale}
        arrays = self.state.to_arrays() | {"luck": random_state(self.rng)}
        if self.net is not None and self.slow is not None:
            arrays |= prefixed("net.", weights(self.net)) | prefixed("slow.", weights(self.slow))
        return Saved(config=config, arrays=arrays, encoder=self.state.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        config = dict(saved.config)
        method, scale = config.pop("method"), config.pop("reward_scale")
        state, rng = features_of(saved, serving), generator_of(saved.arrays["luck"])
        learner = cls(method, OfflineConfig(**config), state, rng, scale)
        if net := under("net.", saved.arrays):
            learner._build(net["items"])
            assert learner.net is not None
            assert learner.slow is not None
            set_weights(learner.net, net)
            set_weights(learner.slow, under("slow.", saved.arrays))
        return learner


def offline(
    serving: Serving,
    method: str,
    config: OfflineConfig,
    encoder: Encoder | None,
    exploration: Exploration,
) -> ScorePolicy:
    """The policy of one of METHODS."""
    state = state_features(serving, encoder)
    rng = np.random.default_rng(config.seed)
    return ScorePolicy(OfflineLearner(method, config, state, rng), exploration)


def bc(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    temperature: float | None = 1.0,
    epochs: int = 10,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> ScorePolicy:
    """The policy that made the log, as far as the state tells. Pomerleau (1989)."""
    config = OfflineConfig(epochs=epochs, hidden=hidden, seed=seed)
    rule = Exploration(temperature=temperature, epsilon=epsilon)
    return offline(serving, "clone", config, encoder, rule)


def reinforce(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    correction: Literal["slate", "top_k"] = "slate",
    gamma: float = 0.95,
    cap: float = 10.0,
    entropy: float = 0.01,
    temperature: float | None = 1.0,
    epochs: int = 10,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> ScorePolicy:
    """Policy gradient from the log, corrected by its propensities. Chen et al. (2019).

    Raises ValueError for an unknown correction.
    """
    methods = {"slate": "reinforce", "top_k": "reinforce_top_k"}
    if correction not in methods:
        raise ValueError(f"correction = {correction!r}: choose {' or '.join(methods)}")
    FROM_0.check("entropy", entropy)
    config = OfflineConfig(
        gamma=gamma, cap=cap, strength=entropy, epochs=epochs, hidden=hidden, seed=seed
    )
    rule = Exploration(temperature=temperature, epsilon=epsilon)
    return offline(serving, methods[correction], config, encoder, rule)


def cql(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    gamma: float = 0.95,
    strength: float = 1.0,
    epochs: int = 10,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> ScorePolicy:
    """Conservative Q-learning; strength: how much. Kumar et al. (2020)."""
    config = OfflineConfig(gamma=gamma, strength=strength, epochs=epochs, hidden=hidden, seed=seed)
    return offline(serving, "cql", config, encoder, Exploration(epsilon=epsilon))


def snqn(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    gamma: float = 0.5,
    advantage: bool = False,
    temperature: float | None = 1.0,
    epochs: int = 10,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> ScorePolicy:
    """Next item with a value head beside it; advantage=True is SA2C. Xin et al. (2020; 2022)."""
    config = OfflineConfig(gamma=gamma, epochs=epochs, hidden=hidden, seed=seed)
    rule = Exploration(temperature=temperature, epsilon=epsilon)
    return offline(serving, "sa2c" if advantage else "snqn", config, encoder, rule)
