"""Best mean response first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log import LoggedDataset
from policies.base import Observation, Serving
from policies.configured import configured, part
from policies.consumption import consumed_items, consumption
from policies.moments import Moments, shrunk
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick
from policies.validation import POSITIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class TopRatedConfig(Exploration):
    """Which response is averaged, and how strongly an item's mean is shrunk."""

    response: str = "quality"  # of the environment's response_names
    prior: float = 5.0  # pseudo-consumptions at the mean of all items

    def __post_init__(self) -> None:
        Exploration.__post_init__(self)
        POSITIVE.check("prior", self.prior)


@dataclass(slots=True)
class TopRated:
    """Mean of one response over an item's consumers, shrunk to the mean of all items.

    Scores are in standard deviations over the catalogue, so temperatures compare.
    """

    serving: Serving
    response: int  # column of the responses
    prior: float
    total: NDArray[np.float64]  # (A,) sum of the response
    counts: NDArray[np.float64]  # (A,) consumptions

    def scores(self, obs: Observation) -> Scores:
        mean = shrunk(self.total[:, None], self.counts, self.prior)
        scale = Moments.of(mean)
        return pick(((mean - scale.mean) / scale.unit())[:, 0], obs)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        consumed = consumed_items(log)
        taken = consumed >= 0
        if log.responses is None:
            raise ValueError(
                "the log has no `responses`: top_rated learns from them, so log what was observed "
                "of each item taken"
            )
        names = self.serving.response_names
        if log.responses.shape[1] != len(names):
            raise ValueError(
                f"the log has {log.responses.shape[1]} responses and the policy reads "
                f"{', '.join(names)}: log these, in this order"
            )
        rating = log.responses[taken, self.response]
        self.counts = self.counts + consumption(log)
        self.total = self.total + np.bincount(consumed[taken], rating, minlength=log.n_items)
        return {"items_rated": float((self.counts > 0).sum())}

    def saved(self) -> Saved:
        arrays = {"total": self.total, "counts": self.counts}
        return Saved(config={"response": self.response, "prior": self.prior}, arrays=arrays)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        response, prior = saved.config["response"], saved.config["prior"]
        return cls(serving, response, prior, saved.arrays["total"], saved.arrays["counts"])


@configured(TopRatedConfig)
def top_rated(serving: Serving, config: TopRatedConfig) -> ScorePolicy:
    """Best mean response first (the "Bayesian average"); temperature in standard deviations."""
    if config.response not in serving.response_names:
        raise ValueError(
            f"the environment shows no response {config.response!r}; it shows "
            f"{', '.join(serving.response_names)}"
        )
    zeros = np.zeros(serving.n_items)
    column = serving.response_names.index(config.response)
    score_model = TopRated(serving, column, config.prior, zeros, zeros.copy())
    return ScorePolicy(score_model, part(config, Exploration))
