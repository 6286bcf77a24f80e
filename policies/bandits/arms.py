"""What an arm of a linear bandit is: an item with weights of its own, or a product of features.

Disjoint arms know nothing of each other (Li et al. 2010, algorithm 1) and want many observations of
every item; shared weights see an item only as its vector, and speak of items never shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.bandits.linear import Regressions
from policies.bandits.scatter import Scatter, best_map, between
from policies.encoders.base import Encoder
from policies.features import StateFeatures, features_of, item_table, place_rewards, state_features
from policies.moments import Moments
from policies.observation import (
    Observation,
    Serving,
    candidate_items,
    observation_of_log,
)
from policies.saved import Saved, prefixed, under
from policies.validation import COUNT, POSITIVE, check_known_items

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Kind = Literal["disjoint", "shared"]


@dataclass(frozen=True, kw_only=True)
class ArmsConfig:
    """What the weights belong to."""

    ridge: float = 10.0  # prior precision of every weight
    arms: Kind = "disjoint"  # weights of every item's own, or shared ones over products
    rank: int = 7  # leading directions of state and of items that shared weights use

    def __post_init__(self) -> None:
        if self.arms not in ("disjoint", "shared"):
            raise ValueError(f"arms are 'disjoint' or 'shared', not {self.arms!r}")
        POSITIVE.check("ridge", self.ridge)
        COUNT.check("rank", self.rank)


class Contexts(NamedTuple):
    """Rows of features, and which of the M regressions each is for."""

    x: F64  # (R, d)
    arms: I32 | None  # (R, J); None = all M
    shape: tuple[int, int]  # (B, C) that R x J values fill, in order


@dataclass(slots=True)
class LinearArms:
    """State and items as the rows of ridge regressions."""

    kind: Kind
    state: StateFeatures
    regressions: Regressions
    axes: F64  # (D, P) directions of the state that meet the items; (D, 0) for disjoint arms
    items: F64  # (A, Q + 1) a constant, then the items' leading directions
    fitted: bool = False
    ridge: float | None = None  # None: of a folder of version 0.1, whose scales stay as they are
    rewards: Moments = field(default_factory=lambda: Moments.none(1))  # of places, in all logs
    scatter: Scatter | None = None  # of the states in all logs, where weights are shared

    def __post_init__(self) -> None:
        """Raises ValueError where sizes are not those of the state and the catalogue."""
        n_items, state = self.serving.n_items, self.state.size
        if self.kind == "disjoint":
            self.regressions.check_size(n_items, state + 1)
            return
        if self.items.ndim != 2 or len(self.items) != n_items:
            raise ValueError(f"items is of shape {self.items.shape} for {n_items} items")
        if self.axes.ndim != 2 or len(self.axes) != state:
            raise ValueError(f"axes is of shape {self.axes.shape} for a state of {state} numbers")
        self.regressions.check_size(1, (self.axes.shape[1] + 1) * self.items.shape[1])

    @property
    def serving(self) -> Serving:
        return self.state.serving

    def contexts(self, obs: Observation) -> Contexts:
        """Every candidate of every row; ValueError for an item outside the catalogue."""
        check_known_items(obs, self.serving.n_items)  # compiled loops check no bounds
        x, columns = self.state(obs), candidate_items(obs, self.serving.n_items)
        if self.kind == "disjoint":
            return Contexts(with_constant(x), obs.candidates, columns.shape)
        joint = self.products(np.repeat(x, columns.shape[1], axis=0), columns.ravel())
        return Contexts(joint, np.zeros((len(joint), 1), np.int32), columns.shape)

    def learn(self, log: LoggedDataset) -> dict[str, float]:
        """Every shown place is one observation of its item; the reward is the place's own."""
        reward = place_rewards(log)
        if self.ridge is not None:
            self.rewards = self.rewards.plus(Moments.of(reward[log.slate >= 0][:, None]))
        return self.add(log, log.slate, reward)

    @property
    def unit(self) -> float:
        """What a standard error is measured in: the deviation of a place's reward; 1 where no
        rewards were learnt from."""
        return float(self.rewards.unit()[0])

    def add(self, log: LoggedDataset, item: I32, reward: F64) -> dict[str, float]:
        """Observations (N, K) of items, -1 = none, and what each brought, in the log's states."""
        obs = observation_of_log(log, self.serving)
        if not self.fitted or self.ridge is not None:
            self._rescale(obs)
        x = self.state(obs)
        if self.kind == "disjoint":
            self.regressions.add(with_constant(x), item, reward)
        else:
            joint = self.products(np.repeat(x, item.shape[1], axis=0), item.ravel())
            none = np.where(item.ravel() >= 0, 0, -1).astype(np.int32)[:, None]
            self.regressions.add(joint, none, reward.reshape(-1, 1))
        return {"observations": float((item >= 0).sum())}

    def _rescale(self, obs: Observation) -> None:
        """Take the scales and directions of a log's states into account: what was learnt is put
        into the features that there would have been."""
        old, new, before = self.state, self.state.fitted(obs), self.scatter
        to = between(old, new) if self.fitted else None
        self.state, self.fitted = new, True
        if self.kind == "disjoint":
            if to is not None and self.ridge is not None:
                self.regressions = self.regressions.changed(to, self.ridge)
            return
        now = Scatter.of(new(obs).astype(np.float64))
        if to is None or before is None or self.ridge is None:
            self.scatter, self.axes = now, now.directions(self.axes.shape[1])
            return
        moved = before.through(to)
        self.scatter = moved.plus(now)
        axes = self.scatter.directions(self.axes.shape[1])
        left, residual = best_map(before, self.axes, to, axes)
        every = np.kron(left, np.eye(self.items.shape[1])).astype(np.float64)
        self.regressions = self.regressions.changed(every, self.ridge, residual)
        self.axes = axes

    def products(self, x: NDArray[np.float32], item: I32) -> F64:
        """(1, state directions) x (1, item directions) for R states (R, D) and items (R,)."""
        left = np.concatenate([np.ones((len(x), 1)), x @ self.axes], axis=1)  # (R, P + 1)
        right = self.items[np.maximum(item, 0)]  # (R, Q + 1)
        return (left[:, :, None] * right[:, None, :]).reshape(len(x), -1)

    def saved(self, config: dict[str, Any]) -> Saved:
        """With the bandit's own settings."""
        arrays = self.state.to_arrays() | self.regressions.to_arrays()
        arrays |= {"axes": self.axes, "items": self.items}
        arrays |= prefixed("rewards.", self.rewards.to_arrays())
        if self.scatter is not None:
            arrays |= prefixed("scatter.", self.scatter._asdict())
        own = {"kind": self.kind, "fitted": self.fitted, "ridge": self.ridge}
        return Saved(config=config | own, arrays=arrays, encoder=self.state.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        arrays, config = saved.arrays, saved.config
        return cls(
            config["kind"],
            features_of(saved, serving),
            Regressions.from_arrays(arrays),
            arrays["axes"],
            arrays["items"],
            config["fitted"],
            config.get("ridge"),
            Moments(**kept) if (kept := under("rewards.", arrays)) else Moments.none(1),
            Scatter(**states) if (states := under("scatter.", arrays)) else None,
        )


def linear_arms(serving: Serving, config: ArmsConfig, encoder: Encoder | None) -> LinearArms:
    """Arms that have seen nothing."""
    state = state_features(serving, encoder)
    if config.arms == "disjoint":
        own = Regressions.empty(serving.n_items, state.size + 1, config.ridge)
        none = np.zeros((state.size, 0)), np.zeros((0, 1))
        return LinearArms(config.arms, state, own, *none, ridge=config.ridge)
    table = item_table(serving, encoder).astype(np.float64)
    lead = table @ directions(table, config.rank)
    lead /= np.maximum(lead.std(axis=0), 1e-9)
    items = np.concatenate([np.ones((len(table), 1)), lead], axis=1)
    axes = np.eye(state.size)[:, : min(config.rank, state.size)]
    joint = Regressions.empty(1, (axes.shape[1] + 1) * items.shape[1], config.ridge)
    return LinearArms(config.arms, state, joint, axes, items, ridge=config.ridge)


def directions(rows: F64, rank: int) -> F64:
    """(D, P) leading principal directions of rows (N, D), each signed so that it sums to >= 0."""
    return Scatter.of(rows).directions(rank)


def with_constant(x: NDArray[np.float32]) -> F64:
    """(B, D) -> (B, D + 1) doubles whose last column is 1."""
    return np.concatenate([x, np.ones((len(x), 1))], axis=1, dtype=np.float64)
