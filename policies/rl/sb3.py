"""PPO from Stable-Baselines3 on the frozen encoder's state. Schulman et al. (2017)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.save_util import load_from_zip_file
from stable_baselines3.common.vec_env import VecEnv

from offpolicy.log import LoggedDataset
from policies.base import Observation, Serving, observation_of_log, offered
from policies.encoders.base import Encoder
from policies.features import StateFeatures, features_of, item_table, state_features
from policies.one_user import recommend
from policies.rl.bridge import EncodedVecEnv, observation_space, slate_space
from policies.rl.machine import Blueprint, machine_arrays, set_machine
from policies.rl.slate_head import SlateActorCritic
from policies.rollout import collect
from policies.saved import Arrays, Saved, prefixed, under
from policies.simple import uniform
from policies.slates import PlackettLuce, SlateDistribution, explore, masked

OnSteps = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOConfig:
    """Defaults suit a few hundred parallel users and short sessions."""

    gamma: float = 0.99  # per decision
    gae_lambda: float = 0.95
    n_steps: int = 32  # decisions of every user between updates
    batch_size: int = 2048  # at most; the largest divisor of n_steps x users is taken
    n_epochs: int = 4
    learning_rate: float = 1e-3
    clip_range: float = 0.2
    entropy: float = 0.003
    hidden: int = 64
    epsilon: float = 0.0  # share of uniform slates when serving; the propensity counts it
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma is {self.gamma}; a discount per decision lies in 0..1")


class About(NamedTuple):
    """What a zip of Stable-Baselines3 must hold beside its own model; see `from_zip`."""

    config: PPOConfig
    state: StateFeatures
    reward_scale: float


@dataclass(slots=True)
class PPOAgent:
    """Serves any observation; acts better only after `learn`."""

    config: PPOConfig
    state: StateFeatures
    encoder: Encoder | None
    reward_scale: float = 1.0
    model: PPO | None = None
    items: NDArray[np.float32] | None = None  # (A, Di), once a log has been seen

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.state.serving

    @torch.no_grad()
    def distribution(self, obs: Observation) -> SlateDistribution:
        """Plackett-Luce over the actor's scores; uniform before `learn`."""
        places = self.serving.slate_size
        if self.model is None:
            flat = masked(np.zeros((len(obs), self.serving.columns)), obs.eligible)
            return PlackettLuce(flat, places)
        parts: list[NDArray[Any]] = [self.state(obs)]
        if obs.candidates is not None and (ids := offered(obs)) is not None:
            parts.append(ids)
        rows = torch.from_numpy(np.concatenate(parts, axis=1, dtype=np.float32))
        actor = self.model.policy
        assert isinstance(actor, SlateActorCritic)
        logits = masked(actor.get_distribution(rows).logits.double().numpy(), obs.eligible)
        return explore(PlackettLuce(logits, places), logits, places, self.config.epsilon)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Scale state, items and reward to a log; PPO learns to act only in a world, by `learn`."""
        if self.model is None:
            self.state = self.state.fitted(observation_of_log(log, self.serving))
            self.reward_scale = float(log.reward.std()) or 1.0
            self.items = item_table(self.serving, self.encoder, log)
        return {"reward_scale": self.reward_scale}

    def learn(
        self,
        env: VectorEnv[Any, Any, Any],
        *,
        total_steps: int,
        seed: int,
        on_steps: OnSteps | None = None,
    ) -> None:
        """Train for `total_steps` decisions over all users; call again to go on.

        on_steps: called with the decisions so far after every round of n_steps.
        """
        if self.items is None:  # scales from a short look at the world under uniform slates
            self.update(collect(env, uniform(self.serving), n_steps=self.config.n_steps, seed=seed))
        bridge = EncodedVecEnv(env, self.state, reward_scale=self.reward_scale, seed=seed)
        taken = self.steps
        if self.model is not None and self.model.n_envs != bridge.num_envs:
            self.model = self._rebuilt(machine_arrays(self.model), bridge)
        with own_luck(self.config.seed, seed, taken):
            if self.model is None:
                self.model = self._new(bridge)
            else:
                self.model.set_env(bridge)
            self.model.learn(total_steps, callback=_Heartbeat(on_steps), reset_num_timesteps=False)

    @property
    def steps(self) -> int:
        """Decisions it has learnt from in the world."""
        return 0 if self.model is None else self.model.num_timesteps

    def saved(self) -> Saved:
        arrays: Arrays = dict(self.state.to_arrays())
        if self.items is not None:
            arrays["items"] = self.items
        config = {**asdict(self.config), "reward_scale": self.reward_scale, "users": 0}
        if self.model is not None:
            config["users"] = self.model.n_envs
            arrays |= prefixed("model.", machine_arrays(self.model))
        return Saved(config=config, arrays=arrays, encoder=self.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        settings = dict(saved.config)
        scale, users = settings.pop("reward_scale"), settings.pop("users")
        agent = cls(PPOConfig(**settings), features_of(saved, serving), saved.encoder, scale)
        agent.items = saved.arrays.get("items")
        if users:
            agent.model = agent._rebuilt(under("model.", saved.arrays), agent.blueprint(users))
        return agent

    def blueprint(self, users: int) -> VecEnv:
        """The spaces it learns in, without users."""
        return Blueprint(observation_space(self.state), slate_space(self.serving), users)

    def _rebuilt(self, arrays: Arrays, bridge: VecEnv) -> PPO:
        """A model with these insides for another number of users."""
        with own_luck(self.config.seed):
            model = self._new(bridge)
        set_machine(model, arrays)
        return model

    def _new(self, bridge: VecEnv) -> PPO:
        c = self.config
        rollout = c.n_steps * bridge.num_envs
        return PPO(
            SlateActorCritic,
            bridge,
            gamma=c.gamma,
            gae_lambda=c.gae_lambda,
            n_steps=c.n_steps,
            batch_size=largest_divisor(rollout, at_most=c.batch_size),
            n_epochs=c.n_epochs,
            learning_rate=c.learning_rate,
            clip_range=c.clip_range,
            ent_coef=c.entropy,
            device="cpu",
            policy_kwargs={
                "items": torch.from_numpy(self.items),
                "state_size": self.state.size,
                "places": self.serving.slate_size,
                "net_arch": [c.hidden, c.hidden],
                "about": About(c, self.state, self.reward_scale),
            },
        )


@contextmanager
def own_luck(*seed: int) -> Iterator[None]:
    """Stable-Baselines3 draws from torch's and numpy's global streams: seed them inside, and leave
    the caller's as they were."""
    state = np.random.SeedSequence(seed).generate_state(2)
    before = np.random.get_state()  # noqa: NPY002
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(state[0]))
        np.random.seed(int(state[1]))  # noqa: NPY002
        try:
            yield
        finally:
            np.random.set_state(before)  # noqa: NPY002


def largest_divisor(n: int, *, at_most: int) -> int:
    """So that minibatches are of one size."""
    return next(d for d in range(min(n, at_most), 0, -1) if n % d == 0)


class _Heartbeat(BaseCallback):
    """Tells the caller how many decisions have been taken."""

    def __init__(self, on_steps: OnSteps | None) -> None:
        super().__init__()
        self.on_steps = on_steps

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if self.on_steps is not None:
            self.on_steps(self.num_timesteps)


def from_zip(file: str | Path) -> PPOAgent:
    """The agent whose `model.save(file)` wrote the zip. Reading it runs what is pickled in it."""
    data, parameters, _ = load_from_zip_file(str(file), device="cpu")
    about = (data or {}).get("policy_kwargs", {}).get("about")
    if not isinstance(about, About):
        raise ValueError(
            f"{file} was not trained by a Longplay agent: the state that its observations are made "
            "of is not known. Train through policies.build, then policies.save."
        )
    agent = PPOAgent(about.config, about.state, about.state.encoder, about.reward_scale)
    agent.items = data["policy_kwargs"]["items"].numpy() if data else None
    agent.model = agent._new(agent.blueprint(data["n_envs"] if data else 1))
    agent.model.set_parameters(parameters, device="cpu")
    return agent


def ppo(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    gamma: float = 0.99,
    learning_rate: float = 1e-3,
    entropy: float = 0.003,
    hidden: int = 64,
    epsilon: float = 0.0,
    seed: int = 0,
) -> PPOAgent:
    """An agent that has not learnt yet: call `learn(env, total_steps=, seed=)`."""
    config = PPOConfig(
        gamma=gamma,
        learning_rate=learning_rate,
        entropy=entropy,
        hidden=hidden,
        epsilon=epsilon,
        seed=seed,
    )
    return PPOAgent(config, state_features(serving, encoder), encoder)
