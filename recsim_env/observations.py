"""Observations and infos: the arrays of a step as the dictionaries that Gymnasium expects."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator, ValuesView
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recsim_env.kernel.state import Outcome, View

Observation = dict[str, NDArray[Any]]
UNREAD = object()  # stands where nobody has read yet


class StepInfos(dict[str, Any]):
    """Infos of a step in which sessions ended. The dictionaries of `final_obs`, which take a
    seventh of the time of a step and which few callers read, are made when the entry is first read;
    read, copied or printed, it is what a plain dictionary would hold.
    """

    def __init__(self, infos: dict[str, Any], make: Callable[[], NDArray[np.object_]]) -> None:
        """`make` gives the entry `final_obs`, which stands last until others are added."""
        super().__init__(infos)
        self._make = make
        self["final_obs"] = UNREAD

    def _read(self) -> None:
        if super().get("final_obs") is UNREAD:
            self["final_obs"] = self._make()

    def __getitem__(self, key: str) -> Any:
        if key == "final_obs":
            self._read()
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        """As a dictionary's."""
        if key == "final_obs":
            self._read()
        return super().get(key, default)

    def pop(self, key: str, *default: Any) -> Any:
        """As a dictionary's."""
        self._read()
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        """As a dictionary's."""
        self._read()
        return super().popitem()

    def setdefault(self, key: str, default: Any = None) -> Any:
        """As a dictionary's."""
        self._read()
        return super().setdefault(key, default)

    def __iter__(self) -> Iterator[str]:  # of its own, for `dict(infos)` then asks for every entry
        return super().__iter__()

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]
        """As a dictionary's."""
        self._read()
        return super().items()

    def values(self) -> ValuesView[Any]:  # type: ignore[override]
        """As a dictionary's."""
        self._read()
        return super().values()

    def copy(self) -> dict[str, Any]:
        """A plain dictionary."""
        return dict(self)

    def __or__(self, other: Any) -> Any:
        return dict(self) | other

    def __ror__(self, other: Any) -> Any:
        return other | dict(self)

    def __eq__(self, other: object) -> bool:
        return dict(self) == other

    def __ne__(self, other: object) -> bool:
        return dict(self) != other

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> Any:
        return dict, (dict(self),)


def observation_dict(view: View, responses: int) -> Observation:
    """An observation's arrays by name, of R responses; candidates only where they are drawn, and
    their features only where they are not left out."""
    n, h = view.history_items.shape
    obs: Observation = {
        "history_items": view.history_items,
        "history_responses": view.history_responses.reshape(n, h, responses),
        "user": view.user,
    }
    if view.candidates.shape[1]:
        obs["candidates"] = view.candidates
        if view.candidate_features.shape[2]:
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
