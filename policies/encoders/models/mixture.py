"""A mixture of two encoders, for instance of a network, which generalises, and a chain, which
remembers. It learns nothing of its own but one share, which is chosen on validation queries.

Two pools of opinions (Stone 1961; Genest & Zidek 1986): the logarithmic one, P proportional to
P_first^share * P_second^(1 - share), and the linear one, share * P_first + (1 - share) * P_second.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from policies.encoders.base import F32, Encoder, check_histories, not_fitted
from policies.encoders.data.sequences import Sequences
from policies.encoders.data.splits import Heldout, sampled
from policies.encoders.evaluate import check_queries, gains, mid_ranks, score_blocks
from policies.encoders.registry import ENCODERS
from policies.encoders.serving.state import State
from policies.validation import SHARE

SHARES = np.linspace(0, 1, 21)
Pool = Literal["log", "linear"]
TINY = np.finfo(np.float32).tiny  # smallest probability in a logarithm


@dataclass(frozen=True, slots=True, kw_only=True)
class MixtureConfig:
    """Which two encoders, with what settings of each."""

    first: str = "filter"  # a name in ENCODERS
    second: str = "markov"
    share: float | None = None  # of the first; None: chosen on validation, a half without it
    pool: Pool = "log"  # "linear": probabilities are added, not multiplied
    first_settings: Mapping[str, Any] = field(default_factory=dict)
    second_settings: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def small(cls, *, length: int, seed: int, threads: int = 1) -> Self:
        """Both parts at their sizes for a simulator."""
        parts = [
            dataclasses.asdict(
                ENCODERS[name].small(length=length, seed=seed, threads=threads).config
            )
            for name in (cls().first, cls().second)
        ]
        return cls(first_settings=parts[0], second_settings=parts[1])

    def __post_init__(self) -> None:
        if self.pool not in get_args(Pool):
            raise ValueError(f"no pool {self.pool!r}; there are {', '.join(get_args(Pool))}")
        if self.share is not None:
            SHARE.check("share", self.share)
        for place in ("first", "second"):
            _check_part(place, getattr(self, place), getattr(self, f"{place}_settings"))


def _check_part(place: str, name: Any, settings: Any) -> None:
    """There is such an encoder, and it has these settings."""
    if not isinstance(name, str) or name not in ENCODERS:
        there = ", ".join(sorted(ENCODERS))
        raise ValueError(f"{place} is {name!r}: no such encoder; there are {there}")
    known = [one.name for one in dataclasses.fields(ENCODERS[name].config({}))]
    if not isinstance(settings, Mapping) or (set(settings) - set(known)):
        raise ValueError(
            f"{place}_settings are {settings!r}: give a mapping of settings that {name} has, "
            f"{', '.join(known)}"
        )


@dataclass(slots=True)
class MixtureState:
    """Both parts' serving states."""

    first: State
    second: State

    @property
    def vectors(self) -> F32:
        """(B, D): the parts' states side by side."""
        return np.concatenate([self.first.vectors, self.second.vectors], axis=1)

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.first.nbytes + self.second.nbytes

    def reset(self, rows: ArrayLike) -> None:
        """Users that start anew."""
        self.first.reset(rows)
        self.second.reset(rows)


class Mixture:
    """The mixture behind the encoder contract; `parts` are its two encoders."""

    name = "mixture"

    def __init__(self, config: MixtureConfig | None = None) -> None:
        self.config = config or MixtureConfig()
        self.share = 0.5 if self.config.share is None else float(self.config.share)
        self._take(
            ENCODERS[self.config.first](**self.config.first_settings),
            ENCODERS[self.config.second](**self.config.second_settings),
        )

    def fit(self, sequences: Sequences, *, valid: Heldout | None = None) -> Self:
        """Fit both parts, networks with early stopping on `valid`, mixtures with their share chosen
        on it; then as `join`."""
        fitted: list[Encoder] = []
        for part in self.parts:
            learn: Any = part.fit
            stops = valid is not None and (hasattr(part, "curve") or isinstance(part, Mixture))
            fitted.append(learn(sequences, valid=valid) if stops else learn(sequences))
        return self.join(*fitted, valid=valid)

    def join(self, first: Encoder, second: Encoder, *, valid: Heldout | None = None) -> Self:
        """Mix encoders that are fitted already; the share of the settings, or the best on `valid`.

        Raises:
            ValueError: other encoders than those of the settings, or of two catalogues.
        """
        wanted, given = (self.config.first, self.config.second), (first.name, second.name)
        if wanted != given:
            raise ValueError(f"a mixture of {wanted} cannot be made of {given}")
        if first.n_items != second.n_items:
            raise ValueError(
                f"{first.name} knows {first.n_items} items, {second.name} {second.n_items}: "
                "fit both on one catalogue"
            )
        self._take(first, second)
        if self.config.share is None and valid is not None:
            self.share = best_share(first, second, valid, self.config.pool)
        return self

    def scores(self, histories: ArrayLike) -> F32:
        """(B, H) -> (B, A) log-probabilities of the next item, up to a constant for each row."""
        ids = self._checked(histories)
        return self._pooled(self.first.scores(ids), self.second.scores(ids))

    def encode(self, histories: ArrayLike) -> F32:
        """(B, H) -> (B, D): the parts' states side by side."""
        ids = self._checked(histories)
        return np.concatenate([part.encode(ids) for part in self.parts], axis=1)

    @property
    def item_vectors(self) -> F32:
        """(A, D): the parts' item vectors side by side."""
        return np.concatenate([part.item_vectors for part in self.parts], axis=1)

    def initial_state(self, batch: int) -> MixtureState:
        """`batch` users with empty histories."""
        if not self.n_items:
            raise not_fitted(self.name)
        return MixtureState(*(part.initial_state(batch) for part in self.parts))

    def step(self, state: MixtureState, items: ArrayLike) -> MixtureState:
        """One more event for each user, -1 = none; the state is advanced in place."""
        state.first = self.first.step(state.first, items)
        state.second = self.second.step(state.second, items)
        return state

    def state_scores(self, state: MixtureState) -> F32:
        """(B, A): `scores` of the histories that the state has seen."""
        return self._pooled(
            self.first.state_scores(state.first), self.second.state_scores(state.second)
        )

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The share, and what both parts learnt."""
        arrays = {"share": np.array([self.share])}
        for prefix, part in zip(("first", "second"), self.parts, strict=True):
            arrays |= {f"{prefix}.{name}": one for name, one in part.to_arrays().items()}
        return arrays

    @classmethod
    def from_arrays(cls, config: MixtureConfig, arrays: dict[str, NDArray[Any]]) -> Self:
        """The encoder that `to_arrays` was called on. Raises ValueError where the share is none, or
        the parts know different catalogues."""
        made = cls(config)
        parts: list[Encoder] = []
        for prefix, part in zip(("first.", "second."), made.parts, strict=True):
            own = {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}
            parts.append(type(part).from_arrays(part.config, own))
        share = float(arrays["share"][0])
        if not 0 <= share <= 1:
            raise ValueError(f"the share of a mixture is {share}, not within 0..1")
        made.share = share
        return made.join(*parts)

    def _take(self, first: Encoder, second: Encoder) -> None:
        self.first, self.second, self.parts = first, second, (first, second)
        self.n_items = first.n_items
        self.state_size = first.state_size + second.state_size
        self.context_length = max(first.context_length, second.context_length)

    def _pooled(self, first: F32, second: F32) -> F32:
        return mixed(first, second, self.share, self.config.pool)

    def _checked(self, histories: ArrayLike) -> NDArray[np.int32]:
        if not self.n_items:
            raise not_fitted(self.name)
        return check_histories(histories, self.n_items)


def mixed(first: F32, second: F32, share: float, pool: Pool) -> F32:
    """(B, A) log of the pooled distribution, from the logarithms of two; all up to a constant for
    each row. With a share of 0 or 1 the scores of that part."""
    if share in (0, 1):
        return first if share == 1 else second
    if pool == "log":
        whole: F32 = np.float32(share) * first + np.float32(1 - share) * second
        return whole
    out = probabilities(first) * np.float32(share)
    out += probabilities(second) * np.float32(1 - share)
    log: F32 = np.log(np.maximum(out, TINY, out=out), out=out)
    return log


def probabilities(scores: F32) -> F32:
    """(B, A) softmax of each row."""
    out: F32 = np.exp(scores - scores.max(axis=1, keepdims=True))
    out /= out.sum(axis=1, keepdims=True)
    return out


def best_share(first: Encoder, second: Encoder, valid: Heldout, pool: Pool) -> float:
    """The share of `first`, in steps of .05, with the best NDCG@10 on `valid`; of equals the
    nearest to a half. At most 8,192 queries, drawn at random, are asked."""
    check_queries(valid)
    valid = sampled(valid)
    total = np.zeros(len(SHARES))
    for one, two in zip(score_blocks(first, valid), score_blocks(second, valid), strict=True):
        left, right = one.scores, two.scores
        if pool == "linear":  # logarithms, which ranks do not need, are left out
            left, right = probabilities(left), probabilities(right)
        for at, share in enumerate(SHARES.astype(np.float32)):
            rank = mid_ranks(share * left + (1 - share) * right, one.target, one.seen)
            total[at] += gains(rank, 10)["NDCG@10"].sum()
    best = SHARES[total >= total.max() * (1 - 1e-12)]
    return round(float(min(best, key=lambda share: math.fabs(share - 0.5))), 2)
