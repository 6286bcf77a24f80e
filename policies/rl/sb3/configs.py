"""Settings of the agents of Stable-Baselines3: a builder takes the fields of its config."""

from __future__ import annotations

from dataclasses import dataclass

from policies.validation import (
    COUNT,
    DISCOUNT,
    FROM_0,
    FROM_1,
    POSITIVE,
    SHARE,
    TEMPERATURE,
    whole,
)

LEAST = 0.1  # share of the learning rate that is left at the end


def decayed(steps: int, over: int) -> float:
    """Share of the learning rate after so many decisions: linear down to a tenth, then constant."""
    return max(LEAST, 1 - (1 - LEAST) * steps / over)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """Settings of every algorithm. Defaults suit a few hundred parallel users."""

    gamma: float = 0.99  # per decision
    learning_rate: float = 1e-3
    decay_steps: int | None = None  # decisions over which the learning rate falls; None: it stays
    windows: tuple[int, ...] = ()  # means of the last so many items' vectors in the state
    hidden: int = 64
    epsilon: float = 0.0  # share of uniform slates when serving; the propensity counts it
    seed: int = 0

    def __post_init__(self) -> None:
        DISCOUNT.check("gamma", self.gamma)
        SHARE.check("epsilon", self.epsilon)
        POSITIVE.check("learning_rate", self.learning_rate)
        COUNT.check("hidden", self.hidden)
        whole(0).check("seed", self.seed)
        if self.decay_steps is not None:
            FROM_1.check("decay_steps", self.decay_steps)

    def first_update(self, users: int) -> int:
        """Decisions of a new agent that its first update needs."""
        return 1


@dataclass(frozen=True, slots=True, kw_only=True)
class A2CConfig(AgentConfig):
    """Mnih et al. (2016), with Adam and normalised advantages.

    A frozen encoder's state is part of the agent's, and its scores of the candidates are added to
    the actor's through a learned gate. While it learns it draws its slates at temperature 1.
    """

    gae_lambda: float = 0.95
    n_steps: int = 8  # decisions of every user between updates
    temperature: float | None = 1.0  # of the draw when serving; None = the best K surely
    entropy: float = 0.003
    end_to_end: int = 0  # size of a GRU over the history that learns from reward alone; 0 = none
    fine_tune: float = 0.0  # share of the learning rate at which the encoder learns; 0 = frozen
    sharpness: float = 8.0  # spread of the logits of a prior that shows its best surely
    burn_in: int = 0  # decisions over which the critic learns alone, before the actor moves

    def __post_init__(self) -> None:
        AgentConfig.__post_init__(self)
        SHARE.check("gae_lambda", self.gae_lambda)
        if self.temperature is not None:
            TEMPERATURE.check("temperature", self.temperature)
        COUNT.check("n_steps", self.n_steps)
        FROM_0.check_all(self, "entropy", "fine_tune")
        POSITIVE.check("sharpness", self.sharpness)
        whole(0).check_all(self, "end_to_end", "burn_in")


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOConfig(A2CConfig):
    """Schulman et al. (2017)."""

    n_steps: int = 32  # decisions of every user between updates
    batch_size: int = 2048  # at most; the largest divisor of n_steps x users is taken
    n_epochs: int = 4
    clip_range: float = 0.2

    def __post_init__(self) -> None:
        A2CConfig.__post_init__(self)
        COUNT.check("n_epochs", self.n_epochs)
        whole(2).check("batch_size", self.batch_size)  # advantages of one cannot be normalised
        POSITIVE.check("clip_range", self.clip_range)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayConfig(AgentConfig):
    """Settings of learners from a replay buffer, which lives as long as a call of `learn`.

    SAC takes these alone: Haarnoja et al. (2018).
    """

    batch_size: int = 512
    capacity: int = 100_000  # decisions kept
    updates: int = 1  # gradient steps for each step of all users

    def __post_init__(self) -> None:
        AgentConfig.__post_init__(self)
        COUNT.check_all(self, "batch_size", "capacity", "updates")

    def warm(self, users: int) -> int:
        """Uniform decisions of a new agent before its first update."""
        return 4 * users

    def first_update(self, users: int) -> int:
        """Decisions of a new agent that its first update needs."""
        return self.warm(users) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DQNConfig(ReplayConfig):
    """Mnih et al. (2015)."""

    explore: float = 0.1  # probability that a step of all users is uniform while learning
    target_every: int = 100  # steps of all users between copies to the target network

    def __post_init__(self) -> None:
        ReplayConfig.__post_init__(self)
        SHARE.check("explore", self.explore)
        COUNT.check("target_every", self.target_every)


@dataclass(frozen=True, slots=True, kw_only=True)
class QRDQNConfig(DQNConfig):
    """Dabney et al. (2018)."""

    quantiles: int = 20

    def __post_init__(self) -> None:
        DQNConfig.__post_init__(self)
        COUNT.check("quantiles", self.quantiles)


@dataclass(frozen=True, slots=True, kw_only=True)
class TD3Config(ReplayConfig):
    """Fujimoto et al. (2018)."""

    noise: float = 0.2  # deviation of the normal noise on actions while learning

    def __post_init__(self) -> None:
        ReplayConfig.__post_init__(self)
        FROM_0.check("noise", self.noise)
