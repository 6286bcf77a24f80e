"""Best mean response first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log import LoggedDataset
from policies.base import Observation, Serving
from policies.consumption import consumed_items, consumption
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick
from policies.validation import POSITIVE


@dataclass(slots=True)
class TopRated:
    """Mean of one response over an item's consumers, shrunk to the mean of all items.

    Scores are in standard deviations over the catalogue, so temperatures compare.
    """

    serving: Serving
    response: int  # column of the responses
    prior: float  # pseudo-consumptions at the mean of all items
    total: NDArray[np.float64]  # (A,) sum of the response
    counts: NDArray[np.float64]  # (A,) consumptions

    def scores(self, obs: Observation) -> Scores:
        everyone = self.total.sum() / max(self.counts.sum(), 1)
        mean = (self.total + self.prior * everyone) / (self.counts + self.prior)
        spread = mean.std()
        return pick((mean - mean.mean()) / (spread if spread > 0 else 1.0), obs)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        consumed = consumed_items(log)
        taken = consumed >= 0
        if log.responses is None:
            raise ValueError(
                "the log has no `responses`: top_rated needs what users felt about items"
            )
        felt = log.responses[taken, self.response]
        self.counts = self.counts + consumption(log)
        self.total = self.total + np.bincount(consumed[taken], felt, minlength=log.n_items)
        return {"items_rated": float((self.counts > 0).sum())}

    def saved(self) -> Saved:
        arrays = {"total": self.total, "counts": self.counts}
        return Saved(config={"response": self.response, "prior": self.prior}, arrays=arrays)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        response, prior = saved.config["response"], saved.config["prior"]
        return cls(serving, response, prior, saved.arrays["total"], saved.arrays["counts"])


def top_rated(
    serving: Serving,
    *,
    response: str = "quality",
    prior: float = 5.0,
    temperature: float | None = None,
    epsilon: float = 0.0,
) -> ScorePolicy:
    """Best mean response first (the "Bayesian average"); temperature in standard deviations."""
    if response not in serving.response_names:
        raise ValueError(
            f"the environment shows no response {response!r}; it shows "
            f"{', '.join(serving.response_names)}"
        )
    POSITIVE.check("prior", prior)
    none = np.zeros(serving.n_items)
    column = serving.response_names.index(response)
    score_model = TopRated(serving, column, prior, none, none.copy())
    return ScorePolicy(score_model, Exploration(temperature=temperature, epsilon=epsilon))
