"""Regret to a planner that reads what is hidden of the users, on the users that policies served."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.common.truth import mean
from experiments.common.worlds import EnvFactory
from experiments.compare.settings import Settings
from recsim_env import greedy_oracle, look_ahead, planning_oracle, session_returns
from recsim_env.oracles.oracle import Rule
from recsim_env.vector import RecVectorEnv

PLANNED_USERS = 256  # whose sessions are planned
NO_BOUND = (
    "The planner reads what is hidden of a user. Where no exact plan is known it looks ahead by "
    "the world's own rule of what an item does to later reward; that bounds nothing."
)


def first_sessions(n_sessions: int, slots: int) -> NDArray[np.int64]:
    """Numbers of the first session of each slot, at most 256, in a log of so many sessions that
    `policies.collect` has split evenly over the slots."""
    each = n_sessions // slots + (np.arange(slots) < n_sessions % slots)
    first = np.cumsum(each) - each
    return np.asarray(first[each > 0][:PLANNED_USERS], np.int64)


def planned(world: EnvFactory, settings: Settings, seed: int) -> dict[str, Any] | None:
    """Returns of the planning oracle on the first sessions of the users that `collect` serves under
    this seed, with the same random numbers; None where the world has no planner, and
    for a single user, of whom there is no interval."""
    n = len(first_sessions(settings.truth_sessions, settings.users))
    if n < 2:
        return None
    env = world.make(n)
    if not isinstance(env.unwrapped, RecVectorEnv):
        return None
    users, _ = np.random.SeedSequence(seed).spawn(2)  # as `collect` splits its seed
    start = int(users.generate_state(1)[0])
    rules: tuple[Rule, ...] = (look_ahead, greedy_oracle)
    if env.unwrapped.model.tabular is not None:
        rules = (planning_oracle(env),)
    totals = [session_returns(env, rule, seed=start).total for rule in rules]
    best = max(totals, key=lambda total: float(total.mean()))
    return {**asdict(mean(best, settings.level)), "returns": best.tolist()}


def regret(
    oracle: Mapping[str, Any] | None, returns: list[float] | None, level: float
) -> dict[str, float] | None:
    """What the planner earns more on the same users, with its paired interval."""
    if oracle is None or returns is None:
        return None
    return asdict(mean(np.array(oracle["returns"]) - np.array(returns), level))
