"""Epsilon-greedy over items' mean rewards. Sutton & Barto (2018), section 2.4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from offpolicy.log.dataset import LoggedDataset
from policies.bandits.counts import Counts
from policies.configured import configured, part
from policies.features import place_rewards
from policies.observation import Observation, Serving
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick
from policies.validation import FROM_0


@dataclass(frozen=True, slots=True, kw_only=True)
class EpsilonGreedyConfig(Exploration):
    """The exploration, and how strongly an item's mean is shrunk."""

    epsilon: float = 0.1
    prior: float = 5.0  # pseudo-observations at the mean of all items

    def __post_init__(self) -> None:
        Exploration.__post_init__(self)
        FROM_0.check("prior", self.prior)


@dataclass(slots=True)
class MeanReward:
    """The mean reward of a place that showed the item, shrunk to the mean of all items."""

    serving: Serving
    prior: float
    counts: Counts

    def scores(self, obs: Observation) -> Scores:
        return pick(self.counts.mean(self.prior), obs)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        self.counts = self.counts.plus(log.slate.ravel(), place_rewards(log).ravel())
        return {"items_shown": float((self.counts.shown > 0).sum())}

    def saved(self) -> Saved:
        return Saved(config={"prior": self.prior}, arrays=self.counts.to_arrays())

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(serving, saved.config["prior"], Counts.from_arrays(saved.arrays))


@configured(EpsilonGreedyConfig)
def epsilon_greedy(serving: Serving, config: EpsilonGreedyConfig) -> ScorePolicy:
    """The K items of highest mean reward; uniform slates for a share `epsilon` of the users."""
    score_model = MeanReward(serving, config.prior, Counts.empty(serving.n_items))
    return ScorePolicy(score_model, part(config, Exploration))
