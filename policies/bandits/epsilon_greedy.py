"""Epsilon-greedy over items' mean rewards. Sutton & Barto (2018), section 2.4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from offpolicy.log.dataset import LoggedDataset
from policies.bandits.counts import Counts
from policies.features import place_rewards
from policies.observation import Observation, Serving
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick
from policies.validation import FROM_0


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
        return Saved(config={"prior": self.prior}, arrays=dict(self.counts.to_arrays()))

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(serving, saved.config["prior"], Counts(**saved.arrays))


def epsilon_greedy(
    serving: Serving,
    *,
    epsilon: float = 0.1,
    prior: float = 5.0,
    temperature: float | None = None,
) -> ScorePolicy:
    """The K items of highest mean reward; uniform slates for a share `epsilon` of the users."""
    FROM_0.check("prior", prior)
    score_model = MeanReward(serving, prior, Counts.empty(serving.n_items))
    return ScorePolicy(score_model, Exploration(temperature=temperature, epsilon=epsilon))
