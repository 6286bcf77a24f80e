"""Observations and infos: the arrays of a step as the dictionaries that Gymnasium expects."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.kernel.state import Outcome, View

Observation = dict[str, NDArray[Any]]


def observation_dict(view: View, responses: int) -> Observation:
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


def info_dict(outcome: Outcome, invalid: NDArray[np.bool_] | None = None) -> dict[str, Any]:
    """What happened beside the reward, which slates (N,) were fixed where slates are, and masks
    (N,) that say it is there for every slot."""
    every = np.ones((4, len(outcome.consumed)), np.bool_)
    infos: dict[str, Any] = {
        "consumed": outcome.consumed,
        "responses": outcome.responses,
        "position_reward": outcome.position_reward,
        "_consumed": every[0],
        "_responses": every[1],
        "_position_reward": every[2],
    }
    if invalid is not None:
        infos["invalid"], infos["_invalid"] = invalid, every[3]
    return infos


def final_info(infos: dict[str, Any], ended: NDArray[np.bool_]) -> dict[str, Any]:
    """What happened at the last decision of the sessions that ended (N,): the same arrays, whose
    masks say that they stand there for these sessions alone."""
    last = {name: ended if name[0] == "_" else value for name, value in infos.items()}
    for name in ("final_info", "_final_info", "final_obs", "_final_obs"):
        last.pop(name, None)
    return last


def final_observations(rows: NDArray[np.int64], last: Observation, n: int) -> NDArray[np.object_]:
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
