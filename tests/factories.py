"""What many tests build: small worlds, sizes and observations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import ArrayLike

import recsim_env  # noqa: F401  (registers the environments)
from policies import Observation, Serving

SIZES = {"n_items": 30, "slate_size": 2, "n_candidates": 6, "history_length": 5}


def make_env(num_envs: int = 16, **settings: Any) -> Any:
    """A small vector environment of Longplay; `settings` replace its sizes and add to them."""
    return gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=num_envs, **SIZES | settings)


def env_of(num_envs: int = 16, **sizes: Any) -> Callable[..., Any]:
    """`make_env` with other sizes where a test gives none."""

    def make(num_envs: int = num_envs, **settings: Any) -> Any:
        return make_env(num_envs, **sizes | settings)

    return make


def make_serving(
    n_items: int,
    *,
    slate_size: int = 2,
    history_length: int = 3,
    n_candidates: int | None = None,
    item_features: ArrayLike | None = None,
    user_size: int = 1,
    response_names: Sequence[str] = ("click",),
) -> Serving:
    """Sizes without an environment; items are told apart by an indicator each."""
    features = np.eye(n_items) if item_features is None else item_features
    return Serving(
        n_items=n_items,
        slate_size=slate_size,
        history_length=history_length,
        n_candidates=n_candidates,
        item_features=np.asarray(features, np.float32),
        user_size=user_size,
        response_names=tuple(response_names),
    )


def make_observation(
    history_items: ArrayLike,
    *,
    user: ArrayLike | None = None,
    candidates: ArrayLike | None = None,
    eligible: ArrayLike | None = None,
    n_responses: int = 1,
) -> Observation:
    """Users with histories (B, H) and responses of 0; the user vector is one 0 unless given."""
    items = np.asarray(history_items, np.int32)
    return Observation(
        history_items=items,
        history_responses=np.zeros((*items.shape, n_responses), np.float32),
        user=np.asarray(np.zeros((len(items), 1)) if user is None else user, np.float32),
        candidates=None if candidates is None else np.asarray(candidates, np.int32),
        eligible=None if eligible is None else np.asarray(eligible, bool),
    )
