"""A policy made of scores: greedy or softmax over them, with exploration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import ClassVar, Protocol, Self
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.learning import learning_log, observed
from policies.observation import Observation, Serving
from policies.one_user import recommend
from policies.saved import Saved
from policies.slates.distributions import PlackettLuce, SlateDistribution, TopK, explore, masked
from policies.slates.parts import UNIFORM, Parts, parts_of_scores
from policies.validation import SHARE, TEMPERATURE

Scores = NDArray[np.floating]


class ScoreModel(Protocol):
    """Gives every candidate a number, higher = better; the usual way to add a policy.

    One whose scores are sums may have a method `parts(obs)`, a dict of (B, C) by name that add up
    to `scores(obs)`: explanations show them.
    """

    @property
    def serving(self) -> Serving: ...

    def scores(self, obs: Observation) -> Scores:
        """(B, C) over the candidates, or (B, A) without a candidate generator."""

    def update(self, log: LoggedDataset) -> dict[str, float]:
        """Learn from logged decisions; return scalars worth plotting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exploration:
    """How scores become a distribution over slates."""

    temperature: float | None = None  # of the Plackett-Luce draw; None = the best K surely
    epsilon: float = 0.0  # share of uniformly drawn slates

    def __post_init__(self) -> None:
        if self.temperature is not None:
            TEMPERATURE.check("temperature", self.temperature)
        SHARE.check("epsilon", self.epsilon)


@dataclass(frozen=True, slots=True, kw_only=True)
class Softmax(Exploration):
    """Exploration that draws by default."""

    temperature: float | None = 1.0


@dataclass(frozen=True, slots=True)
class ScorePolicy:
    """The policy of a score model and an exploration rule."""

    score_model: ScoreModel
    exploration: Exploration
    checks_observations: ClassVar[bool] = True

    recommend = recommend

    @property
    def serving(self) -> Serving:
        return self.score_model.serving

    @property
    def scorer(self) -> ScoreModel:
        """The name that version 0.1 gave to `score_model`."""
        warn("ScorePolicy.scorer is called score_model now", DeprecationWarning, stacklevel=2)
        return self.score_model

    def distribution(self, obs: Observation) -> SlateDistribution:
        obs = observed(obs, self.serving)
        scores = masked(self.score_model.scores(obs), obs.eligible)
        places, t = self.serving.slate_size, self.exploration.temperature
        best: SlateDistribution = (
            TopK(scores, places) if t is None else PlackettLuce(scores / t, places)
        )
        return explore(best, scores, places, self.exploration.epsilon)

    def followed(self) -> Self:
        """The policy for users who come again in one batch, see `policies.base.followed`."""
        model: Callable[[], ScoreModel] | None = getattr(self.score_model, "followed", None)
        return self if model is None else replace(self, score_model=model())

    def score_parts(self, obs: Observation) -> list[Parts]:
        """The score model's parts over the temperature, then the uniform slates."""
        t = self.exploration.temperature
        of_scores = parts_of_scores(self.score_model, obs)
        logits = {name: value / (1.0 if t is None else t) for name, value in of_scores.items()}
        uniform = [Parts(UNIFORM, None, {})] if self.exploration.epsilon else []
        return [Parts("policy", t, logits), *uniform]

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return self.score_model.update(learning_log(log, self.serving))

    def saved(self) -> Saved:
        return Saved(config=asdict(self.exploration), inner=self.score_model)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(saved.inner, Exploration(**saved.config))


def pick(scores: Scores, obs: Observation) -> Scores:
    """Of scores over the catalogue (B, A) or (A,) those of the candidates (B, C)."""
    if obs.candidates is None:
        return np.broadcast_to(scores, (len(obs), scores.shape[-1]))
    ids = np.maximum(obs.candidates, 0)
    return scores[ids] if scores.ndim == 1 else np.take_along_axis(scores, ids, axis=1)
