"""Environments as policies meet them: under wrappers, one by one, or many users side by side."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:  # a server of policies has no environment
    from gymnasium.vector import VectorEnv

P = ParamSpec("P")
T = TypeVar("T")

_serving: dict[int, object] = {}  # environments in use, by id, each with the call that uses it

HAPPENED = ("consumed", "responses", "position_reward")  # what infos say of a decision


def attribute(env: Any, name: str) -> Any:
    """What an environment says of itself: wrappers hand on its methods alone, and vectors of single
    environments have to be asked for what these say.

    Raises AttributeError where none of them says it.
    """
    inner = env.unwrapped
    for one in (env, inner):
        if hasattr(one, name):
            return getattr(one, name)
    if not hasattr(inner, "get_attr"):
        raise AttributeError(f"{type(inner).__name__} has no attribute {name!r}")
    return inner.get_attr(name)[0]


def vectorised(env: Any) -> VectorEnv[Any, Any, Any]:
    """A vector environment as it is; a single one, under whatever wrappers, as a vector of one."""
    from gymnasium import Env
    from gymnasium.vector import AutoresetMode, SyncVectorEnv

    if not isinstance(env, Env):
        return env  # type: ignore[no-any-return]
    return SyncVectorEnv([lambda: env], autoreset_mode=AutoresetMode.SAME_STEP)


def lean(env: VectorEnv[Any, Any, Any]) -> AbstractContextManager[None]:
    """Within it an environment under no wrapper leaves out of its observations what no policy is
    shown: the features of candidates, which are most of their bytes."""
    leave_out = getattr(env, "without_features", None) if env is env.unwrapped else None
    return nullcontext() if leave_out is None else leave_out()


def one_at_a_time(function: Callable[P, T]) -> Callable[P, T]:
    """The same function of an environment, its first argument, which it has for itself.

    Raises RuntimeError where another call, of another thread or around this one, has it.
    """

    @wraps(function)
    def alone(*args: P.args, **kwargs: P.kwargs) -> T:
        env: Any = args[0] if args else kwargs.get("env")
        core, call = id(getattr(env, "unwrapped", env)), object()
        if _serving.setdefault(core, call) is not call:
            raise RuntimeError(
                "this environment is already being served, by another thread or by a call around "
                "this one, and both would get sessions of which the other served a part: make "
                "another environment, or copy.deepcopy(env)"
            )
        try:
            return function(*args, **kwargs)
        finally:
            del _serving[core]

    return alone


def happened(infos: dict[str, Any], ended: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
    """What infos say of the decisions of N users; of the sessions that ended (N,) `final_info` says
    it where the infos are already those of the next session.

    Raises ValueError for infos that lack it.
    """
    if not isinstance(infos, dict):
        raise ValueError(
            f"the environment's infos are a {type(infos).__name__}, not a dictionary of arrays: "
            "leave out the wrapper that changes them (DictInfoToList)"
        )
    return {name: _told(infos, name, ended) for name in HAPPENED}


def _told(infos: dict[str, Any], name: str, ended: NDArray[np.bool_]) -> NDArray[Any]:
    now, last = infos.get(name), infos.get("final_info", {}).get(name)
    if now is not None and (last is None or np.all(infos.get(f"_{name}", True))):
        return np.asarray(now)
    if last is None:
        raise ValueError(
            f"the environment's infos do not say {name!r}: a log is made of {', '.join(HAPPENED)}, "
            "so hand on the infos of the environment that is wrapped"
        )
    if now is None:
        return np.asarray(last)
    whole: NDArray[Any] = np.where(ended.reshape(-1, *[1] * (np.ndim(last) - 1)), last, now)
    return whole


def fixed_slates(infos: dict[str, Any], ended: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which slates (N,) the environment changed before it showed them."""
    none = np.zeros(len(ended), np.bool_)
    last = infos.get("final_info", {}).get("invalid", none)
    return np.asarray(infos.get("invalid", none) | (ended & np.asarray(last, np.bool_)), np.bool_)
