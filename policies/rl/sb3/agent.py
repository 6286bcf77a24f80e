"""Agents of Stable-Baselines3 on the encoder's state: what they share as policies.

What differs between the algorithms is in algorithms.py.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from offpolicy.log.dataset import LoggedDataset
from policies.baselines.uniform import uniform
from policies.encoders.base import Encoder
from policies.features import StateFeatures, features_of, item_table
from policies.learning import learning_log, observed
from policies.moments import Moments
from policies.observation import Observation, Serving, candidate_items, observation_of_log
from policies.one_user import recommend
from policies.rl.data.logged import returns_to_go
from policies.rl.sb3.actor_critic import SlateActorCritic, encoder_score_weights
from policies.rl.sb3.algorithms import ALGORITHMS, Algorithm, Sizes
from policies.rl.sb3.configs import A2CConfig, AgentConfig
from policies.rl.sb3.learning import BeforeUpdates, OnSteps, own_random_state, reset_for_learning
from policies.rl.sb3.model_state import PlaceholderEnv, model_arrays, set_model_arrays
from policies.rl.sb3.prior import Prior
from policies.rl.sb3.vec_env import EncodedVecEnv, model_rows, observation_space
from policies.rollout import collect
from policies.saved import Arrays, Saved, prefixed, under
from policies.slates.distributions import PlackettLuce, SlateDistribution, TopK, explore, masked
from policies.slates.parts import UNIFORM, Parts, parts_of, parts_of_distribution
from policies.validation import check_steps
from policies.wrapped import lean, vectorised

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]


class Metadata(NamedTuple):
    """What a zip of Stable-Baselines3 must hold beside its own model; see builders.from_zip."""

    name: str
    config: dict[str, Any]  # of AgentConfig, by name: a setting that comes later has its default
    state: StateFeatures
    reward_scale: float
    encoder: Encoder | None
    prior: Prior | None = None


@dataclass(slots=True)
class SB3Agent:
    """Serves any observation, at first as its prior, or uniform slates; acts better only after
    `learn`."""

    name: str  # of ALGORITHMS
    config: AgentConfig
    state: StateFeatures
    encoder: Encoder | None
    reward_scale: float = 1.0
    model: BaseAlgorithm | None = None
    items: F32 | None = None  # (A, Di), once a log has been seen
    encoder_scores: F32 = field(default_factory=lambda: np.zeros(0, np.float32))  # (De,)
    rewards: Moments = field(default_factory=lambda: Moments.none(1))  # of rows, in all logs
    prior: Prior | None = None

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.state.serving

    @property
    def algorithm(self) -> Algorithm:
        """What is particular to the algorithm."""
        return ALGORITHMS[self.name]

    @property
    def steps(self) -> int:
        """Decisions it has learnt from in an environment."""
        return 0 if self.model is None else self.model.num_timesteps

    @torch.no_grad()
    def distribution(self, obs: Observation) -> SlateDistribution:
        """Plackett-Luce over an actor's logits, or the slate of a value's or a vector's choice."""
        obs = observed(obs, self.serving)
        places = self.serving.slate_size
        if self.model is None:
            flat = masked(np.zeros(candidate_items(obs, self.serving.n_items).shape), obs.eligible)
            if self.prior is None:
                return PlackettLuce(flat, places)
            return explore(self.prior.policy.distribution(obs), flat, places, self.config.epsilon)
        rows = torch.from_numpy(model_rows(self.state, self.prior, obs))
        scores = masked(self.algorithm.scores(self.model.policy, self.sizes(), rows), obs.eligible)
        return explore(self._best(scores), scores, places, self.config.epsilon)

    @torch.no_grad()
    def score_parts(self, obs: Observation) -> list[Parts]:
        """Of an actor-critic its skip connections and the rest, before it has networks its prior's;
        the other algorithms' scores are one part."""
        uniform = [Parts(UNIFORM, None, {})] if self.config.epsilon else []
        if self.model is None and self.prior is not None:
            return [*parts_of(self.prior.policy, obs), *uniform]
        if self.model is None or not isinstance(self.config, A2CConfig):
            return parts_of_distribution(self.distribution(obs))
        rows = torch.from_numpy(model_rows(self.state, self.prior, obs))
        net, t = self.model.policy, self.config.temperature
        assert isinstance(net, SlateActorCritic)
        scale = 1.0 if t is None else t
        named = {name: part.numpy() / scale for name, part in net.logit_parts(rows).items()}
        return [Parts("policy", t, named), *uniform]

    def _best(self, scores: NDArray[np.float64]) -> SlateDistribution:
        """The slates of scores (B, C), before exploration."""
        t = self.config.temperature if isinstance(self.config, A2CConfig) else None
        places = self.serving.slate_size
        return TopK(scores, places) if t is None else PlackettLuce(scores / t, places)

    def prepare(self, log: LoggedDataset) -> dict[str, float]:
        """Fit the scales of state and reward to all logs so far, and the items' vectors to the last
        of them, until `learn` has begun: from then on they stay."""
        log = learning_log(log, self.serving)
        if self.model is None:
            obs = observation_of_log(log, self.serving)
            self.state = self.state.fitted(obs, as_one=True)
            self.rewards = self.rewards.plus(Moments.of(self._paid(log)[:, None]))
            self.reward_scale = float(self.rewards.unit()[0])
            self.items = item_table(self.serving, self.encoder, log, as_one=True)
            if self.prior is not None and isinstance(self.config, A2CConfig):
                self.prior = self.prior.fitted(obs, self.config.sharpness)
            if self.encoder is not None:
                scores = self._score_weights(self.encoder, obs.history_items, self.items)
                unit = 1.0 if self.prior is None else self.prior.spread(obs)
                self.encoder_scores = scores * np.float32(unit)
        return {"reward_scale": self.reward_scale}

    def _paid(self, log: LoggedDataset) -> NDArray[np.floating]:
        """What rewards are measured by (N,): actor-critics learn returns, which are then of size 1
        whatever the length of a session, and one norm of gradients suits critic and actor."""
        if not isinstance(self.config, A2CConfig):
            return log.reward
        last = np.append(log.session[1:] != log.session[:-1], True)
        return returns_to_go(log.reward.astype(np.float32), last, self.config.gamma)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """As `prepare`: it learns to act only in an environment, by `learn`."""
        return self.prepare(log)

    def _score_weights(self, encoder: Encoder, histories: I32, items: F32) -> F32:
        """For the encoder's part of the state: standardised, or, fine-tuned, over sqrt(De)."""
        size, first = encoder.state_size, self.serving.item_features.shape[1]
        vectors = items[:, first : first + size]
        centre: F32 | float = 0.0
        scale: F32 | float = size**0.5
        if self.state.encoder is not None:
            centre, scale = self.state.centre[:size], self.state.scale[:size]
        return encoder_score_weights(encoder, histories, vectors, centre=centre, scale=scale)

    def check_learn(self, total_steps: int, users: int) -> None:
        """Raise ValueError where `learn` would end before its first update."""
        least = self.config.first_update(users) - self.steps
        check_steps(total_steps, users, least, "learn with fewer users: it grows with them")

    def learn(
        self,
        env: VectorEnv[Any, Any, Any],
        *,
        total_steps: int,
        seed: int,
        on_steps: OnSteps | None = None,
    ) -> None:
        """Train for `total_steps` decisions over all users; call again to go on.

        on_steps: called with the decisions so far after every round between updates.
        Raises ValueError for too few decisions to learn from.
        """
        env = vectorised(env)
        self.check_learn(total_steps, env.num_envs)
        if self.items is None:  # scales from a short log of uniform slates
            self.prepare(collect(env, uniform(self.serving), n_steps=32, seed=seed))
        vec_env = self._vec_env(env, seed)
        if self.model is not None and self.model.n_envs != vec_env.num_envs:
            self.model = self._rebuilt(model_arrays(self.model), vec_env)
        with own_random_state(self.config.seed, seed, self.steps) as further_seed:
            if self.model is None:
                self.model = self.new_model(vec_env)
            else:
                self.model.set_env(vec_env)
            reset_for_learning(self.model, further_seed)
            callback = BeforeUpdates(on_steps, self.config)
            with lean(env):
                self.model.learn(total_steps, callback=callback, reset_num_timesteps=False)

    def saved(self) -> Saved:
        arrays: Arrays = dict(self.state.to_arrays()) | {"encoder_scores": self.encoder_scores}
        if self.items is not None:
            arrays["items"] = self.items
            arrays |= prefixed("rewards.", self.rewards.to_arrays())
        state = {"name": self.name, "reward_scale": self.reward_scale, "users": 0}
        if self.model is not None:
            state["users"] = self.model.n_envs
            arrays |= prefixed("model.", model_arrays(self.model))
        config, prior = asdict(self.config) | state, None
        if self.prior is not None:
            config["prior_scale"], prior = self.prior.scale, self.prior.policy
        return Saved(config=config, arrays=arrays, encoder=self.encoder, inner=prior)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        settings = dict(saved.config)
        name, scale, users = (settings.pop(k) for k in ("name", "reward_scale", "users"))
        prior_scale = settings.pop("prior_scale", 1.0)
        frozen = not settings.get("fine_tune")
        state = features_of(saved if frozen else replace(saved, encoder=None), serving)
        config = ALGORITHMS[name].config(**settings | {"windows": state.windows})
        agent = cls(name, config, state, saved.encoder, scale)
        if saved.inner is not None:
            agent.prior = Prior(saved.inner, prior_scale)
        agent.items, agent.encoder_scores = (
            saved.arrays.get("items"),
            saved.arrays["encoder_scores"],
        )
        if kept := under("rewards.", saved.arrays):
            agent.rewards = Moments(**kept)
        if users:
            agent.model = agent._rebuilt(
                under("model.", saved.arrays), agent.placeholder_env(users)
            )
        return agent

    def sizes(self) -> Sizes:
        """What a model is built on, once a log has been seen."""
        assert self.items is not None
        size, trail = self.state.size, self.state.trail
        prior = 0 if self.prior is None else self.serving.columns
        return Sizes(
            self.serving, size, self.items, self.encoder_scores, trail, self.encoder, prior
        )

    def placeholder_env(self, users: int) -> VecEnv:
        """The spaces it learns in, without users."""
        seen = observation_space(self.state, self.prior)
        return PlaceholderEnv(seen, self.algorithm.space(self.sizes()), users)

    def _vec_env(self, env: VectorEnv[Any, Any, Any], seed: int) -> EncodedVecEnv:
        """The environment as the model sees it: its actions become slates."""
        sizes, decode = self.sizes(), self.algorithm.decode

        def slates(actions: NDArray[Any], rows: NDArray[np.float32]) -> NDArray[Any]:
            assert decode is not None
            ids = rows[:, sizes.state_size :].astype(np.int32)
            return decode(sizes, actions, ids if ids.shape[1] else None)

        return EncodedVecEnv(
            env,
            self.state,
            reward_scale=self.reward_scale,
            seed=seed,
            space=self.algorithm.space(sizes),
            decode=None if decode is None else slates,
            prior=self.prior,
        )

    def _rebuilt(self, arrays: Arrays, vec_env: VecEnv) -> BaseAlgorithm:
        """A model of this state for another number of users."""
        with own_random_state(self.config.seed):
            model = self.new_model(vec_env)
        set_model_arrays(model, arrays)
        return model

    def new_model(self, vec_env: VecEnv) -> BaseAlgorithm:
        """A model that has learnt nothing."""
        config = asdict(self.config)
        metadata = Metadata(
            self.name, config, self.state, self.reward_scale, self.encoder, self.prior
        )
        return self.algorithm.build(self.config, vec_env, self.sizes(), metadata)
