"""UCB1 over items. Auer, Cesa-Bianchi & Fischer (2002); cascades: Kveton et al. (2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.bandits.counts import Counts
from policies.features import place_rewards
from policies.observation import Observation, Serving
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick
from policies.validation import FROM_0

F64 = NDArray[np.float64]
Feedback = Literal["places", "cascade"]


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

    def update(self, log: LoggedDataset) -> dict[str, float]:
        if self.feedback == "cascade":
            item, reward = looked_at(log)
        else:
            item, reward = log.slate, place_rewards(log)
        self.counts = self.counts.plus(item.ravel(), reward.ravel())
        return {"items_shown": float((self.counts.shown > 0).sum())}

    def saved(self) -> Saved:
        config = {"feedback": self.feedback, "width": self.width}
        return Saved(config=config, arrays=dict(self.counts.to_arrays()))

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        counts = Counts(**saved.arrays)
        return cls(serving, saved.config["feedback"], saved.config["width"], counts)


def upper(counts: Counts, width: float) -> F64:
    """Upper confidence bounds (A,); an item never shown stands above all others."""
    n, t = counts.shown, max(counts.shown.sum(), 1.0)
    bound = counts.mean(0.0) + width * counts.spread() * np.sqrt(np.log(t) / np.maximum(n, 1.0))
    seen = n > 0
    top = bound[seen].max() if seen.any() else 0.0
    out: F64 = np.where(seen, bound, top + 1.0)
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


def ucb1(
    serving: Serving,
    *,
    width: float = 2**0.5,
    epsilon: float = 0.0,
    temperature: float | None = None,
) -> ScorePolicy:
    """The K highest bounds; width: sqrt(2) is that of the paper, for rewards of spread 1."""
    return _bandit(serving, "places", width, Exploration(temperature=temperature, epsilon=epsilon))


def cascade_ucb1(
    serving: Serving,
    *,
    width: float = 1.5**0.5,
    epsilon: float = 0.0,
    temperature: float | None = None,
) -> ScorePolicy:
    """The K most attractive items by their bounds; width: sqrt(1.5) is that of the paper."""
    return _bandit(serving, "cascade", width, Exploration(temperature=temperature, epsilon=epsilon))


def _bandit(serving: Serving, feedback: Feedback, width: float, rule: Exploration) -> ScorePolicy:
    FROM_0.check("width", width)
    return ScorePolicy(UCB1(serving, feedback, width, Counts.empty(serving.n_items)), rule)
