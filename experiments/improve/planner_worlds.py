"""Worlds of `longplay benchmark planners`, and who serves the log in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from experiments.common.worlds import WorldSizes, env_id, from_data, make_env


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannerWorld:
    """A world and its logging policy."""

    make: Callable[[int], Any]  # number of parallel users -> environment
    temperature: float | None  # of the softmax over mean ratings that serves; None: uniform slates
    sessions: int  # that are learnt from
    about: str  # one sentence for the table
    real: bool = False  # of real items and users: needs their data


def real_items(data: str, num_envs: int) -> Any:
    """The Longplay world on real items and users."""
    sizes = WorldSizes(slate_size=3, n_candidates=20, history_length=20, max_steps=30)
    return from_data(data, None, sizes).make(num_envs)


def of(env: str, **sizes: Any) -> Callable[[int], Any]:
    """Makes such environments."""
    return partial(make_env, env_id(env), **sizes)


LONGPLAY = {"slate_size": 3, "n_candidates": 20, "history_length": 20}
WORLDS = {
    "Longplay": PlannerWorld(
        make=of("Longplay", **LONGPLAY, max_steps=30),
        temperature=8.0,
        sessions=12_000,
        about="Minutes in 30 decisions, slates of 3 of 20; top_rated of temperature 8 served.",
    ),
    "Longplay, whole": PlannerWorld(
        make=of("Longplay", **LONGPLAY, max_steps="model"),
        temperature=None,
        sessions=16_000,
        about="Minutes of whole sessions, slates of 3 of 20; uniform slates were served.",
    ),
    "Boredom": PlannerWorld(
        make=of("Boredom"), temperature=None, sessions=2000, about="Uniform slates were served."
    ),
    "InterestEvolution": PlannerWorld(
        make=of("InterestEvolution", slate_size=3, n_candidates=10),
        temperature=None,
        sessions=8000,
        about="Slates of 3 of 10; uniform slates were served.",
    ),
    "Retention": PlannerWorld(
        make=of("Retention"), temperature=None, sessions=2000, about="Uniform slates were served."
    ),
    "ml-100k": PlannerWorld(
        make=partial(real_items, "ml-100k"),
        temperature=8.0,
        sessions=12_000,
        about="Longplay on the items and users of ml-100k, otherwise as Longplay.",
        real=True,
    ),
}
