"""Cross-fitted ridge regression on the features of `features.py`: factored once, solved cheaply."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64, I64
from offpolicy.models.features import Slates
from offpolicy.models.item_slopes import ItemSlopes, product

BLOCK = 1 << 14  # rows whose interactions stand in memory together


class Coefficients(NamedTuple):
    """One linear model."""

    dense: F64  # (D,)
    z: F64  # (F,)
    cross: F64  # (F, D)
    item: F64  # (A,)
    slopes: F64  # (A, C) of each item on the first C columns of the state; (0, 0) without


class CrossFit:
    """Ridge models that never saw the rows they speak about. Memory: folds x P^2 numbers, and those
    of `ItemSlopes`."""

    def __init__(
        self,
        dense: F64,
        shown: Slates,
        fold: I64,
        *,
        ridge: float,
        weight: F64 | None = None,
        crossed: int = 0,
    ) -> None:
        """dense (N, D), shown slates of N rows, fold (N,) 0..K-1 of each row's unit, weight (N,) of
        each row's squared error; each item has slopes of its own on the first `crossed` columns of
        dense."""
        from scipy.linalg import cho_factor

        self.dense, self.shown, self.fold, self.weight = dense, shown, fold, weight
        self.folds = int(fold.max()) + 1
        self.cross = shown.z.shape[1] > 0
        grams = [self._gram(np.flatnonzero(fold == k)) for k in range(self.folds)]
        total = sum(grams[1:], grams[0].copy())
        self.state = dense[:, :crossed]
        self._slopes = (
            ItemSlopes(self.state, shown, fold, least=ridge, weight=weight) if crossed else None
        )
        self._factors = []
        for gram in grams:
            left = total - gram
            left[np.diag_indices_from(left)] += ridge
            left[0, 0] -= ridge * (1 - 1e-6)  # the constant goes free
            self._factors.append(cho_factor(left, overwrite_a=True, check_finite=False))

    def fit(self, target: F64) -> list[Coefficients]:
        """Targets: (N,) the same for all models, or (folds, N) each its own."""
        each = np.broadcast_to(target, (self.folds, len(self.fold)))
        return [self._with_slopes(k, self._solve(k, each[k]), each[k]) for k in range(self.folds)]

    def predict(self, models: list[Coefficients], slates: Slates) -> F64:
        """(N,): each row by the model that did not see its unit."""
        out = np.empty(len(self.fold))
        for k, model in enumerate(models):
            rows = np.flatnonzero(self.fold == k)
            out[rows] = self.apply(model, slates, rows)
        return out

    def apply(self, model: Coefficients, slates: Slates, rows: NDArray[np.int64] | slice) -> F64:
        """One model's predictions for some rows."""
        d = self.dense[rows]
        value = d @ model.dense + slates.counts[rows] @ model.item
        if self.cross:
            z = slates.z[rows]
            value += z @ model.z + ((z @ model.cross) * d).sum(1)
        if model.slopes.any():
            value += product(slates.counts[rows], model.slopes, self.state[rows])
        return np.asarray(value)

    def _with_slopes(self, k: int, shared: Coefficients, target: F64) -> Coefficients:
        if self._slopes is None or not self._slopes.useful:
            return shared
        left_over = target - self.apply(shared, self.shown, slice(None))
        return shared._replace(slopes=self._slopes.fit(k, left_over))

    def _solve(self, k: int, target: F64) -> Coefficients:
        from scipy.linalg import cho_solve

        y = np.where(self.fold == k, 0.0, target)  # the fold's own rows stay out
        y = y if self.weight is None else y * self.weight
        d, z, counts = self.dense, self.shown.z, self.shown.counts
        parts = [d.T @ y]
        if self.cross:
            parts += [z.T @ y, (z.T @ (d * y[:, None])).ravel()]
        parts.append(counts.T @ y)
        theta = cho_solve(self._factors[k], np.concatenate(parts), check_finite=False)
        n_d, n_f = d.shape[1], z.shape[1]
        a, b, c = n_d, n_d + n_f, n_d + n_f + (n_f * n_d if self.cross else 0)
        cross = theta[b:c].reshape(n_f, n_d) if self.cross else np.zeros((0, n_d))
        return Coefficients(theta[:a], theta[a:b], cross, theta[c:], np.zeros((0, 0)))

    def _gram(self, rows: NDArray[np.int64]) -> F64:
        """X'X of some rows, a block at a time."""
        n_d, n_f, n_a = self.dense.shape[1], self.shown.z.shape[1], self.shown.counts.shape[1]
        n_left = n_d + n_f + (n_f * n_d if self.cross else 0)
        gram = np.zeros((n_left + n_a, n_left + n_a))
        for at in range(0, len(rows), BLOCK):
            block = rows[at : at + BLOCK]
            left = self._left(block)
            right = left if self.weight is None else left * self.weight[block, None]
            gram[:n_left, :n_left] += left.T @ right
            gram[n_left:, :n_left] += self.shown.counts[block].T @ right
        counts = self.shown.counts[rows]
        scaled = counts if self.weight is None else counts * self.weight[rows, None]
        gram[n_left:, n_left:] = (counts.T @ scaled).toarray()
        gram[:n_left, n_left:] = gram[n_left:, :n_left].T
        return gram

    def _left(self, rows: NDArray[np.int64]) -> F64:
        d = self.dense[rows]
        if not self.cross:
            return np.asarray(d)
        z = self.shown.z[rows]
        return np.concatenate([d, z, (z[:, :, None] * d[:, None, :]).reshape(len(d), -1)], axis=1)
