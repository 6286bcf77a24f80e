"""Rows that every table needs: uniform, popularity, top rated, an encoder's own ranking."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.encoders.base import Encoder
from policies.encoders.data.sequences import Sequences
from policies.features import same_catalogue
from policies.observation import Observation, Serving, candidate_items, require
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick
from policies.validation import POSITIVE, SHARE


@dataclass(frozen=True, slots=True)
class Uniform:
    """Every candidate alike."""

    serving: Serving

    def scores(self, obs: Observation) -> Scores:
        return np.zeros(candidate_items(obs, self.serving.n_items).shape)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return {}

    def saved(self) -> Saved:
        return Saved()

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(serving)


@dataclass(slots=True)
class Popularity:
    """Log of how often an item was consumed: of sequences at birth, of every log after that."""

    serving: Serving
    counts: NDArray[np.float64]  # (A,)
    keep: float = 1.0  # share of the counts that a new log leaves; 1 = of all time

    def scores(self, obs: Observation) -> Scores:
        return pick(np.log1p(self.counts), obs)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        if log.consumed is not None:
            self.counts = self.keep * self.counts + consumption(log)
        return {"items_seen": float((self.counts > 0).sum())}

    def saved(self) -> Saved:
        return Saved(config={"keep": self.keep}, arrays={"counts": self.counts})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(serving, saved.arrays["counts"], **saved.config)


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
        consumed = _consumed(log)
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


def uniform(serving: Serving) -> ScorePolicy:
    """All slates of the candidates alike."""
    return ScorePolicy(Uniform(serving), Exploration(temperature=1.0))


def popularity(
    serving: Serving,
    *,
    sequences: Sequences | None = None,
    keep: float = 1.0,
    temperature: float | None = None,
    epsilon: float = 0.0,
) -> ScorePolicy:
    """Most consumed first; `sequences` are the counts it starts from.

    keep: share of the counts that a new log leaves; 1 = popular of all time, 0 = in the last log.
    """
    SHARE.check("keep", keep)
    counts = np.zeros(serving.n_items)
    if sequences is not None:
        counts += np.bincount(sequences.items, minlength=serving.n_items)
    return ScorePolicy(
        Popularity(serving, counts, keep), Exploration(temperature=temperature, epsilon=epsilon)
    )


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


def consumption(log: LoggedDataset) -> NDArray[np.float64]:
    """How often each item was consumed in a log, (A,)."""
    consumed = _consumed(log)
    return np.bincount(consumed[consumed >= 0], minlength=log.n_items).astype(np.float64)


def consumed_sequences(
    log: LoggedDataset, *, item_features: NDArray[np.float32] | None = None
) -> Sequences:
    """What each session of a log consumed, in order: the supervised encoder's food.

    item_features: (A, F) what is known of the items, as `Serving.item_features`; a neural encoder
    begins its item vectors there, which it needs where a log is short for its catalogue.
    """
    consumed = _consumed(log)
    taken = consumed >= 0
    order = np.argsort(log.sessions[taken], kind="stable")
    items = consumed[taken][order]
    lengths = np.bincount(log.sessions[taken], minlength=log.n_sessions)
    lists = np.split(items, np.cumsum(lengths)[:-1])
    food = Sequences.from_lists([part for part in lists if len(part)], n_items=log.n_items)
    return food if item_features is None else replace(food, item_features=item_features)


def _consumed(log: LoggedDataset) -> NDArray[np.int32]:
    if log.consumed is None:
        raise ValueError(
            "the log has no `consumed` column (the item taken on each row, -1 = none): what users "
            "chose cannot be learned from it"
        )
    return log.consumed


def _ranking(serving: Serving, encoder: Encoder | None) -> EncoderRanking:
    if encoder is not None:
        same_catalogue(serving, encoder)
        return EncoderRanking(serving, encoder)
    from policies.encoders import ENCODERS

    empty = Sequences.from_lists([], n_items=serving.n_items)
    return EncoderRanking(serving, ENCODERS["markov"]().fit(empty), learns=True)
