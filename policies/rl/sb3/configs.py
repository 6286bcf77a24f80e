"""What the agents of Stable-Baselines3 can be told."""

from __future__ import annotations

from dataclasses import dataclass

from policies.validation import COUNT, DISCOUNT, FROM_0, FROM_1, POSITIVE, SHARE, whole

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
        SHARE.check("gae_lambda", self.gae_lambda)
        COUNT.check_all(self, "n_steps", "n_epochs")
        whole(2).check("batch_size", self.batch_size)  # advantages of one cannot be normalised
        POSITIVE.check("clip_range", self.clip_range)
        FROM_0.check_all(self, "entropy", "tune")
        whole(0).check("tracker", self.tracker)


@dataclass(frozen=True, slots=True, kw_only=True)
class A2CConfig(AgentConfig):
    """Mnih et al. (2016), with Adam and normalised advantages."""

    gae_lambda: float = 0.95
    n_steps: int = 8  # decisions of every user between updates
    entropy: float = 0.003
    tracker: int = 0  # size of a recurrent encoder trained end to end; 0 = none
    tune: float = 0.0  # share of the learning rate at which the encoder learns too; 0 = frozen

    def __post_init__(self) -> None:
        AgentConfig.__post_init__(self)
        SHARE.check("gae_lambda", self.gae_lambda)
        COUNT.check("n_steps", self.n_steps)
        FROM_0.check_all(self, "entropy", "tune")
        whole(0).check("tracker", self.tracker)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayConfig(AgentConfig):
    """What learners from a replay buffer share; the buffer lives as long as a call of `learn`."""

    batch_size: int = 512
    capacity: int = 100_000  # decisions kept
    updates: int = 1  # gradient steps for each step of all users

    def __post_init__(self) -> None:
        AgentConfig.__post_init__(self)
        COUNT.check_all(self, "batch_size", "capacity", "updates")

    def warm(self, users: int) -> int:
        """Decisions of a new agent that are by chance."""
        return 4 * users

    def first_update(self, users: int) -> int:
        """Decisions of a new agent that its first update needs."""
        return self.warm(users) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class DQNConfig(ReplayConfig):
    """Mnih et al. (2015)."""

    explore: float = 0.1  # chance that a step of all users is uniform while learning
    target_every: int = 100  # steps of all users between copies of the network

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
class ProtoConfig(ReplayConfig):
    """SAC: Haarnoja et al. (2018); TD3: Fujimoto et al. (2018)."""

    noise: float = 0.2  # of TD3's actions while learning; SAC's own is learned

    def __post_init__(self) -> None:
        ReplayConfig.__post_init__(self)
        FROM_0.check("noise", self.noise)
