"""Ridge regressions of reward on a state: one for every item, or one that all items share.

The inverses are stored and updated by Sherman & Morrison (1950), one observation after the other,
so that a batch costs what its rows cost, however late it comes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from policies.slates.compiling import SUMS, njit_cached

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
BLOCK = 32  # rows whose squares stay in the cache while the arms pass by
MANY = 256  # rows whose squares are in memory


@dataclass(slots=True)
class Regressions:
    """M regressions over d numbers. Memory: 1.25 M d^2 doubles.

    Widths are summed in single precision, in half the time: right to 1e-6, and less so the nearer
    features are to collinear (1e-3 in such a case, with a ridge of 10).
    """

    inverse: F64  # (M, d, d) of the precision, prior included
    moment: F64  # (M, d)     sum of reward times features
    theta: F64  # (M, d)     the posterior mean
    packed: F32  # (M, d (d + 1) / 2) upper triangle of the inverse, twice off the diagonal

    def __post_init__(self) -> None:
        """Compiled loops check no bounds. Raises ValueError where sizes do not fit."""
        m, d = self.theta.shape if self.theta.ndim == 2 else (-1, -1)
        wanted = {"inverse": (m, d, d), "moment": (m, d), "packed": (m, d * (d + 1) // 2)}
        for name, shape in wanted.items():
            found = getattr(self, name).shape
            if found != shape:
                raise ValueError(
                    f"{name} is of shape {found}, and theta of {self.theta.shape}: not of the "
                    "same regressions"
                )

    def check_size(self, count: int, size: int) -> None:
        """Raise ValueError unless these are so many regressions over so many numbers."""
        if self.theta.shape != (count, size):
            raise ValueError(
                f"{len(self.theta)} regressions over {self.theta.shape[1]} numbers, where "
                f"{count} over {size} are needed"
            )

    @classmethod
    def empty(cls, count: int, size: int, ridge: float) -> Self:
        """Nothing seen; ridge: prior precision of every weight."""
        inverse = np.tile(np.eye(size) / ridge, (count, 1, 1))
        none = np.zeros((count, size))
        return cls(inverse, none, none.copy(), triangles(inverse))

    def add(self, x: F64, arms: I32, reward: F64) -> None:
        """Rows x (N, d) that each saw some arms (N, K), -1 = none, with their rewards (N, K)."""
        sherman_morrison(x, arms, reward, self.inverse, self.moment)
        seen = np.unique(arms[arms >= 0])
        self.theta[seen] = np.einsum("aij,aj->ai", self.inverse[seen], self.moment[seen])
        self.packed[seen] = triangles(self.inverse[seen])

    def changed(self, to: F64, ridge: float, residual: F64 | None = None) -> Regressions:
        """The same observations in other features, which are `to` (e, d) times these.

        ridge: the prior precision of every weight, before and after. residual: where features are
        products, (P, P) variances of the left factors that `to` does not explain.
        """
        seen = np.flatnonzero((self.inverse != np.eye(self.inverse.shape[1]) / ridge).any((1, 2)))
        squares = np.linalg.inv(self.inverse[seen]) - ridge * np.eye(to.shape[1])
        new = Regressions.empty(len(self.theta), len(to), ridge)
        sums = to @ squares @ to.T
        if residual is not None:
            right = len(to) // len(residual)
            for one, old in zip(sums, squares, strict=True):
                one += np.kron(residual, old[:right, :right])
        inverse = np.linalg.inv((sums + sums.transpose(0, 2, 1)) / 2 + ridge * np.eye(len(to)))
        new.inverse[seen] = (inverse + inverse.transpose(0, 2, 1)) / 2
        new.moment[seen] = self.moment[seen] @ to.T
        new.theta[seen] = np.einsum("aij,aj->ai", new.inverse[seen], new.moment[seen])
        new.packed[seen] = triangles(new.inverse[seen])
        return new

    def bounds(self, x: F64, arms: I32 | None, alpha: float) -> F64:
        """theta_a.x + alpha sqrt(x' A_a^-1 x) of arms (B, C) for rows x (B, d); 0 for arm -1.

        arms = None: all M.
        """
        if arms is None:
            out = means(x, None, self.theta)
            for start in range(0, len(x), MANY):
                rows = slice(start, start + MANY)
                variance = every_product(squares(x[rows]), self.packed)
                out[rows] += alpha * np.sqrt(np.maximum(variance, 0.0))
            return out
        out = np.empty(arms.shape)
        upper_bounds(x, arms, self.theta, self.packed, alpha, out)
        return out

    def draws(self, count: int, width: float, rng: np.random.Generator) -> F64:
        """(S, M, d) weights from normal posteriors whose spread is `width` standard errors."""
        root = np.linalg.cholesky(self.inverse)  # (M, d, d)
        noise = rng.normal(size=(count, *self.theta.shape))
        drawn: F64 = self.theta + width * np.einsum("aij,saj->sai", root, noise)
        return drawn

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """What a policy saves; `from_arrays` takes it back."""
        return {"inverse": self.inverse, "moment": self.moment, "theta": self.theta}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """The regressions that gave the arrays. Raises ValueError where sizes do not fit, and for
        numbers that are not finite."""
        for name in ("inverse", "moment", "theta"):
            if not np.isfinite(arrays[name]).all():
                raise ValueError(f"{name} holds a number that is not finite")
        if arrays["inverse"].ndim != 3 or np.ptp(arrays["inverse"].shape[1:]):
            raise ValueError(f"inverse is of shape {arrays['inverse'].shape}, not (M, d, d)")
        inverse = arrays["inverse"].copy()
        moment, theta = arrays["moment"].copy(), arrays["theta"].copy()
        return cls(inverse, moment, theta, triangles(inverse))


def means(x: F64, arms: I32 | None, theta: F64) -> F64:
    """theta_a.x of arms (B, C), or of all, for rows x (B, d); 0 for arm -1."""
    if arms is None:
        every: F64 = every_product(x, theta)
        return every
    out = np.empty(arms.shape)
    products(x, arms, theta, out)
    return out


def triangles(inverse: F64) -> F32:
    """(M, d (d + 1) / 2): x' A x is this times the products x_i x_j, i <= j."""
    d = inverse.shape[1]
    row, column = np.triu_indices(d)
    twice = np.where(row == column, 1.0, 2.0)
    return np.ascontiguousarray(inverse[:, row, column] * twice, np.float32)  # rows lie together


@njit_cached()
def squares(x: F64) -> F32:
    """(B, d) -> (B, d (d + 1) / 2) products x_i x_j, i <= j, in the order of `triangles`."""
    rows, d = x.shape
    out = np.empty((rows, d * (d + 1) // 2), np.float32)
    for b in range(rows):
        n = 0
        for i in range(d):
            left, to = x[b, i:], out[b, n : n + d - i]  # as views, that it runs in vectors
            for j in range(d - i):
                to[j] = left[0] * left[j]
            n += d - i
    return out


@njit_cached(SUMS)
def every_product(x: Any, y: Any) -> Any:
    """x y' (B, M) of rows x (B, T) and y (M, T), four rows of each at a time.

    As fast as BLAS, and every sum is taken in the same order: arms that are alike tie exactly, in
    whatever batch they are in. At the edges the last row stands in for those that lack.
    """
    out = np.empty((len(x), len(y)), x.dtype)
    none = x.dtype.type(0)
    for b0 in range(0, len(x), 4):
        b1, b2, b3 = min(b0 + 1, len(x) - 1), min(b0 + 2, len(x) - 1), min(b0 + 3, len(x) - 1)
        for m0 in range(0, len(y), 4):
            m1, m2, m3 = min(m0 + 1, len(y) - 1), min(m0 + 2, len(y) - 1), min(m0 + 3, len(y) - 1)
            s00 = s01 = s02 = s03 = s10 = s11 = s12 = s13 = none
            s20 = s21 = s22 = s23 = s30 = s31 = s32 = s33 = none
            for t in range(x.shape[1]):
                x0, x1, x2, x3 = x[b0, t], x[b1, t], x[b2, t], x[b3, t]
                y0, y1, y2, y3 = y[m0, t], y[m1, t], y[m2, t], y[m3, t]
                s00, s01, s02, s03 = s00 + x0 * y0, s01 + x0 * y1, s02 + x0 * y2, s03 + x0 * y3
                s10, s11, s12, s13 = s10 + x1 * y0, s11 + x1 * y1, s12 + x1 * y2, s13 + x1 * y3
                s20, s21, s22, s23 = s20 + x2 * y0, s21 + x2 * y1, s22 + x2 * y2, s23 + x2 * y3
                s30, s31, s32, s33 = s30 + x3 * y0, s31 + x3 * y1, s32 + x3 * y2, s33 + x3 * y3
            out[b0, m0], out[b0, m1], out[b0, m2], out[b0, m3] = s00, s01, s02, s03
            out[b1, m0], out[b1, m1], out[b1, m2], out[b1, m3] = s10, s11, s12, s13
            out[b2, m0], out[b2, m1], out[b2, m2], out[b2, m3] = s20, s21, s22, s23
            out[b3, m0], out[b3, m1], out[b3, m2], out[b3, m3] = s30, s31, s32, s33
    return out


@njit_cached(SUMS)
def upper_bounds(x: F64, arms: I32, theta: F64, packed: F32, alpha: float, out: F64) -> None:
    """Upper confidence bounds into `out` (B, C), blocks of rows at a time."""
    rows, d = x.shape
    for start in range(0, rows, BLOCK):
        stop = min(start + BLOCK, rows)
        square = squares(x[start:stop])
        for c in range(arms.shape[1]):
            for b in range(start, stop):
                a = arms[b, c]
                if a < 0:
                    out[b, c] = 0.0
                    continue
                mean = 0.0
                for i in range(d):
                    mean += theta[a, i] * x[b, i]
                variance = np.float32(0.0)
                for n in range(packed.shape[1]):
                    variance += packed[a, n] * square[b - start, n]
                out[b, c] = mean + alpha * np.sqrt(max(variance, np.float32(0.0)))


@njit_cached(SUMS)
def products(x: F64, arms: I32, theta: F64, out: F64) -> None:
    """theta_a.x into `out` (B, C)."""
    for b in range(arms.shape[0]):
        for c in range(arms.shape[1]):
            a = arms[b, c]
            mean = 0.0
            if a >= 0:
                for i in range(x.shape[1]):
                    mean += theta[a, i] * x[b, i]
            out[b, c] = mean


@njit_cached(SUMS)
def sherman_morrison(x: F64, arms: I32, reward: F64, inverse: F64, moment: F64) -> None:
    """Add every row to the regressions of its arms, in place: rank-one updates of A_a^-1."""
    d = x.shape[1]
    v = np.empty(d)
    for n in range(arms.shape[0]):
        for k in range(arms.shape[1]):
            a = arms[n, k]
            if a < 0:
                continue
            scale = 1.0
            for i in range(d):
                total = 0.0
                for j in range(d):
                    total += inverse[a, i, j] * x[n, j]
                v[i] = total
                scale += total * x[n, i]
            for i in range(d):
                share = v[i] / scale
                for j in range(d):
                    inverse[a, i, j] -= share * v[j]
                moment[a, i] += reward[n, k] * x[n, i]
