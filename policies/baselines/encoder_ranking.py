"""A sequence encoder's own ranking, greedy or drawn."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from offpolicy.log import LoggedDataset
from policies.base import Observation, Serving
from policies.configured import configured, part
from policies.consumption import consumed_sequences, joined
from policies.encoders import ENCODERS
from policies.encoders.base import Encoder
from policies.encoders.data.sequences import Sequences
from policies.encoders.serving.follow import Follower
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

    follow: Follower | None = None  # the states of users who come again in one batch

    def scores(self, obs: Observation) -> Scores:
        require(obs, "consumed")
        some = getattr(self.encoder, "scores_at", None)
        if (
            some is None
            or obs.candidates is None
            or 2 * obs.candidates.shape[1] > self.serving.n_items
        ):
            return pick(self.encoder.scores(obs.history_items), obs)
        encode = self.encoder.encode if self.follow is None else self.follow
        offered: Scores = some(encode(obs.history_items), np.maximum(obs.candidates, 0))
        return offered

    def followed(self) -> Self:
        """The same for users who come again in one batch: an event costs one encoder step."""
        return replace(self, follow=Follower(self.encoder))

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
