"""Decayed skip-Markov chain: learning-free, and a baseline that many networks do not pass.

The chain of order n scores an item by the decayed mean, over the last n items of a history, of
the smoothed probability that it follows. Markov (1913) with skips as in skip-grams (Guthrie et
al. 2006); dense states by randomised SVD (Halko, Martinsson & Tropp 2011).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse

from policies.encoders.base import (
    F32,
    I32,
    check_histories,
    left_padded,
    log_shares,
    not_fitted,
)
from policies.encoders.data.sequences import Sequences
from policies.encoders.serving.state import ServesHistory
from policies.validation import COUNT, POSITIVE

DENSE_BYTES = 64 << 20  # transition matrices below this size are kept dense: faster look-ups


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkovConfig:
    """Skip-n chain; the defaults are the settings of the published baselines on small sets."""

    skip: int = 5  # n: items looked back at, in learning and in scoring
    decay: float = 0.7  # weight of one step further back, in (0, 1]
    smoothing: float = 20.0  # pseudo-transitions of every item, spread evenly over the catalogue
    state_size: int = 32  # D: rank of the dense states

    @classmethod
    def small(cls, *, length: int, seed: int, threads: int = 1) -> Self:
        """Sizes for a simulator: the defaults, since no network is trained."""
        return cls()

    def __post_init__(self) -> None:
        COUNT.check_all(self, "skip", "state_size")
        POSITIVE.check_all(self, "smoothing", "decay")
        if self.skip < 1 or not 0 < self.decay <= 1 or self.smoothing <= 0 or self.state_size < 1:
            raise ValueError(
                f"need skip >= 1, 0 < decay <= 1, smoothing > 0, state_size >= 1: {self}"
            )


class SkipMarkov(ServesHistory):
    """counts M = sum_l decay^(l-1) C_l, C_l the co-occurrences at distance l <= n.

    P(j | i) = (M_ij + smoothing / A) / (sum_j M_ij + smoothing);
    scores = log of the decayed mean of P(. | i) over the last n items i of the history.
    Histories without any known transition (empty, or items that nothing ever followed) score
    by log-popularity.
    """

    name = "markov"

    def __init__(self, config: MarkovConfig | None = None) -> None:
        self.config = config or MarkovConfig()
        self.n_items = 0
        self.state_size = self.config.state_size
        self.context_length = self.config.skip
        self._matrix: Any = None  # (A, A) sparse, M / (row + smoothing)
        self._lookup: Any = None  # the same, dense where that is small
        self._rest: F32 = np.empty(0, np.float32)  # (A,) smoothing / A / (row + smoothing)
        self._popularity: F32 = np.empty(0, np.float32)  # (A,)
        self._left: F32 = np.empty((0, 0), np.float32)  # (A, D) matrix ~ left @ right.T
        self._right: F32 = np.empty((0, 0), np.float32)  # (A, D)

    def fit(self, sequences: Sequences) -> Self:
        """Count transitions at every distance up to `skip`."""
        counts = transition_counts(sequences, self.config.skip, self.config.decay)
        total = np.asarray(counts.sum(axis=1)).ravel() + self.config.smoothing
        matrix = sparse.csr_array(sparse.diags_array(1 / total) @ counts, dtype=np.float32)
        left, right = _factors(_table(matrix), self.config.state_size)
        rest = (self.config.smoothing / sequences.n_items / total).astype(np.float32)
        return self._set(matrix, rest, log_shares(sequences.counts()), left, right)

    def scores(self, histories: ArrayLike) -> F32:
        """(B, H) -> (B, A) log-probabilities of the next item."""
        ids = self._checked(histories)
        weights = self._weights(ids)  # (B, A) sparse, rows sum to 1
        out = weights @ self._lookup
        out = np.asarray(
            out if isinstance(out, np.ndarray) else out.toarray(), np.float32
        )  # (B, A)
        blind = ~out.any(axis=1)
        out += (weights @ self._rest)[:, None]
        out[blind] = 1.0  # replaced below; keeps the logarithm finite
        np.log(out, out=out)
        out[blind] = self._popularity
        return out

    def encode(self, histories: ArrayLike) -> F32:
        """(B, H) -> (B, D): the decayed history, projected on the matrix's leading directions.

        encode @ item_vectors.T is the best rank-D approximation of the probabilities before
        smoothing. An empty history encodes to zeros.
        """
        state: F32 = self._weights(self._checked(histories)) @ self._left
        return state

    @property
    def item_vectors(self) -> F32:
        """(A, D) right factors of the transition matrix."""
        return self._right

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The transition matrix in compressed rows, its factors and the popularity."""
        return {
            "data": self._matrix.data,
            "indices": self._matrix.indices.astype(np.int32),
            "indptr": self._matrix.indptr.astype(np.int64),
            "rest": self._rest,
            "popularity": self._popularity,
            "left": self._left,
            "right": self._right,
        }

    @classmethod
    def from_arrays(cls, config: MarkovConfig, arrays: dict[str, NDArray[Any]]) -> Self:
        """The encoder that `to_arrays` was called on. Raises ValueError for arrays that do not fit
        each other: scipy's loops check no bounds."""
        size = len(arrays["rest"])
        left = arrays["left"].shape
        wanted = {"rest": (size,), "popularity": (size,), "left": left, "right": left}
        for name, shape in wanted.items():
            if arrays[name].shape != shape or shape[0] != size:
                raise ValueError(f"{name} is of shape {arrays[name].shape} for {size} items")
        given = (arrays["data"], arrays["indices"], arrays["indptr"])
        matrix = sparse.csr_array(given, shape=(size, size))
        matrix.check_format(full_check=True)
        return cls(config)._set(matrix, *(arrays[name] for name in wanted))

    def _set(
        self, matrix: sparse.csr_array, rest: F32, popularity: F32, left: F32, right: F32
    ) -> Self:
        size = matrix.shape[0]
        self.n_items, self.state_size = size, left.shape[1]
        self._matrix, self._rest, self._popularity = matrix, rest, popularity
        self._left, self._right = left, right
        self._lookup = _table(matrix)
        return self

    def _checked(self, histories: ArrayLike) -> I32:
        if not self.n_items:
            raise not_fitted(self.name)
        return left_padded(check_histories(histories, self.n_items))

    def _weights(self, ids: I32) -> sparse.csr_array:
        """(B, A): the decayed weight of each item of each history; rows sum to 1 (0 if empty)."""
        last = ids[:, -self.config.skip :] if ids.shape[1] else ids  # (B, n)
        age = np.arange(last.shape[1])[::-1]  # 0 = newest
        weight = (last >= 0) * self.config.decay**age  # (B, n)
        weight /= np.maximum(weight.sum(axis=1, keepdims=True), 1e-30)
        filled = last >= 0
        indptr = np.concatenate([[0], np.cumsum(filled.sum(axis=1))])
        return sparse.csr_array(
            (weight[filled].astype(np.float32), last[filled], indptr),
            shape=(len(ids), self.n_items),
        )


def transition_counts(sequences: Sequences, skip: int, decay: float) -> sparse.csr_array:
    """(A, A): decayed number of times item j came at most `skip` events after item i."""
    size = sequences.n_items
    total = sparse.csr_array((size, size), dtype=np.float64)
    items, owner = sequences.items, sequences.owner
    for distance in range(1, skip + 1):
        same = owner[distance:] == owner[:-distance]
        before, after = items[:-distance][same], items[distance:][same]
        ones = np.full(len(before), decay ** (distance - 1))
        total = total + sparse.csr_array((ones, (before, after)), shape=(size, size))
    return total


def _table(matrix: sparse.csr_array) -> Any:
    """The matrix in the form that multiplies faster: dense where it is small and well filled."""
    cells = matrix.shape[0] ** 2
    return matrix.toarray() if 4 * cells <= DENSE_BYTES and 100 * matrix.nnz > cells else matrix


def _factors(matrix: Any, rank: int) -> tuple[F32, F32]:
    """(left, right), each (A, D), with left @ right.T close to the matrix; deterministic."""
    size = matrix.shape[0]
    rank = min(rank, size)
    start = np.random.default_rng(0).standard_normal((size, min(size, rank + 8)))
    basis = np.linalg.qr(matrix @ start.astype(np.float32))[0]
    for _ in range(3):  # subspace iteration
        basis = np.linalg.qr(matrix @ (matrix.T @ basis))[0]
    u, s, vt = np.linalg.svd(np.asarray(matrix.T @ basis).T, full_matrices=False)
    root = np.sqrt(s[:rank])
    left, right = (basis @ u[:, :rank]) * root, vt[:rank].T * root
    return left.astype(np.float32), right.astype(np.float32)
