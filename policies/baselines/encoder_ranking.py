"""A sequence encoder's own ranking, greedy or drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from offpolicy.log import LoggedDataset
from policies.base import Observation, Serving
from policies.configured import configured, part
from policies.consumption import consumed_sequences, joined
from policies.encoders import ENCODERS
from policies.encoders.base import Encoder
from policies.encoders.data.sequences import Sequences
from policies.features import same_catalogue
from policies.observation import require
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, Softmax, pick

SEEN = ("items", "offsets")  # of the sequences, as they are saved


@dataclass(slots=True)
class EncoderRanking:
    """An encoder's next-item scores: log-probabilities, so temperature 1 is its own prediction."""

    serving: Serving
    encoder: Encoder
    learns: bool = False  # True: no encoder was given, fit this one on all logs so far
    seen: Sequences | None = None  # what their sessions consumed

    def scores(self, obs: Observation) -> Scores:
        require(obs, "consumed")
        return pick(self.encoder.scores(obs.history_items), obs)

    def parts(self, obs: Observation) -> dict[str, Scores]:
        """All of a score is the encoder's."""
        return {"encoder": self.scores(obs)}

    def update(self, log: LoggedDataset) -> dict[str, float]:
        if not self.learns:
            return {}
        new = consumed_sequences(log)
        self.seen = new if self.seen is None else joined(self.seen, new)
        self.encoder = self.encoder.fit(self.seen)
        return {"sequences": float(len(self.seen))}

    def saved(self) -> Saved:
        arrays = {} if self.seen is None else {k: getattr(self.seen, k) for k in SEEN}
        return Saved(config={"learns": self.learns}, arrays=arrays, encoder=self.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        assert saved.encoder is not None
        arrays = {name: saved.arrays[name] for name in SEEN if name in saved.arrays}
        seen = Sequences(n_items=serving.n_items, **arrays) if arrays else None
        return cls(serving, saved.encoder, seen=seen, **saved.config)


def _policy(serving: Serving, config: Exploration, encoder: Encoder | None) -> ScorePolicy:
    """The encoder's K best, or, with a temperature, Plackett-Luce over its log-probabilities; where
    no encoder is given a skip-Markov chain learns from all logs together."""
    if encoder is None:
        empty = Sequences.from_lists([], n_items=serving.n_items)
        ranking = EncoderRanking(serving, ENCODERS["markov"]().fit(empty), learns=True)
    else:
        same_catalogue(serving, encoder)
        ranking = EncoderRanking(serving, encoder)
    return ScorePolicy(ranking, part(config, Exploration))


greedy_encoder = configured(Exploration)(_policy)
softmax_encoder = configured(Softmax)(_policy)
