"""User models: every entry of USERS, made with odd settings and served odd actions."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium
import numpy as np
from numpy.random import Generator

from experiments.reliability.fuzz.calls import Target
from experiments.reliability.fuzz.odd import Arguments, pick
from recsim_env import USERS
from recsim_env.vector import RecVectorEnv

SIZES: Arguments = {
    "slate_size": 2,
    "history_length": 3,
    "max_steps": 5,
    "session_ticks": 4,
    "penalty": 1.0,
    "on_invalid": "raise",
    "offer": "uniform",
    "threads": 1,
    "n_candidates": 4,
    "autoreset_mode": "SameStep",
}


def targets() -> list[Target]:
    """Doors of every user model."""
    return [target for name in sorted(USERS) for target in _doors(name)]


def _doors(name: str) -> list[Target]:
    return [
        Target(name=f"{name}.make", given=partial(_sizes, name), call=partial(played, name)),
        Target(name=f"{name}.settings", given=partial(_settings, name), call=partial(played, name)),
        Target(
            name=f"{name}.reset",
            given=_resets,
            call=partial(begun, name),
            refusals=(gymnasium.error.Error,),
        ),
        Target(name=f"{name}.step", given=partial(_action, name), call=partial(stepped, name)),
    ]


def make(name: str, **settings: Any) -> Any:
    """A world of three users."""
    return gymnasium.make_vec(f"recsim_env/{name}-v0", **{"num_envs": 3} | settings)


def played(name: str, **settings: Any) -> Any:
    """The observation after two steps."""
    env = make(name, **settings)
    env.reset(seed=0)
    env.action_space.seed(0)
    for _ in range(2):
        obs, *_ = env.step(env.action_space.sample())
    return obs


def begun(name: str, seed: Any, **options: Any) -> Any:
    """The first observation under options."""
    return make(name).reset(seed=seed, options=options)


def stepped(name: str, action: Any) -> Any:
    """What a step brings."""
    env = make(name)
    env.reset(seed=0)
    return env.step(action)


def _sizes(name: str, rng: Generator) -> Arguments:
    names = rng.choice(sorted(SIZES), size=3, replace=False).tolist()
    given = {k: SIZES[k] for k in names}
    if make(name).n_candidates is None:
        given.pop("n_candidates", None)
    return given | {"num_envs": 3}


def _settings(name: str, rng: Generator) -> Arguments:
    from dataclasses import fields

    env: RecVectorEnv = make(name).unwrapped
    config = env.config
    names = sorted(f.name for f in fields(config))
    few = rng.choice(names, size=min(2, len(names)), replace=False).tolist()
    return {k: v for k in few if (v := getattr(config, k)) is not None}


def _resets(rng: Generator) -> Arguments:
    return {
        "seed": pick((0, 7, [1, 2, 3]), rng),
        "reset_mask": np.array([True, False, True]),
        "sessions": np.array([[0, 3], [1, 0], [2, 9]]),
    }


def _action(name: str, rng: Generator) -> Arguments:
    env = make(name)
    env.action_space.seed(int(rng.integers(2**31)))
    return {"action": np.asarray(env.action_space.sample())}
