"""Linear Thompson sampling. Agrawal & Goyal (2013). The draws are fixed between updates."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.bandits.arms import ArmsConfig, LinearArms, linear_arms
from policies.bandits.draws import Draws
from policies.bandits.linear import means
from policies.configured import configured, part
from policies.encoders.base import Encoder
from policies.learning import learning_log, observed
from policies.observation import Observation, Serving
from policies.one_user import recommend
from policies.saved import Saved
from policies.slates.distributions import SlateDistribution, explore, masked
from policies.validation import COUNT, FROM_0, SHARE, whole

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThompsonConfig:
    """How the posterior is drawn from."""

    width: float = 1.0  # of the posterior, in standard errors
    draws: int = 32  # S; memory and time grow with it, probabilities are multiples of 1 / S
    epsilon: float = 0.02  # share of uniform slates: what no draw shows has a propensity, too
    seed: int = 0

    def __post_init__(self) -> None:
        FROM_0.check("width", self.width)
        COUNT.check("draws", self.draws)
        SHARE.check("epsilon", self.epsilon)
        whole(0).check("seed", self.seed)


@dataclass(slots=True)
class LinTS:
    """The best slate under one of S draws of all regressions' weights."""

    config: ThompsonConfig
    arms: LinearArms
    theta: F64  # (S, M, d)
    updates: int = 0

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.arms.serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        obs = observed(obs, self.serving)
        obs = obs.rows(np.arange(len(obs)))  # a copy: draws are made from it later
        x, arms, shape = self.arms.contexts(obs)
        places = self.serving.slate_size

        def scores(theta: F64) -> F64:
            return masked(means(x, arms, theta).reshape(shape), obs.eligible)

        theta = self.theta  # an update makes new ones
        mean = scores(self.arms.regressions.theta)
        drawn = Draws(lambda: map(scores, theta), mean, places)
        return explore(drawn, mean, places, self.config.epsilon)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        metrics = self.arms.learn(learning_log(log, self.serving))
        self.updates += 1
        self.theta = draw(self.arms, self.config, self.updates)
        return metrics

    def saved(self) -> Saved:
        return self.arms.saved({**asdict(self.config), "updates": self.updates})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        arms = LinearArms.from_saved(saved, serving)
        config = ThompsonConfig(**{k: saved.config[k] for k in ThompsonConfig.__slots__})
        updates = saved.config["updates"]
        return cls(config, arms, draw(arms, config, updates), updates)


def draw(arms: LinearArms, config: ThompsonConfig, updates: int) -> F64:
    """The S draws after so many updates: a function of the seed and that number."""
    rng = np.random.default_rng([config.seed, updates])
    return arms.regressions.draws(config.draws, config.width * arms.unit, rng)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinTSConfig(ArmsConfig, ThompsonConfig):
    """The posterior's draws, and the regressions that it is of."""

    def __post_init__(self) -> None:
        ThompsonConfig.__post_init__(self)
        ArmsConfig.__post_init__(self)


@configured(LinTSConfig)
def lints(serving: Serving, config: LinTSConfig, encoder: Encoder | None) -> LinTS:
    """The best slate under one of S draws of the weights from their posteriors."""
    arms = linear_arms(serving, config, encoder)
    thompson = part(config, ThompsonConfig)
    return LinTS(thompson, arms, draw(arms, thompson, 0))
