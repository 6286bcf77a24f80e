"""Registries of small policies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from policies import Cap, Exploration, Policy, ScorePolicy, constrained, save
from policies.baselines.popularity import Popularity
from serving import Catalogue, Registry
from tests.factories import make_serving
from tests.serving.factories import names_of

A, C, K = 24, 8, 3
VECTORS = np.random.default_rng(0).normal(size=(A, 4)).astype(np.float32)
SERVING = make_serving(A, slate_size=K, n_candidates=C, history_length=4, item_features=VECTORS)
CATALOGUE = Catalogue(names_of(A))


def small_policy(nth: int = 0, **sizes: Any) -> Policy:
    """Items of random popularity, one a shelf, drawn by softmax; another `nth` is another one."""
    given = {"slate_size": K, "n_candidates": C, "history_length": 4, "item_features": VECTORS}
    serving = make_serving(A, **given | sizes)
    counts = np.exp(np.random.default_rng(nth).normal(size=A))
    policy = ScorePolicy(Popularity(serving, counts), Exploration(temperature=1.0))
    return constrained(policy, Cap("shelf", np.arange(A, dtype=np.int32) // 2, 1))


def saved(folder: Path, nth: int = 0, **sizes: Any) -> Path:
    """The same, saved in a folder of its own."""
    save(small_policy(nth, **sizes), folder / f"policy-{nth}")
    return folder / f"policy-{nth}"


def make_registry(folder: Path, count: int = 2, **settings: Any) -> tuple[Registry, list[str]]:
    """A registry with some versions, none of which is live."""
    registry = Registry(folder / "registry", **settings)
    versions = [
        registry.add(saved(folder, nth), catalogue=CATALOGUE, by="ann") for nth in range(count)
    ]
    return registry, versions
