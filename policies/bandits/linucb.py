"""LinUCB. Li, Chu, Langford & Schapire (2010), algorithm 1; shared weights: Chu et al. (2011)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from offpolicy.log.dataset import LoggedDataset
from policies.bandits.arms import Kind, LinearArms, linear_arms
from policies.encoders.base import Encoder
from policies.observation import Observation, Serving
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores
from policies.validation import FROM_0


@dataclass(slots=True)
class LinUCB:
    """theta_a.x + alpha sqrt(x' A_a^-1 x), whatever is counted as x and as an arm."""

    arms: LinearArms
    alpha: float

    @property
    def serving(self) -> Serving:
        return self.arms.serving

    def scores(self, obs: Observation) -> Scores:
        asked = self.arms.ask(obs)
        return self.arms.regressions.bounds(asked.x, asked.arms, self.alpha).reshape(asked.shape)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return self.arms.learn(log)

    def saved(self) -> Saved:
        return self.arms.saved({"alpha": self.alpha})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(LinearArms.from_saved(saved, serving), saved.config["alpha"])


def linucb(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    alpha: float = 0.5,
    ridge: float = 10.0,
    arms: Kind = "disjoint",
    rank: int = 7,
    temperature: float | None = None,
    epsilon: float = 0.0,
) -> ScorePolicy:
    """alpha: width of the bonus in standard errors; ridge: prior precision of every weight.

    arms: weights of every item's own, or shared ones over products of `rank` leading directions.
    """
    FROM_0.check("alpha", alpha)
    bandit = LinUCB(linear_arms(serving, encoder, arms, ridge=ridge, rank=rank), alpha)
    return ScorePolicy(bandit, Exploration(temperature=temperature, epsilon=epsilon))
