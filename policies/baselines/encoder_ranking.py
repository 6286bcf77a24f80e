"""A sequence encoder's own ranking, greedy or drawn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from offpolicy.log import LoggedDataset
from policies.base import Observation, Serving
from policies.consumption import consumed_sequences
from policies.encoders import ENCODERS
from policies.encoders.base import Encoder
from policies.encoders.data.sequences import Sequences
from policies.features import same_catalogue
from policies.observation import require
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick


@dataclass(slots=True)
class EncoderRanking:
    """An encoder's next-item scores: log-probabilities, so temperature 1 is its own prediction."""

    serving: Serving
    encoder: Encoder
    learns: bool = field(default=False)  # True: no encoder was given, fit this one on each log

    def scores(self, obs: Observation) -> Scores:
        require(obs, "consumed")
        return pick(self.encoder.scores(obs.history_items), obs)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        if not self.learns:
            return {}
        self.encoder = self.encoder.fit(consumed_sequences(log))
        return {"sequences": float(log.n_sessions)}

    def saved(self) -> Saved:
        return Saved(config={"learns": self.learns}, encoder=self.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        assert saved.encoder is not None
        return cls(serving, saved.encoder, **saved.config)


def greedy_encoder(
    serving: Serving, *, encoder: Encoder | None = None, epsilon: float = 0.0
) -> ScorePolicy:
    """The encoder's K best; where none is given a skip-Markov chain learns from each log."""
    return ScorePolicy(_ranking(serving, encoder), Exploration(epsilon=epsilon))


def softmax_encoder(
    serving: Serving,
    *,
    encoder: Encoder | None = None,
    temperature: float = 1.0,
    epsilon: float = 0.0,
) -> ScorePolicy:
    """Plackett-Luce over the encoder's log-probabilities; temperature 1 = its own prediction."""
    return ScorePolicy(
        _ranking(serving, encoder), Exploration(temperature=temperature, epsilon=epsilon)
    )


def _ranking(serving: Serving, encoder: Encoder | None) -> EncoderRanking:
    if encoder is not None:
        same_catalogue(serving, encoder)
        return EncoderRanking(serving, encoder)

    empty = Sequences.from_lists([], n_items=serving.n_items)
    return EncoderRanking(serving, ENCODERS["markov"]().fit(empty), learns=True)
