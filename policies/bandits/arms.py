"""What an arm of a linear bandit is: an item with weights of its own, or a product of features.

Disjoint arms know nothing of each other (Li et al. 2010, algorithm 1) and want many observations of
every item; shared weights see an item only as its vector, and speak of items never shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.bandits.linear import Regressions
from policies.encoders.base import Encoder
from policies.features import StateFeatures, features_of, item_table, place_rewards, state_features
from policies.observation import (
    Observation,
    Serving,
    candidate_items,
    check_known_items,
    observation_of_log,
)
from policies.saved import Saved
from policies.validation import COUNT, POSITIVE

F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
Kind = Literal["disjoint", "shared"]


class Asked(NamedTuple):
    """Rows of a regression and which of the M regressions each is asked of."""

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

    @property
    def serving(self) -> Serving:
        return self.state.serving

    def ask(self, obs: Observation) -> Asked:
        """Every candidate of every row; ValueError for an item outside the catalogue."""
        check_known_items(obs, self.serving.n_items)  # compiled loops would read stray memory
        x, columns = self.state(obs), candidate_items(obs, self.serving.n_items)
        if self.kind == "disjoint":
            return Asked(with_constant(x), obs.candidates, columns.shape)
        joint = self.products(np.repeat(x, columns.shape[1], axis=0), columns.ravel())
        return Asked(joint, np.zeros((len(joint), 1), np.int32), columns.shape)

    def learn(self, log: LoggedDataset) -> dict[str, float]:
        """Every shown place is one observation of its item; the reward is the place's own."""
        return self.see(log, log.slate, place_rewards(log))

    def see(self, log: LoggedDataset, item: I32, reward: F64) -> dict[str, float]:
        """Observations (N, K) of items, -1 = none, and what each brought, in the log's states."""
        obs = observation_of_log(log, self.serving)
        if not self.fitted:  # scales and directions are fixed by the first log
            self.state, self.fitted = self.state.fitted(obs), True
            if self.kind == "shared":
                self.axes = directions(self.state(obs).astype(np.float64), self.axes.shape[1])
        x = self.state(obs)
        if self.kind == "disjoint":
            self.regressions.add(with_constant(x), item, reward)
        else:
            joint = self.products(np.repeat(x, item.shape[1], axis=0), item.ravel())
            none = np.where(item.ravel() >= 0, 0, -1).astype(np.int32)[:, None]
            self.regressions.add(joint, none, reward.reshape(-1, 1))
        return {"observations": float((item >= 0).sum())}

    def products(self, x: NDArray[np.float32], item: I32) -> F64:
        """(1, state directions) x (1, item directions) for R states (R, D) and items (R,)."""
        left = np.concatenate([np.ones((len(x), 1)), x @ self.axes], axis=1)  # (R, P + 1)
        right = self.items[np.maximum(item, 0)]  # (R, Q + 1)
        return (left[:, :, None] * right[:, None, :]).reshape(len(x), -1)

    def saved(self, config: dict[str, Any]) -> Saved:
        """With what the bandit itself was told."""
        arrays = self.state.to_arrays() | self.regressions.to_arrays()
        arrays |= {"axes": self.axes, "items": self.items}
        own = {"kind": self.kind, "fitted": self.fitted}
        return Saved(config=config | own, arrays=arrays, encoder=self.state.encoder)

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        arrays, config = saved.arrays, saved.config
        return cls(
            config["kind"],
            features_of(saved, serving),
            Regressions.of_arrays(arrays),
            arrays["axes"],
            arrays["items"],
            config["fitted"],
        )


def linear_arms(
    serving: Serving, encoder: Encoder | None, kind: Kind, *, ridge: float, rank: int
) -> LinearArms:
    """Arms that have seen nothing; rank: directions of state and of items that shared arms use."""
    if kind not in ("disjoint", "shared"):
        raise ValueError(f"arms are 'disjoint' or 'shared', not {kind!r}")
    POSITIVE.check("ridge", ridge)
    COUNT.check("rank", rank)
    state = state_features(serving, encoder)
    if kind == "disjoint":
        one = Regressions.empty(serving.n_items, state.size + 1, ridge)
        return LinearArms(kind, state, one, np.zeros((state.size, 0)), np.zeros((0, 1)))
    table = item_table(serving, encoder).astype(np.float64)
    lead = table @ directions(table, rank)
    lead /= np.maximum(lead.std(axis=0), 1e-9)
    items = np.concatenate([np.ones((len(table), 1)), lead], axis=1)
    axes = np.eye(state.size)[:, : min(rank, state.size)]
    one = Regressions.empty(1, (axes.shape[1] + 1) * items.shape[1], ridge)
    return LinearArms(kind, state, one, axes, items)


def directions(rows: F64, rank: int) -> F64:
    """(D, P) leading principal directions of rows (N, D), each signed so that it sums to >= 0."""
    centred = rows - rows.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    lead = vectors[:, ::-1][:, : min(rank, rows.shape[1])]
    signed: F64 = lead * np.where(lead.sum(axis=0) < 0, -1.0, 1.0)
    return signed


def with_constant(x: NDArray[np.float32]) -> F64:
    """(B, D) -> (B, D + 1) doubles whose last column is 1."""
    return np.concatenate([x, np.ones((len(x), 1))], axis=1, dtype=np.float64)
