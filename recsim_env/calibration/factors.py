"""What a log says of items and persons: vectors, chain factors, and the pull of the popular."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds

from recsim_env.calibration.checks import Histories

F32 = NDArray[np.float32]


def item_vectors(histories: Histories, n_items: int, dims: int) -> F32:
    """Item directions (A, D): truncated SVD of users x items, both at the root of their counts."""
    rows = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
    columns = np.concatenate(list(histories))
    table = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), (len(histories), n_items))
    size, _, right = largest(balanced(table.tocsr()), dims + 1)
    keep = np.argsort(-size)[1:]  # the first direction is popularity, which is fitted apart
    vectors = right[keep].T * size[keep]
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norm > 0, norm, 1), dtype=np.float32)


def chain_factors(histories: Histories, n_items: int, dims: int) -> tuple[F32, F32]:
    """Factors (A, E) of the item before and of the item after; their product is about log-lift.

    Positive pointwise mutual information of neighbours in a list, factorised by truncated SVD
    (Levy and Goldberg, 2014); each count is discounted by one half, for single pairs say little.
    """
    before = np.concatenate([h[:-1] for h in histories])
    after = np.concatenate([h[1:] for h in histories])
    pairs = sparse.coo_matrix((np.ones(len(before)), (before, after)), (n_items, n_items)).tocsr()
    pairs.sum_duplicates()
    i, j = pairs.nonzero()
    out = np.maximum(np.bincount(before, minlength=n_items), 1)
    into = np.maximum(np.bincount(after, minlength=n_items), 1)
    lift = np.log(np.maximum(pairs.data - 0.5, 1e-9) * len(before) / (out[i] * into[j]))
    table = sparse.coo_matrix((np.maximum(lift, 0), (i, j)), (n_items, n_items)).tocsr()
    size, left, right = largest(table, dims)
    root = np.sqrt(size)
    return (left * root).astype(np.float32), (right.T * root).astype(np.float32)


def balanced(table: Any) -> Any:
    """Rows and columns divided by the root of their sums."""
    row, column = np.asarray(table.sum(1)).ravel(), np.asarray(table.sum(0)).ravel()
    scaled = sparse.diags(1 / np.sqrt(np.maximum(row, 1))) @ table
    return scaled @ sparse.diags(1 / np.sqrt(np.maximum(column, 1)))


def largest(table: Any, k: int) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The k largest singular values and their vectors (fewer where the table is small).

    A table of zeros, of which the iteration cannot begin, has values and vectors of zeros.
    """
    k = min(k, min(table.shape) - 1)
    if not table.count_nonzero():
        return np.zeros(k), np.zeros((table.shape[0], k)), np.zeros((k, table.shape[1]))
    left, size, right = svds(table, k=k, v0=np.ones(min(table.shape)))
    return size, left, right


def pulls(
    histories: Histories, popularity: NDArray[np.floating], rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Log popularity (A,), 0 on average over offers, and each person's own pull to it (U,).

    A person's pull is one Newton step of the tilt e^{pull fame} from 0, against lists of the same
    length drawn by popularity without repeats, shrunk as a normal prior of the persons' own
    spread would: long lists reach unpopular items by themselves, and short ones say little.
    """
    share = popularity / popularity.sum()
    fame = np.log(popularity)
    fame = fame - share @ fame
    spread = float(share @ fame**2)
    if spread < 1e-12:
        return fame, np.zeros(len(histories))
    longest = max(len(h) for h in histories)
    means = np.zeros(longest)
    for _ in range(50):
        order = np.argsort(-(np.log(share) + rng.gumbel(size=len(share))))[:longest]
        drawn = np.full(longest, fame[order[-1]])
        drawn[: len(order)] = fame[order]
        means += drawn.cumsum() / np.arange(1, longest + 1) / 50
    n = np.array([len(h) for h in histories])
    step = (np.array([fame[h].mean() for h in histories]) - means[n - 1]) / spread
    noise = 1 / (spread * n)
    prior = max(float(step.var() - noise.mean()), 1e-6)
    return fame, step * prior / (prior + noise)
