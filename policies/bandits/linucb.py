"""LinUCB. Li, Chu, Langford & Schapire (2010), algorithm 1; shared weights: Chu et al. (2011)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from offpolicy.log.dataset import LoggedDataset
from policies.bandits.arms import ArmsConfig, LinearArms, linear_arms
from policies.bandits.linear import means
from policies.configured import configured, part
from policies.encoders.base import Encoder
from policies.observation import Observation, Serving
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores
from policies.validation import FROM_0


@dataclass(frozen=True, slots=True, kw_only=True)
class LinUCBConfig(ArmsConfig, Exploration):
    """The regressions, the bonus and the exploration on top of it."""

    alpha: float = 2.36  # width of the bonus in standard errors: 1 + sqrt(ln(2 / d) / 2), d = .05

    def __post_init__(self) -> None:
        Exploration.__post_init__(self)
        ArmsConfig.__post_init__(self)
        FROM_0.check("alpha", self.alpha)


@dataclass(slots=True)
class LinUCB:
    """theta_a.x + alpha s sqrt(x' A_a^-1 x), whatever is counted as x and as an arm.

    s is the standard deviation of a place's reward, so that the order of items does not depend on
    the unit of rewards; the paper's are of spread 1.
    """

    arms: LinearArms
    alpha: float

    @property
    def serving(self) -> Serving:
        return self.arms.serving

    def scores(self, obs: Observation) -> Scores:
        x, arms, shape = self.arms.contexts(obs)
        width = self.alpha * self.arms.unit
        return self.arms.regressions.bounds(x, arms, width).reshape(shape)

    def parts(self, obs: Observation) -> dict[str, Scores]:
        """The predicted reward, and what is added for how little is known of the item."""
        x, arms, shape = self.arms.contexts(obs)
        mean = means(x, arms, self.arms.regressions.theta).reshape(shape)
        return {"reward model": mean, "confidence bonus": self.scores(obs) - mean}

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return self.arms.learn(log)

    def saved(self) -> Saved:
        return self.arms.saved({"alpha": self.alpha})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(LinearArms.from_saved(saved, serving), saved.config["alpha"])


@configured(LinUCBConfig)
def linucb(serving: Serving, config: LinUCBConfig, encoder: Encoder | None) -> ScorePolicy:
    """The K highest upper confidence bounds on an item's reward in the user's state."""
    bandit = LinUCB(linear_arms(serving, config, encoder), config.alpha)
    return ScorePolicy(bandit, part(config, Exploration))
