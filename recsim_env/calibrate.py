"""Fit a Longplay world to logged consumption: item vectors, topics, popularity, users, choice.

What a log of consumption identifies is fitted; what it does not (quality, clickbait, satisfaction)
is switched off rather than guessed. Choices are fitted as a conditional logit of the next item
against items drawn by popularity (McFadden, 1974): utility = taste x affinity - dull x boredom.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue, Population
from recsim_env.users.longplay import LongplayConfig
from recsim_env.vector import RecVectorEnv

Histories = Sequence[NDArray[np.integer]]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CalibratedWorld:
    """A config and arrays: everything that rebuilds the fitted world."""

    config: LongplayConfig
    catalogue: Catalogue
    population: Population

    def make_vec(self, num_envs: int, *, slate_size: int = 10, **parameters: Any) -> RecVectorEnv:
        """Users of this world who pick from popularity-drawn candidates."""
        settings: dict[str, Any] = {"n_candidates": 50, "offer": "popularity"} | parameters
        return RecVectorEnv(
            num_envs,
            model="longplay",
            config=self.config,
            catalogue=self.catalogue,
            population=self.population,
            slate_size=slate_size,
            **settings,
        )

    def save(self, folder: Path) -> None:
        """Write config.json and arrays.npz; both appear whole or not at all."""
        folder.mkdir(parents=True, exist_ok=True)
        c, p = self.catalogue, self.population
        columns = ("topics", "vectors", "quality", "length", "clickbait", "popularity")
        arrays = {name: getattr(c, name) for name in columns}
        arrays["interests"] = p.interests
        arrays["first_items"] = (
            np.zeros((len(p), 0), np.int32) if p.first_items is None else p.first_items
        )
        with (folder / "arrays.npz.part").open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        text = json.dumps({"n_topics": c.n_topics, "config": asdict(self.config)}, indent=2)
        (folder / "config.json.part").write_text(text)
        (folder / "arrays.npz.part").replace(folder / "arrays.npz")
        (folder / "config.json.part").replace(folder / "config.json")

    @classmethod
    def load(cls, folder: Path) -> CalibratedWorld:
        """Read what `save` wrote; raises FileNotFoundError naming the missing file."""
        for name in ("config.json", "arrays.npz"):
            if not (folder / name).exists():
                raise FileNotFoundError(f"{folder / name} is missing: calibrate the world again")
        meta = json.loads((folder / "config.json").read_text())
        with np.load(folder / "arrays.npz") as arrays:
            parts = dict(arrays)
        people = Population(interests=parts.pop("interests"), first_items=parts.pop("first_items"))
        catalogue = Catalogue(n_topics=meta["n_topics"], **parts)
        return cls(config=LongplayConfig(**meta["config"]), catalogue=catalogue, population=people)


def item_vectors(histories: Histories, n_items: int, dims: int) -> NDArray[np.float32]:
    """Item directions (A, D): truncated SVD of users x items, each item at unit weight."""
    from scipy import sparse
    from scipy.sparse.linalg import svds

    rows = np.repeat(np.arange(len(histories)), [len(h) for h in histories])
    columns = np.concatenate(list(histories))
    table = sparse.coo_matrix((np.ones(len(rows)), (rows, columns)), (len(histories), n_items))
    seen = np.asarray(table.sum(0)).ravel()
    active = np.asarray(table.sum(1)).ravel()
    scaled = sparse.diags(1 / np.sqrt(np.maximum(active, 1))) @ table.tocsr()
    scaled = scaled @ sparse.diags(1 / np.sqrt(np.maximum(seen, 1)))
    k = min(dims + 1, min(scaled.shape) - 1)
    _, size, right = svds(scaled, k=k, v0=np.ones(min(scaled.shape)))
    keep = np.argsort(-size)[1:]  # the first direction is popularity, which is fitted apart
    vectors = (right[keep].T * size[keep]).astype(np.float32)
    norm = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(norm > 0, norm, 1), dtype=np.float32)


def fit_choice(
    histories: Histories, vectors: NDArray[np.float32], topics: NDArray[np.integer], *,
    popularity: NDArray[np.floating], keep: float, gain: float, seed: int,
    negatives: int = 20, most: int = 20_000,
) -> tuple[float, float]:  # fmt: skip
    """Taste and dull of the conditional logit, by maximum likelihood over logged choices."""
    from scipy.optimize import minimize

    rng = np.random.default_rng(seed)
    weight = np.asarray(popularity, float) / np.sum(popularity)
    affinity, boredom = [], []
    for n in rng.permutation(len(histories)):
        total = vectors[histories[n]].sum(0)
        bored = np.zeros(int(topics.max()) + 1)
        for item in histories[n]:
            u = total - vectors[item]  # interests without the choice that they are to explain
            shown = np.r_[item, rng.choice(len(weight), negatives, p=weight)]
            affinity.append(vectors[shown] @ u / max(float(np.linalg.norm(u)), 1e-9))
            boredom.append(bored[topics[shown]])
            bored *= keep
            bored[topics[item]] = min(bored[topics[item]] + gain, 1.0)
        if len(affinity) >= most:
            break
    x, b = np.array(affinity), np.array(boredom)

    def loss(w: NDArray[np.float64]) -> float:
        utility = w[0] * x - w[1] * b
        top = utility.max(1, keepdims=True)
        return float(np.mean(np.log(np.exp(utility - top).sum(1)) + top[:, 0] - utility[:, 0]))

    best = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead").x
    return float(best[0]), float(best[1])


def calibrate(
    histories: Histories,
    n_items: int,
    *,
    topics: NDArray[np.integer] | None = None,
    n_topics: int = 20,
    dims: int = 16,
    first: int = 10,
    seed: int = 0,
) -> CalibratedWorld:
    """A world whose users are those of `histories` (item ids 0..A-1 in time order, one per user).

    The first `first` items of a user become the first history; sessions are the rest.
    """
    used = [np.asarray(h) for h in histories if len(h) > first + 1]
    if len(used) < 10:
        raise ValueError(
            f"{len(used)} users have more than {first + 1} items: lower first= or log for longer"
        )
    vectors = item_vectors(used, n_items, dims)
    if topics is None:
        from scipy.cluster.vq import kmeans2

        topics = kmeans2(vectors, n_topics, seed=seed, minit="++")[1]
    popularity = np.bincount(np.concatenate(used), minlength=n_items) + 0.1
    codes = np.asarray(topics, np.int32)
    base = LongplayConfig()
    taste, dull = fit_choice(
        used, vectors, codes, popularity=popularity, keep=base.boredom_keep,
        gain=base.boredom_gain, seed=seed,
    )  # fmt: skip
    length = float(np.mean([len(h) - first for h in used]))
    leave = 1 / max(length, 1.001)
    config = LongplayConfig(
        taste=taste, dull=dull, bait=0.0, no_choice=-50.0, budget=1e6,
        leave_base=float(np.log(leave / (1 - leave))), leave_satisfaction=0.0, leave_boredom=0.0,
    )  # fmt: skip
    people = Population(
        interests=np.array([vectors[h].mean(0) for h in used], np.float32),
        first_items=np.array([h[:first] for h in used], np.int32),
    )
    catalogue = Catalogue.of(
        codes, vectors=vectors, popularity=popularity, n_topics=int(codes.max()) + 1
    )
    return CalibratedWorld(config=config, catalogue=catalogue, population=people)


def simulate(world: CalibratedWorld, n: int, *, seed: int, most: int = 500) -> list[NDArray[Any]]:
    """Item ids consumed by `n` simulated users, first histories included."""
    env = world.make_vec(n, history_length=0 if world.population.first_items is None else 10)
    rng = np.random.default_rng(seed)
    obs, _ = env.reset(seed=seed)
    out = [row[row >= 0].tolist() for row in obs["history_items"]]
    going = np.ones(n, np.bool_)
    for _ in range(most):
        luck = rng.random((n, env.n_choices))
        action = np.argpartition(luck, env.slate_size - 1, axis=1)[:, : env.slate_size]
        _, _, terminated, truncated, infos = env.step(action)
        for slot in np.flatnonzero(going & (infos["consumed"] >= 0)):
            out[slot].append(int(infos["consumed"][slot]))
        going &= ~(terminated | truncated)
        if not going.any():
            break
    return [np.array(items) for items in out]
