"""Arrays of a step as the dictionaries that Gymnasium wants."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.kernel.state import Outcome, View

Observation = dict[str, NDArray[Any]]


def named(view: View, responses: int) -> Observation:
    """An observation's arrays by name, of R responses; candidates only where they are drawn."""
    n, h = view.history_items.shape
    obs: Observation = {
        "history_items": view.history_items,
        "history_responses": view.history_responses.reshape(n, h, responses),
        "user": view.user,
    }
    if view.candidates.shape[1]:
        obs["candidates"] = view.candidates
        obs["candidate_features"] = view.candidate_features
    return obs


def infos_of(outcome: Outcome) -> dict[str, Any]:
    """What happened beside the reward, and masks (N,) that say it is there for every slot."""
    infos: dict[str, Any] = {
        "consumed": outcome.consumed,
        "responses": outcome.responses,
        "position_reward": outcome.position_reward,
    }
    masks = np.ones((3, len(outcome.consumed)), np.bool_)
    infos["_consumed"], infos["_responses"], infos["_position_reward"] = masks
    return infos


def one_by_one(rows: NDArray[np.int64], last: Observation, n: int) -> NDArray[np.object_]:
    """Observations (n,) as dictionaries: those of `rows`, of which `last` has one each, or None."""
    base = last.pop("history_items"), last.pop("history_responses"), last.pop("user")
    each: list[Observation] = [
        {"history_items": items, "history_responses": responses, "user": user}
        for items, responses, user in zip(*base, strict=True)
    ]
    for name, array in last.items():
        for one, row in zip(each, array, strict=True):
            one[name] = row
    final = np.full(n, None, dtype=object)
    final[rows] = each
    return final
