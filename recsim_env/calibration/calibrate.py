"""Fit a world to logged consumption: item vectors, the chain, popularity, persons and choice.

What a log of consumption identifies is fitted; what it does not (quality, satisfaction, the utility
of taking nothing) is left out rather than guessed. Factors and coefficients come from different
users, so that a coefficient does not pay for what its factor has memorised.
"""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.calibration.checks import Histories, check_topics, usable
from recsim_env.calibration.choice_fit import best_fit, choice_table
from recsim_env.calibration.factors import chain_factors, item_vectors, pulls
from recsim_env.calibration.world import FittedWorld
from recsim_env.catalogue import Catalogue, Population

SERVING: dict[str, Any] = {"slate_size": 10, "n_candidates": 50, "offer": "popularity"}


def calibrate(
    histories: Histories,
    n_items: int,
    *,
    topics: NDArray[np.integer] | None = None,
    n_topics: int = 20,
    dims: int = 16,
    first: int = 10,
    attention: NDArray[np.floating] | None = None,
    seed: int = 0,
) -> FittedWorld:
    """A world whose users are those of `histories` (item ids 0..A-1 in time order, one per user).

    The first `first` items of a user become the first history, or fewer where lists are short;
    sessions are the rest. `attention` (K,): how well each position of a slate is seen (see
    `position_effect`); without it all positions are alike.

    Raises:
        ValueError: too few users or items, an id outside 0..A-1, topics of another length, or
            dims or n_topics below 1.
    """
    if dims < 1 or n_topics < 1:
        raise ValueError(f"dims = {dims}, n_topics = {n_topics}: both are 1 or more")
    used = usable(histories, n_items)
    check_topics(topics, n_items)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(used))
    cut = max(len(used) * 4 // 5, 5)
    factor_users = [used[n] for n in order[:cut]]
    vectors = item_vectors(factor_users, n_items, dims)
    lead, trail = chain_factors(factor_users, n_items, dims)
    codes = cluster(vectors, n_topics, seed) if topics is None else np.asarray(topics, np.int32)
    popularity = smoothed(np.bincount(np.concatenate(used), minlength=n_items))
    fame, pull = pulls(used, popularity, rng)
    table = choice_table(
        [used[n] for n in order[cut:]], vectors=vectors, lead=lead, trail=trail, topics=codes,
        fame=fame, pull=pull[order[cut:]], popularity=popularity, rng=rng,
    )  # fmt: skip
    config = best_fit(table)
    heads = [min(first, len(h) // 2) for h in used]
    past = np.full((len(used), max(heads)), -1, np.int32)
    for row, (items, n) in enumerate(zip(used, heads, strict=True)):
        past[row, past.shape[1] - n :] = items[:n]
    traits: dict[str, NDArray[Any]] = {
        "pull": pull.astype(np.float32),
        "steps": np.array([len(h) - n for h, n in zip(used, heads, strict=True)], np.float32),
    }
    if attention is not None:
        traits["attention"] = np.log(np.maximum(attention, 1e-6)).astype(np.float32)
    people = Population(
        interests=np.array([vectors[h].mean(0) for h in used], np.float32),
        first_items=past,
        traits=traits,
    )
    catalogue = Catalogue.of(
        codes, vectors=vectors, popularity=popularity, n_topics=int(codes.max()) + 1,
        columns={
            "lead": lead, "trail": trail, "fame": fame.astype(np.float32),
            "offset": np.zeros(n_items, np.float32),
        },
    )  # fmt: skip
    few = {name: min(SERVING[name], n_items) for name in ("slate_size", "n_candidates")}
    return FittedWorld(
        model="calibrated",
        config=config,
        catalogue=catalogue,
        population=people,
        serving=SERVING | few,
    )


def smoothed(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Popularity (A,) > 0: unseen items share the mass that items seen once have (Good, 1953)."""
    unseen, once = int((counts == 0).sum()), int((counts == 1).sum())
    return np.asarray(counts + min(max(once / max(unseen, 1), 0.1), 1.0), np.float64)


def cluster(vectors: NDArray[np.float32], n_topics: int, seed: int) -> NDArray[np.int32]:
    """Topics (A,) from 0 on where the data has none: k-means of the item vectors.

    No more than `n_topics` different vectors are a topic each: k-means needs a distance to divide.
    """
    from scipy.cluster.vq import kmeans2

    different, code = np.unique(vectors, axis=0, return_inverse=True)
    if len(different) <= n_topics:
        return np.asarray(code.ravel(), np.int32)  # a column in numpy 2.0.0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "One of the clusters is empty")  # closed up below
        nearest = kmeans2(vectors, n_topics, seed=seed, minit="++")[1]
    return np.asarray(np.unique(nearest, return_inverse=True)[1], np.int32)


def position_effect(
    position: NDArray[np.integer], click: NDArray[np.floating]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How well each position is seen, 1 = the best, and its standard error (K,) each.

    The position-based model (Richardson et al., 2007) on rows whose item was drawn regardless of
    the position: relevance is then the same at every one and click rates differ by attention alone.
    """
    shown = np.bincount(position)
    if (shown == 0).any() or len(shown) == 0:
        raise ValueError(
            f"position {int(np.argmin(shown))} was never shown: count positions from 0"
        )
    rate = np.bincount(position, weights=click) / shown
    if rate.max() <= 0:
        raise ValueError("no clicks: attention cannot be estimated")
    best = rate.argmax()
    variance = (1 - rate) / np.maximum(rate * shown, 1e-12)
    relative = np.where(np.arange(len(rate)) == best, 0.0, variance + variance[best])
    share = rate / rate[best]
    return share, share * np.sqrt(relative)


def simulate(world: FittedWorld, n: int, *, seed: int, considered: int = 100) -> list[NDArray[Any]]:
    """Item ids consumed by `n` simulated users, first histories included.

    Nobody serves them: they choose from the whole catalogue, of which popularity brings up
    `considered` items at a time. Each stands for those that did not come up: it weighs its
    popularity over its chance to come up (Horvitz and Thompson, 1952).
    """
    c = min(considered, len(world.catalogue))
    columns = dict(world.catalogue.columns) | {"offset": log_weights(world.catalogue, c)}
    whole = replace(world, catalogue=replace(world.catalogue, columns=columns))
    past = world.population.first_items
    length = 0 if past is None else past.shape[1]
    env = whole.make_vec(n, slate_size=c, n_candidates=c, history_length=length)
    obs, _ = env.reset(seed=seed)
    out = [row[row >= 0].tolist() for row in obs["history_items"]]
    going = np.ones(n, np.bool_)
    action = np.tile(np.arange(c), (n, 1))
    while going.any():
        _, _, terminated, truncated, infos = env.step(action)
        for slot in np.flatnonzero(going & (infos["consumed"] >= 0)):
            out[slot].append(int(infos["consumed"][slot]))
        going &= ~(terminated | truncated)
    return [np.array(items) for items in out]


def log_weights(catalogue: Catalogue, considered: int) -> NDArray[np.float32]:
    """Log popularity over the chance of coming up (A,) when `considered` items are drawn by it.

    Items drawn one by one without replacement come up as if each waited an exponential time at its
    rate: with chance 1 - exp(-t share), where t makes the chances sum to the number drawn.
    """
    share = catalogue.popularity.astype(np.float64) / catalogue.popularity.sum()
    low, high = 0.0, 1e12
    for _ in range(200):
        middle = (low + high) / 2
        enough = -np.expm1(-middle * share).sum() > considered
        low, high = (low, middle) if enough else (middle, high)
    weight = np.log(share / -np.expm1(-high * share))
    return np.asarray(weight - weight.max(), np.float32)
