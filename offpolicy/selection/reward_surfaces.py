"""Expected rewards that a log does not rule out, richer than the reward model that estimators use.

Both begin with that model's fit, of which they keep what it found. "trees" adds boosted trees of
what it left over, "cells" a level for each item in each cell of the states, drawn from its
posterior: where the log cannot see a level, that is as far from 0 as the log leaves open.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.estimators.terms import F64, I64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.models.reward_model import RewardData

Surface = Literal["trees", "cells"]
SURFACES: tuple[Surface, ...] = ("trees", "cells")
BLOCK = 1 << 20  # numbers that stand in memory together
BINS = 20  # of predicted rewards, each with residuals of its own
CELL = 20  # rows of an item in a cell, at least, on average
SPLITS = 5  # most halvings of the states
CODES = 250  # items that boosted trees take as categories


class Noise(NamedTuple):
    """How single rewards differ from what is expected."""

    low: float
    high: float
    two: bool  # every reward is low or high
    edges: F64  # (B - 1,) of the predictions' bins
    start: I64  # (B + 1,) first residual of each bin
    residual: F64  # (N,) ordered by bin

    def clip(self, mean: F64) -> F64:
        """Expected rewards inside the range of rewards, where that has two values."""
        return np.clip(mean, self.low, self.high) if self.two else mean

    def draw(self, mean: F64, rng: np.random.Generator) -> F64:
        """(N,) rewards: low or high, or with the residual of a row of like prediction."""
        if self.two:
            chance = (mean - self.low) / max(self.high - self.low, 1e-300)
            return np.where(rng.random(len(mean)) < chance, self.high, self.low)
        b = np.searchsorted(self.edges, mean)
        at = self.start[b] + (rng.random(len(mean)) * np.diff(self.start)[b]).astype(np.int64)
        return np.asarray(mean + self.residual[at])


class Fitted(NamedTuple):
    """The reward model's fit to a log of one item a row, and what it leaves over."""

    data: RewardData
    item: I64  # (N,) logged
    left_over: F64  # (N,) reward minus the prediction of a model that did not see the unit
    dense: F64  # (D,) the folds' mean coefficients
    items: F64  # (A, C + 1) slopes, and the item's own level last
    noise: Noise

    def base(self, rows: I64, ids: I64) -> F64:
        """(n, C) what the model expects of the items `ids` (n, C) in the states of some rows."""
        state = self.data.dense[rows, : self.data.crossed]
        out = np.repeat((self.data.dense[rows] @ self.dense)[:, None], ids.shape[1], axis=1)
        step = max(BLOCK // (ids.shape[1] * self.items.shape[1]), 1)
        for at in range(0, len(rows), step):
            block = slice(at, at + step)
            theta = self.items[np.maximum(ids[block], 0)]
            out[block] += np.einsum("ncd,nd->nc", theta[:, :, :-1], state[block]) + theta[:, :, -1]
        return out


def fitted(log: LoggedDataset, item_features: ArrayLike | None, seed: int) -> Fitted:
    """The default reward model, of the rewards of single decisions."""
    data = RewardData(log, item_features=item_features, seed=seed)
    models = data.fit.fit(log.reward)
    left_over = log.reward - data.fit.predict(models, data.logged)
    state = data.dense[:, : data.crossed]
    slopes = np.mean([m.slopes if m.slopes.size else np.zeros((log.n_items, state.shape[1]))
                      for m in models], axis=0)  # fmt: skip
    level = np.mean([m.item for m in models], axis=0)
    if data.table is not None:
        level = level + data.table @ np.mean([m.z for m in models], axis=0)
        crossed = data.table @ np.mean([m.cross for m in models], axis=0)
        slopes = slopes + crossed[:, : data.crossed]
    dense = np.asarray(np.mean([m.dense for m in models], axis=0))
    noise = noise_of(log.reward, log.reward - left_over)
    items = np.column_stack([slopes, level])
    return Fitted(data, log.slate[:, 0].astype(np.int64), left_over, dense, items, noise)


def expected_rewards(
    fit: Fitted, kind: Surface, rows: I64, ids: I64, rng: np.random.Generator
) -> F64:
    """(n, C) expected rewards of the items `ids` in the states of some rows."""
    base = fit.base(rows, ids)
    add = _trees(fit, rows, ids, base, rng) if kind == "trees" else _cells(fit, rows, ids, rng)
    return fit.noise.clip(base + add)


def _trees(fit: Fitted, rows: I64, ids: I64, base: F64, rng: np.random.Generator) -> F64:
    """Boosted trees of the residuals on state, item and the model's own prediction."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    coded = len(fit.items) <= CODES
    state = fit.data.dense[:, 1:]

    def features(of: I64, item: I64, predicted: F64) -> F64:
        columns = [state[of], predicted[:, None], fit.items[item, -1:]]
        return np.concatenate([item[:, None].astype(float), *columns][0 if coded else 1 :], axis=1)

    every = np.arange(len(fit.item))
    item = np.maximum(fit.item, 0)
    own = fit.base(every, item[:, None])[:, 0]
    trees = HistGradientBoostingRegressor(
        max_iter=100, max_leaf_nodes=15, early_stopping=True, n_iter_no_change=5,
        categorical_features=[0] if coded else None, random_state=int(rng.integers(1 << 31)),
    ).fit(features(every, item, own), fit.left_over)  # fmt: skip
    out = np.empty_like(base)
    for c in range(ids.shape[1]):
        out[:, c] = trees.predict(features(rows, np.maximum(ids[:, c], 0), base[:, c]))
    return out


def _cells(fit: Fitted, rows: I64, ids: I64, rng: np.random.Generator) -> F64:
    """A level of each item in each cell, which random halvings of the states make."""
    n_items, state = len(fit.items), fit.data.dense[:, 1:]
    seen = max(len(np.unique(fit.item)), 1)
    splits = int(np.clip(np.log2(max(len(fit.item) / (CELL * seen), 1)), 1, SPLITS))
    sides = state @ rng.normal(size=(state.shape[1], splits))
    cell = (sides > np.median(sides, axis=0)) @ (1 << np.arange(splits))
    own = cell * n_items + np.maximum(fit.item, 0)
    size = np.bincount(own, minlength=n_items << splits)
    total = np.bincount(own, fit.left_over, n_items << splits)
    square = np.bincount(own, fit.left_over**2, n_items << splits)
    pairs = max(float((size * (size - 1.0)).sum()), 1.0)
    product = total**2 - square  # of different rows: their noise has mean 0
    found = max(float(product.sum()), 0.0)
    open_to = (found + 2 * float(np.sqrt((product**2).sum()))) / pairs
    noise = max(float((fit.left_over**2).mean()), 1e-300)
    prior = min(open_to, noise)
    spread = prior * noise / (noise + size * prior)
    level = spread * total / noise + np.sqrt(spread) * rng.normal(size=len(size))
    return np.asarray(level[cell[rows][:, None] * n_items + np.maximum(ids, 0)])


def noise_of(reward: F64, predicted: F64) -> Noise:
    """Rewards of two values, or residuals by bins of the prediction."""
    low, high = float(reward.min()), float(reward.max())
    two = bool(((reward == low) | (reward == high)).all())
    edges = np.unique(np.quantile(predicted, np.arange(1, BINS) / BINS, method="inverted_cdf"))
    edges = edges[edges < predicted.max()]  # a prediction is in each bin: its edge, or the largest
    b: NDArray[np.int64] = np.searchsorted(edges, predicted)
    size = np.bincount(b, minlength=len(edges) + 1)
    order = np.argsort(b, kind="stable")
    rest = (reward - predicted)[order]
    start = np.concatenate([[0], np.cumsum(size)])
    centre = np.add.reduceat(rest, start[:-1]) / size
    return Noise(low, high, two, edges, start, rest - np.repeat(centre, size))
