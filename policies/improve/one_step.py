"""One step of policy improvement: what an item pays now and what it does to the rest of a session.

The values are those of the policies that served: Monte-Carlo returns of their own log, and no value
is bootstrapped from another. Brandfonbrener, Whitney, Ranganath & Bruna (2021).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.configured import configured, part
from policies.encoders.base import Encoder
from policies.improve.evidence import Evidence
from policies.improve.kernels import Kernels
from policies.improve.values import Values, shown_best
from policies.observation import Observation, Serving, observation_of_log
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class OneStepConfig(Exploration):
    """How scores, in units of the reward, become a distribution over slates."""


@dataclass(slots=True)
class OneStep:
    """Sums over all logs so far, and the values that they give."""

    kernels: Kernels
    evidence: Evidence
    values: Values = field(init=False)

    def __post_init__(self) -> None:
        self.values = Values.of(self.evidence, self.kernels)

    @property
    def serving(self) -> Serving:
        return self.kernels.serving

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Add a log. Its sessions may be cut, and several policies may have served it
        (`log.logger`): each has levels of its own."""
        obs = observation_of_log(log, self.serving)
        self.evidence = self.evidence.plus_log(log, obs, self.kernels)
        self.values = Values.of(self.evidence, self.kernels)
        return {
            "decisions": self.evidence.decisions,
            "spread_now": self.values.now.spread**0.5,
            "spread_rest": self.values.rest.spread**0.5,
        }

    def scores(self, obs: Observation) -> Scores:
        return shown_best(self.values, self.values.rest, obs, self.kernels)

    def saved(self) -> Saved:
        config = {"loggers": list(self.evidence.loggers)}
        return Saved(config=config, arrays=self.evidence.to_arrays(), encoder=self.kernels.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        kernels = Kernels.of(serving, saved.encoder)
        return cls(kernels, Evidence.from_arrays(saved.arrays, saved.config["loggers"]))


@configured(OneStepConfig)
def one_step(serving: Serving, config: OneStepConfig, encoder: Encoder | None) -> ScorePolicy:
    """Slates by what their items pay and do to the rest of the session under the logging policy;
    temperature in units of the reward. Logs add up: two updates teach what one of both does."""
    kernels = Kernels.of(serving, encoder)
    return ScorePolicy(OneStep(kernels, Evidence.none(kernels)), part(config, Exploration))
