"""What models of other libraries are shown: rows of user and item, or an environment's arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from policies.observation import Observation, Serving, candidate_items

F32 = NDArray[np.float32]


def item_rows(obs: Observation, serving: Serving) -> F32:
    """(B, C, U + F): for every candidate the user's vector, then the item's features."""
    ids = np.maximum(candidate_items(obs, serving.n_items), 0)
    items = serving.item_features[ids]
    users = np.broadcast_to(obs.user[:, None], (*ids.shape, obs.user.shape[1]))
    return np.concatenate([users, items], axis=2, dtype=np.float32)


def environment_arrays(obs: Observation, serving: Serving) -> dict[str, NDArray[Any]]:
    """The observation (B, ...) as environments of one user give it, tables as vectors."""
    b = len(obs)
    arrays: dict[str, NDArray[Any]] = {
        "history_items": obs.history_items,
        "history_responses": obs.history_responses.reshape(b, -1),
        "user": obs.user,
    }
    if obs.candidates is not None:
        shown = serving.item_features[np.maximum(obs.candidates, 0)]
        arrays["candidates"] = obs.candidates
        arrays["candidate_features"] = shown.reshape(b, -1)
    width = serving.columns
    mask = np.ones((b, width), np.bool_) if obs.eligible is None else obs.eligible
    return arrays | {"action_mask": mask.astype(np.int8)}
