"""Random numbers of which every row has a stream of its own: a row draws the same in any batch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]

GOLDEN = 0x9E3779B97F4A7C15


class RowStreams:
    """What a slate distribution draws with, for B rows: row b's numbers depend on its key alone.

    SplitMix64 as a counter-based generator: number n of a row is the mix of key + n x golden ratio.
    Steele, Lea & Flood (2014). It has the methods of numpy's Generator that distributions use.
    """

    def __init__(self, keys: U64) -> None:
        self.keys = keys[:, None]  # (B, 1)
        self.drawn = 0  # numbers that each row has used

    def random(self, *, size: int | tuple[int, ...]) -> F64:
        """Uniform in (0, 1), never 0 or 1; the first axis is the rows.

        Raises ValueError for another number of rows.
        """
        shape = (size,) if isinstance(size, int) else size
        if shape[0] != len(self.keys):
            raise ValueError(f"{shape[0]} rows are drawn from the streams of {len(self.keys)}")
        width = math.prod(shape[1:])
        nth = np.arange(self.drawn + 1, self.drawn + width + 1, dtype=np.uint64)
        self.drawn += width
        nth *= np.uint64(GOLDEN)
        bits = _mixed(self.keys + nth)
        bits >>= np.uint64(12)  # + .5 is exact
        out = bits.astype(np.float64).reshape(shape)
        out += 0.5
        out *= 2.0**-52
        return out

    def gumbel(self, *, size: int | tuple[int, ...]) -> F64:
        """Standard Gumbel."""
        u = self.random(size=size)
        np.log(u, out=u)
        np.negative(u, out=u)
        np.log(u, out=u)
        return np.negative(u, out=u)

    def integers(self, high: int, *, size: int) -> I64:
        """Whole numbers 0..high-1, a row each."""
        return np.minimum((self.random(size=size) * high).astype(np.int64), high - 1)

    def choice(self, a: int, *, size: int, p: Sequence[float]) -> I64:
        """Whole numbers 0..a-1 with probabilities p, a row each."""
        bound = np.cumsum(p)
        picked = np.searchsorted(bound / bound[-1], self.random(size=size), side="right")
        return np.minimum(picked, a - 1).astype(np.int64)


def stream_keys(names: Iterable[str], *, secret: bytes = b"") -> U64:
    """(B,) a key for each name: its keyed hash, which nobody without the secret can choose.

    secret: at most 64 bytes.
    """
    heads = [blake2b(n.encode(), digest_size=8, key=secret).digest() for n in names]
    return np.frombuffer(b"".join(heads), "<u8").astype(np.uint64)


def _mixed(z: U64) -> U64:
    """The finaliser of SplitMix64, in place."""
    high = z >> np.uint64(30)
    z ^= high
    z *= np.uint64(0xBF58476D1CE4E5B9)
    z ^= np.right_shift(z, np.uint64(27), out=high)
    z *= np.uint64(0x94D049BB133111EB)
    z ^= np.right_shift(z, np.uint64(31), out=high)
    return z
