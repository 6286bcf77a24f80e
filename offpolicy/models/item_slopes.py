"""Coefficients of each item on the state, shrunk to what a model shared by all items says.

What that model leaves over is e = sum over shown items a of x . delta_a, with delta_a ~ N(0, tau^2)
and noise of variance sigma^2: single rows are predicted best by ridge regressions of penalty
sigma^2 / tau^2, in rows. tau^2 comes from products of different folds' X'e: noise of independent
units has no mean there, so that a log which shows no differences between items gets none.
Empirical Bayes: Efron & Morris (1973). A value is a mean over many rows, in which noise averages
out and shrinkage does not, so it takes a smaller penalty: Goldstein & Messer (1992).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64, I64
from offpolicy.models.features import Slates

if TYPE_CHECKING:
    from scipy.sparse import csr_array

LARGEST = 1 << 26  # numbers in the Gram matrices; a wider state is not crossed with the items
PLUG_IN = 0.25  # share of the penalty that predicts single rows best
SWEEPS, CLOSE = 30, 1e-4  # of conjugate gradients, where slates couple their items


class ItemSlopes:
    """Per-item ridge regressions on the state (N, C), factored by item and fold.

    Memory: folds x A x C^2 numbers, and N x C while they are fitted.
    """

    def __init__(
        self, state: F64, shown: Slates, fold: I64, *, least: float, weight: F64 | None = None
    ) -> None:
        """`least` is the smallest penalty in rows, weight (N,) that of each row's squared error."""
        self.state, self.counts, self.fold, self.least = state, shown.counts, fold, least
        self.weight = np.ones(len(fold)) if weight is None else weight
        self.folds, self.items = int(fold.max()) + 1, shown.counts.shape[1]
        entries = np.diff(self.counts.indptr)
        self.alone = bool((entries <= 1).all())  # slates of one item: items do not share rows
        n_columns = state.shape[1]
        fits = self.folds * self.items * n_columns**2 <= LARGEST
        self.useful = n_columns > 1 and self.items > 1 and self.folds > 2 and fits
        if self.useful:
            self._grams = self._by_cell(entries)

    def _by_cell(self, entries: NDArray[np.int64]) -> F64:
        """(folds, A, C, C) X'WX of each item and fold."""
        from scipy.sparse import csr_array

        rows = np.repeat(np.arange(len(self.fold)), entries)
        cell = self.fold[rows] * self.items + self.counts.indices
        shape = (self.folds * self.items, len(self.fold))
        count = self.counts.data
        self._sums = csr_array((count * self.weight[rows], (cell, rows)), shape=shape)
        squares = csr_array((count**2 * self.weight[rows], (cell, rows)), shape=shape)
        parts = [np.asarray(squares @ (self.state * x[:, None])) for x in self.state.T]
        columns = len(parts)
        gram = np.stack(parts, axis=1).reshape(self.folds, self.items, columns, columns)
        return np.asarray(gram, np.float64)

    def fit(self, k: int, left_over: F64) -> F64:
        """(A, C) slopes of the model that does not see fold k, from what the shared one leaves over
        (N,); zeros where the log shows no differences between the items."""
        none = np.zeros((self.items, self.state.shape[1]))
        if not self.useful:
            return none
        e = np.where(self.fold == k, 0.0, left_over)
        moments = np.asarray(self._sums @ (self.state * e[:, None]))
        moments = moments.reshape(self.folds, *none.shape)
        penalty = self.penalty(k, e, moments)
        if not np.isfinite(penalty):
            return none
        gram = self._grams.sum(0) - self._grams[k]
        inverse = np.linalg.inv(gram + penalty * np.eye(none.shape[1]))
        if self.alone:
            return np.asarray(np.einsum("acd,ad->ac", inverse, moments.sum(0)))
        return self._coupled(k, moments.sum(0), inverse, penalty)

    def penalty(self, k: int, e: F64, moments: F64) -> float:
        """A share of sigma^2 / tau^2 in rows, with the estimate of tau^2 times 1 - (its relative
        error)^2; infinite where that is not above 0. `e` (N,) is 0 in fold k, moments (folds, A, C)
        are X'We."""
        slopes = moments[:, :, 1:]
        by_item = (slopes.sum(0) ** 2 - (slopes**2).sum(0)).sum(1)
        others = np.delete(self._grams, k, axis=0)
        known = float((others.sum(0)[:, 1:] ** 2).sum() - (others[:, :, 1:] ** 2).sum())
        found, error = float(by_item.sum()), float(np.sqrt((by_item**2).sum()))
        if known <= 0 or found <= error:
            return np.inf
        tau2 = found * (1 - (error / found) ** 2) / known
        w = np.where(self.fold == k, 0.0, self.weight)
        explained = tau2 * float(np.trace(others.sum((0, 1)))) / float(w.sum())
        noise = float((w * e) @ (w * e)) / float(w.sum())
        return max(self.least, PLUG_IN * (noise - min(explained, 0.9 * noise)) / tau2)

    def _coupled(self, k: int, right: F64, inverse: F64, penalty: float) -> F64:
        """Conjugate gradients on all items at once, preconditioned by each item alone."""
        w = np.where(self.fold == k, 0.0, self.weight)
        slopes, rest = np.zeros_like(right), right.copy()
        step = ahead = np.einsum("acd,ad->ac", inverse, rest)
        size = first = float((rest * ahead).sum())
        for _ in range(SWEEPS):
            if size <= CLOSE**2 * first:
                break
            said = product(self.counts, step, self.state) * w
            image = self.counts.T @ (self.state * said[:, None]) + penalty * step
            rate = size / float((step * image).sum())
            slopes, rest = slopes + rate * step, rest - rate * image
            ahead = np.einsum("acd,ad->ac", inverse, rest)
            new = float((rest * ahead).sum())
            step, size = ahead + new / size * step, new
        return slopes


def product(counts: csr_array, slopes: F64, state: F64) -> F64:
    """(N,) sum over the items of counts (N, A) of x . slopes_a."""
    return np.asarray(((counts @ slopes) * state).sum(1))
