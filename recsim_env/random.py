"""The random stream of one user: counter-based, and kept in the user's own record.

A user record carries `key` (which stream) and `counter` (how far along it). The k-th number of a
stream is a hash of key and k (SplitMix64: Steele, Lea and Flood, 2014), so that no user's numbers
depend on how many users there are, on what the others do, or on how many numbers an earlier step
took: `turn` moves the counter to a block of its own at every step and for every purpose.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.jit import njit

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
MIX_2 = np.uint64(0x94D049BB133111EB)
UNIT = 2.0**-53

BEGIN, RESPOND, OFFER = 0, 1, 2  # purposes of a step's random numbers
PURPOSES = 4
GROUP = 2**40  # branch of a session's stream that its group is drawn from; items are below 2**31
BLOCK_BITS = np.uint64(24)  # so many bits count the numbers that one purpose of one step may draw


@njit
def mixed(z: Any) -> Any:
    """The SplitMix64 finaliser: a bijection of 64 bits that looks like noise."""
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return z ^ (z >> np.uint64(31))


@njit
def derive(key: Any, branch: Any) -> Any:
    """The key of a branch (a session of a slot, an item of a step) of a stream."""
    return mixed(mixed(key) + GOLDEN * (np.uint64(branch) + np.uint64(1)))


@njit
def block(step: int, purpose: int) -> Any:
    """The counter before the numbers that belong to this step of the session and this purpose."""
    return np.uint64(step * PURPOSES + purpose) << BLOCK_BITS


@njit
def turn(user: Any, purpose: int) -> None:
    """Open the block of random numbers of the user's step and this purpose."""
    user.counter = block(user.step, purpose)


@njit
def bits(user: Any) -> Any:
    """64 fresh bits."""
    user.counter += np.uint64(1)
    return mixed(user.key + user.counter * GOLDEN)


@njit
def integer_at(key: Any, counter: Any, n: int) -> Any:
    """What `integer` gives when it advances the counter of stream `key` to `counter`."""
    return np.int64(
        ((mixed(key + counter * GOLDEN) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32)
    )


@njit
def weighted_at(key: Any, counter: Any, cdf: Any) -> Any:
    """What `weighted` gives when it advances the counter of stream `key` to `counter`."""
    return inverse_cdf(cdf, float(mixed(key + counter * GOLDEN) >> np.uint64(11)) * UNIT)


@njit
def uniform(user: Any) -> float:
    """Uniform on [0, 1)."""
    return float(bits(user) >> np.uint64(11)) * UNIT


@njit
def integer(user: Any, n: int) -> Any:
    """Uniform on 0..n-1, for n < 2**31 (multiply and shift: Lemire, 2019; bias below n / 2**32)."""
    return np.int64(((bits(user) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit
def weighted(user: Any, cdf: Any) -> int:
    """Index i with probability cdf[i] - cdf[i - 1]; the last entry of `cdf` is the total mass."""
    return inverse_cdf(cdf, uniform(user))


@njit
def inverse_cdf(cdf: Any, u: float) -> int:
    """The index whose share of the total mass holds u, which is uniform on [0, 1)."""
    mass = u * cdf[cdf.size - 1]
    low, high = 0, cdf.size - 1
    while low < high:
        middle = (low + high) // 2
        if cdf[middle] > mass:
            high = middle
        else:
            low = middle + 1
    return low


@njit
def member(key: Any, cdf: Any) -> int:
    """The group of the session of this key, in shares `cdf` (G,); 0 where there are no groups."""
    if cdf.size == 0:
        return 0
    return inverse_cdf(cdf, float(derive(key, GROUP) >> np.uint64(11)) * UNIT)


@njit
def normal(user: Any) -> float:
    """Standard normal (Box and Muller, 1958)."""
    radius = math.sqrt(-2.0 * math.log(1.0 - uniform(user)))
    return radius * math.cos(2.0 * math.pi * uniform(user))


@njit
def gamma(user: Any, shape: float) -> float:
    """Gamma with scale 1, for any shape > 0 (Marsaglia and Tsang, 2000)."""
    boost = 1.0
    if shape < 1.0:
        boost = (1.0 - uniform(user)) ** (1.0 / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    while True:
        x = normal(user)
        v = (1.0 + c * x) ** 3
        if v > 0.0:
            u = 1.0 - uniform(user)
            sure = u < 1.0 - 0.0331 * x * x * x * x  # mostly, and then no logarithm is needed
            if sure or math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
                return boost * d * v


@njit
def beta(user: Any, a: float, b: float) -> float:
    """Beta on (0, 1)."""
    x = gamma(user, a)
    return x / (x + gamma(user, b))


@njit
def normal_of(user: Any, item: int) -> float:
    """Standard normal that belongs to this item at this step, wherever and if ever it is shown."""
    here = derive(user.key + (np.uint64(user.step) << BLOCK_BITS) * GOLDEN, item)
    u = 1.0 - float(here >> np.uint64(11)) * UNIT
    v = float(mixed(here + GOLDEN) >> np.uint64(11)) * UNIT
    return math.sqrt(-2.0 * math.log(u)) * math.cos(2.0 * math.pi * v)


def stream_keys(seed: int, n: int) -> NDArray[np.uint64]:
    """Keys (n,) of the streams of slots 0..n-1 under one seed; a slot's key knows nothing of n."""
    return slot_keys(seed, np.arange(n))


def slot_keys(seed: int, slots: NDArray[np.integer]) -> NDArray[np.uint64]:
    """Keys (n,) of the streams of these slots (n,) under one seed."""
    root = np.random.SeedSequence(seed).generate_state(1, np.uint64)[0]
    with np.errstate(over="ignore"):
        slot = (slots.astype(np.uint64) + np.uint64(1)) * GOLDEN + root
        return _mixed_array(_mixed_array(slot) + root)


def members(
    streams: NDArray[np.uint64], sessions: NDArray[np.integer], cdf: NDArray[np.float64]
) -> NDArray[np.int64]:
    """What `member` gives for these sessions (n,) of these streams (n,)."""
    if cdf.size == 0:
        return np.zeros(len(streams), np.int64)
    keys = _derived(_derived(streams, sessions), np.full(len(streams), GROUP))
    u = (keys >> np.uint64(11)).astype(np.float64) * UNIT
    return np.asarray(np.searchsorted(cdf, u * cdf[-1], side="right"), np.int64)


def _derived(keys: NDArray[np.uint64], branches: NDArray[np.integer]) -> NDArray[np.uint64]:
    """`derive`, for arrays (n,)."""
    with np.errstate(over="ignore"):
        return _mixed_array(
            _mixed_array(keys) + GOLDEN * (branches.astype(np.uint64) + np.uint64(1))
        )


def _mixed_array(z: NDArray[np.uint64]) -> NDArray[np.uint64]:
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return z ^ (z >> np.uint64(31))
