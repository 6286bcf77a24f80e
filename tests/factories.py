"""What many tests build: small worlds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium

import recsim_env  # noqa: F401  (registers the environments)

SIZES = {"n_items": 30, "slate_size": 2, "n_candidates": 6, "history_length": 5}


def make_env(num_envs: int = 16, **settings: Any) -> Any:
    """A small vector environment of Longplay; `settings` replace its sizes and add to them."""
    return gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=num_envs, **SIZES | settings)


def env_of(num_envs: int = 16, **sizes: Any) -> Callable[..., Any]:
    """`make_env` with other sizes where a test gives none."""

    def make(num_envs: int = num_envs, **settings: Any) -> Any:
        return make_env(num_envs, **sizes | settings)

    return make
