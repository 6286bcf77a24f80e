"""UCB1 over items. Auer, Cesa-Bianchi & Fischer (2002); cascades: Kveton et al. (2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.bandits.counts import Counts
from policies.configured import configured, part
from policies.features import place_rewards
from policies.observation import Observation, Serving
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick
from policies.validation import FROM_0

F64 = NDArray[np.float64]
Feedback = Literal["places", "cascade"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UCB1Config(Exploration):
    """The bonus, and the exploration on top of it."""

    width: float = 2**0.5  # of the bonus; this is the paper's, for rewards of spread 1

    def __post_init__(self) -> None:
        Exploration.__post_init__(self)
        FROM_0.check("width", self.width)


@dataclass(frozen=True, slots=True, kw_only=True)
class CascadeUCB1Config(UCB1Config):
    """The same with the cascade paper's bonus."""

    width: float = 1.5**0.5


@dataclass(slots=True)
class UCB1:
    """mean + width s sqrt(ln t / n), s the standard deviation of a reward; unseen items first.

    In a cascade users look from the top and stop at what they take: a place is an observation, of
    taken or not, up to the one taken, and nothing is known of those below.
    """

    serving: Serving
    feedback: Feedback
    width: float
    counts: Counts

    def scores(self, obs: Observation) -> Scores:
        return pick(upper(self.counts, self.width), obs)

    def parts(self, obs: Observation) -> dict[str, Scores]:
        """The mean reward, and what is added for how little is known of the item."""
        mean = pick(self.counts.mean(0.0), obs)
        return {"mean reward": mean, "confidence bonus": self.scores(obs) - mean}

    def update(self, log: LoggedDataset) -> dict[str, float]:
        if self.feedback == "cascade":
            item, reward = looked_at(log)
        else:
            item, reward = log.slate, place_rewards(log)
        self.counts = self.counts.plus(item.ravel(), reward.ravel())
        return {"items_shown": float((self.counts.shown > 0).sum())}

    def saved(self) -> Saved:
        config = {"feedback": self.feedback, "width": self.width}
        return Saved(config=config, arrays=self.counts.to_arrays())

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        counts = Counts.from_arrays(saved.arrays)
        return cls(serving, saved.config["feedback"], saved.config["width"], counts)


def upper(counts: Counts, width: float) -> F64:
    """Upper confidence bounds (A,); an item never shown stands above all others, by one spread."""
    n, t, spread = counts.shown, max(counts.shown.sum(), 1.0), counts.spread()
    bound = counts.mean(0.0) + width * spread * np.sqrt(np.log(t) / np.maximum(n, 1.0))
    seen = n > 0
    top = bound[seen].max() if seen.any() else 0.0
    out: F64 = np.where(seen, bound, max(top + spread, np.nextafter(top, np.inf)))
    return out


def looked_at(log: LoggedDataset) -> tuple[NDArray[np.int32], F64]:
    """Items (N, K), -1 below the one taken, and 1 where it was taken, else 0."""
    if log.consumed is None:
        raise ValueError(
            "the log has no `consumed` column (the item taken on each row, -1 = none): how far "
            "users looked down the slate is unknown"
        )
    taken = (log.slate == log.consumed[:, None]) & (log.slate >= 0)
    below = np.cumsum(taken, axis=1) - taken > 0
    return np.where(below, np.int32(-1), log.slate).astype(np.int32), taken.astype(np.float64)


@configured(UCB1Config)
def ucb1(serving: Serving, config: UCB1Config) -> ScorePolicy:
    """The K highest upper confidence bounds on the reward of a place that shows the item."""
    bandit = UCB1(serving, "places", config.width, Counts.empty(serving.n_items))
    return ScorePolicy(bandit, part(config, Exploration))


@configured(CascadeUCB1Config)
def cascade_ucb1(serving: Serving, config: CascadeUCB1Config) -> ScorePolicy:
    """The K highest upper confidence bounds on being taken when looked at."""
    bandit = UCB1(serving, "cascade", config.width, Counts.empty(serving.n_items))
    return ScorePolicy(bandit, part(config, Exploration))
