"""Worlds to compare policies in: by id, fitted ones by folder, and one of real items and users."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.linalg import svds
from scipy.stats import rankdata

from experiments.data.datasets import Interactions, load
from policies import Sequences, serving_of
from recsim_env import Catalogue, Population
from recsim_env.calibration.world import FittedWorld

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class EnvFactory:
    """A way to make environments of one world, and the real sequences behind it, if any."""

    name: str
    make: Callable[..., VectorEnv[Any, Any, Any]]  # number of parallel users -> environment; it
    # takes other parameters of environments by name
    sequences: Sequences | None  # None: the encoder learns from sessions served in the world


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSizes:
    """Sizes that every world is made with."""

    slate_size: int = 3
    n_candidates: int | None = 20  # None: the whole catalogue
    history_length: int = 20
    max_steps: int = 30


def env_id(world: str) -> str:
    """The id of an environment of recsim_env by its name; a folder's path as it is."""
    return world if Path(world).is_dir() else f"recsim_env/{world}-v0"


def make_env(env: str, num_envs: int, **parameters: Any) -> VectorEnv[Any, Any, Any]:
    """So many parallel users of an environment by its id, or of a fitted world by its folder.

    Raises:
        ValueError: there is no such environment, or it does not take these parameters.
        FileNotFoundError: the folder holds no fitted world.
    """
    try:
        if Path(env).is_dir():
            return FittedWorld.load(Path(env)).make_vec(num_envs, **parameters)
        return gymnasium.make_vec(env, num_envs=num_envs, **parameters)
    except (gymnasium.error.Error, TypeError, AttributeError) as error:  # settings of other types
        raise ValueError(
            f"{env} cannot be made: {error}. There are recsim_env/Longplay-v0, "
            "recsim_env/InterestEvolution-v0 and others of recsim_env, and folders that longplay "
            "calibrate wrote."
        ) from None


def make_world(env: str, sizes: WorldSizes) -> EnvFactory:
    """An environment by its id, or a fitted world by its folder, with its own catalogue."""

    def make(num_envs: int, **more: Any) -> VectorEnv[Any, Any, Any]:
        return make_env(env, num_envs, **asdict(sizes), **more)

    make(1)  # a wrong name or size is an error before anything is written
    return EnvFactory(env, make, None)


class Named(Protocol):
    """Settings of a command that name a world."""

    @property
    def env(self) -> str: ...
    @property
    def data(self) -> str | None: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def data_root(self) -> Path | None: ...
    @property
    def slate_size(self) -> int | None: ...  # None: the fitted world's own, or the usual
    @property
    def n_candidates(self) -> int | None: ...
    @property
    def history_length(self) -> int | None: ...
    @property
    def max_steps(self) -> int: ...


def named_world(settings: Named) -> EnvFactory:
    """The world on a data set, where one is named; else that of an id or a folder."""
    sizes = sizes_of(settings)
    if settings.data is None:
        return make_world(settings.env, sizes)
    return from_data(settings.data, settings.data_root, sizes, settings.columns)


def sizes_of(settings: Named) -> WorldSizes:
    """The sizes that are given; else those that a fitted world was made with, or the usual ones."""
    usual: dict[str, Any] = {f.name: f.default for f in fields(WorldSizes)}
    if settings.data is None and Path(settings.env).is_dir():
        own = serving_of(make_env(settings.env, 1))
        usual |= {
            "slate_size": own.slate_size,
            "n_candidates": own.n_candidates,
            "history_length": own.history_length,
        }
    given = {name: getattr(settings, name) for name in usual}
    return WorldSizes(**usual | {name: size for name, size in given.items() if size is not None})


def from_data(
    name: str, root: Path | None, sizes: WorldSizes, columns: Sequence[str] = ()
) -> EnvFactory:
    """The Longplay world on real items and users.

    Item vectors are a truncated SVD of who consumed what, topics and popularity the data's own;
    users' interests are the mean vector of what they consumed, and their first histories their own
    last events. Quality is the shrunk mean rating's rank, clickbait how far an item's popularity
    runs ahead of its quality: a modelling choice, not something the data says.
    """
    data = load(name, root, columns)
    if not isinstance(data, Interactions):
        raise ValueError(f"{name} holds logged decisions, not sequences: use longplay evaluate")
    seq = data.sequences
    vectors = item_vectors(seq)
    counts = np.bincount(seq.items, minlength=seq.n_items).astype(np.float64)
    good = quality(seq, counts)
    topics, n_topics = primary_topics(data, vectors)
    catalogue = Catalogue.of(
        topics,
        vectors=vectors,
        quality=good,
        clickbait=np.clip(0.28 + 0.5 * (rank_share(counts) - good), 0, 1),
        popularity=counts,
        n_topics=n_topics,
        names=data.items.names,
    )
    population = Population(
        interests=interests(seq, vectors), first_items=seq.histories(sizes.history_length)
    )

    def make(num_envs: int, **more: Any) -> VectorEnv[Any, Any, Any]:
        return gymnasium.make_vec(
            "recsim_env/Longplay-v0",
            num_envs=num_envs,
            catalogue=catalogue,
            population=population,
            slate_size=sizes.slate_size,
            n_candidates=sizes.n_candidates,
            history_length=sizes.history_length,
            max_steps=sizes.max_steps,
            **more,
        )

    return EnvFactory(f"Longplay-v0 on {data.name}", make, seq)


def item_vectors(seq: Sequences, *, size: int = 16, seed: int = 0) -> F32:
    """Unit vectors (A, size): truncated SVD of how often each user had each item, rows of equal
    length."""
    size = min(size, len(seq) - 1, seq.n_items - 1)
    matrix = csr_array(
        (np.ones(len(seq.items)), (seq.owner, seq.items)), shape=(len(seq), seq.n_items)
    )
    matrix.sum_duplicates()  # an item that a user had again
    row = np.repeat(np.arange(len(seq)), np.diff(matrix.indptr))
    length = np.sqrt(np.bincount(row, matrix.data**2, len(seq)))
    matrix.data /= length[row]
    start = np.random.default_rng(seed).standard_normal(min(matrix.shape))
    _, scale, right = svds(matrix, k=size, v0=start)
    return unit(right.T * np.sqrt(scale))


def interests(seq: Sequences, vectors: F32) -> F32:
    """Unit vectors (U, D): the mean vector of what each user consumed, items weighted alike."""
    total = np.zeros((len(seq), vectors.shape[1]))
    np.add.at(total, seq.owner, vectors[seq.items])
    return unit(total - total.mean(axis=0))


def quality(
    seq: Sequences, counts: NDArray[np.float64], *, prior: float = 20.0
) -> NDArray[np.float64]:
    """0..1 per item: rank of its mean reward, shrunk by `prior` events; .5 without rewards."""
    if seq.rewards is None:
        return np.full(seq.n_items, 0.5)
    mean = float(seq.rewards.mean())
    total = np.bincount(seq.items, weights=seq.rewards - mean, minlength=seq.n_items)
    return rank_share(total / (counts + prior))


def primary_topics(data: Interactions, vectors: F32) -> tuple[NDArray[np.int32], int]:
    """One topic per item: the rarest that it has, or the strongest axis of its vector."""
    if data.topics is None:
        return np.abs(vectors).argmax(axis=1).astype(np.int32), vectors.shape[1]
    rare = np.where(data.topics, -data.topics.sum(axis=0), -np.inf)
    none = ~data.topics.any(axis=1)
    topics = np.where(none, data.topics.shape[1], rare.argmax(axis=1))
    return topics.astype(np.int32), data.topics.shape[1] + int(none.any())


def rank_share(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks as shares of the catalogue, 0..1, ties at their mean."""
    share: NDArray[np.float64] = (rankdata(values) - 0.5) / len(values)
    return share


def unit(rows: NDArray[np.float64]) -> F32:
    """Rows of length 1; a row of zeros stays."""
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    out: F32 = (rows / np.where(norm > 0, norm, 1.0)).astype(np.float32)
    return out
