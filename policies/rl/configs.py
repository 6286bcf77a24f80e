"""What the agents of Stable-Baselines3 can be told."""

from __future__ import annotations

from dataclasses import dataclass

LEAST = 0.1  # share of the step size that is left at the end


def falling(steps: int, over: int) -> float:
    """Share of the step size after so many decisions: a line down to a tenth, and a tenth on."""
    return max(LEAST, 1 - (1 - LEAST) * steps / over)


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """What all algorithms are told. Defaults suit a few hundred parallel users."""

    gamma: float = 0.99  # per decision
    learning_rate: float = 1e-3
    decay_steps: int | None = None  # decisions over which the step size falls; None: it stays
    hidden: int = 64
    epsilon: float = 0.0  # share of uniform slates when serving; the propensity counts it
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 <= self.gamma <= 1:
            raise ValueError(f"gamma is {self.gamma}; a discount per decision lies in 0..1")
        if self.decay_steps is not None and self.decay_steps < 1:
            raise ValueError(f"decay_steps is {self.decay_steps}; at least 1, or None")


@dataclass(frozen=True, slots=True, kw_only=True)
class PPOConfig(AgentConfig):
    """Schulman et al. (2017)."""

    gae_lambda: float = 0.95
    n_steps: int = 32  # decisions of every user between updates
    batch_size: int = 2048  # at most; the largest divisor of n_steps x users is taken
    n_epochs: int = 4
    clip_range: float = 0.2
    entropy: float = 0.003
    tracker: int = 0  # size of a recurrent encoder trained end to end; 0 = none
    tune: float = 0.0  # share of the learning rate at which the encoder learns too; 0 = frozen

    def __post_init__(self) -> None:
        AgentConfig.__post_init__(self)
        if not 0 <= self.gae_lambda <= 1:
            raise ValueError(f"gae_lambda is {self.gae_lambda}; it lies in 0..1")


@dataclass(frozen=True, slots=True, kw_only=True)
class A2CConfig(AgentConfig):
    """Mnih et al. (2016), with Adam and normalised advantages."""

    gae_lambda: float = 0.95
    n_steps: int = 8  # decisions of every user between updates
    entropy: float = 0.003
    tracker: int = 0  # size of a recurrent encoder trained end to end; 0 = none
    tune: float = 0.0  # share of the learning rate at which the encoder learns too; 0 = frozen


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayConfig(AgentConfig):
    """What learners from a replay buffer share; the buffer lives as long as a call of `learn`."""

    batch_size: int = 512
    capacity: int = 100_000  # decisions kept
    updates: int = 1  # gradient steps for each step of all users


@dataclass(frozen=True, slots=True, kw_only=True)
class DQNConfig(ReplayConfig):
    """Mnih et al. (2015)."""

    explore: float = 0.1  # chance that a step of all users is uniform while learning
    target_every: int = 100  # steps of all users between copies of the network


@dataclass(frozen=True, slots=True, kw_only=True)
class QRDQNConfig(DQNConfig):
    """Dabney et al. (2018)."""

    quantiles: int = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtoConfig(ReplayConfig):
    """SAC: Haarnoja et al. (2018); TD3: Fujimoto et al. (2018)."""

    noise: float = 0.2  # of TD3's actions while learning; SAC's own is learned
