"""The small service whose days are played: its users, its versions, and how it is rolled out."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from experiments.common.building import build_with
from experiments.common.worlds import make_env
from experiments.live.service import add_policy
from experiments.live.users.crowd import DAY, Crowd
from policies import Cap, Policy, build, collect, constrained
from policies.rules.constraints import Rule
from serving import Registry
from serving.rollout.rule import RolloutRule

SEED = 11  # of what the first version learns from; no run has it
ITEMS = 60
SHELVES = 6  # of which a slate shows at most two items each
WARM_SESSIONS = 400
WEIGHT = 0.25  # share of users that the canary serves while something breaks
PACE = 30.0  # this service has about one decision a minute, where the table's windows are made for
# tens and more: windows and limits of time are so many times as long here
MAKE = partial(
    make_env,
    "recsim_env/Longplay-v0",
    n_items=ITEMS,
    slate_size=3,
    n_candidates=12,
    history_length=8,
    max_steps=8,
)
CROWD = Crowd(users=300, daily=0.8, think=480.0, longest_delay=479.0, pattern="flat")
HOUR = 3600.0


class Versions(NamedTuple):
    """What is in the registry that every day begins with."""

    folder: Path
    live: str
    canary: str  # as good as what is live
    rules: tuple[Rule, ...]  # of both


def rollout_rule() -> RolloutRule:
    """The rollout that goes on while something breaks: its first stage lasts for longer than the
    days that are played."""
    return RolloutRule(
        stages=(WEIGHT, 0.5, 1.0),
        margin=0.1,
        per="user",
        tuned_at=CROWD.daily * CROWD.users,
        least_users=10,
        least_seconds=4 * DAY,
        last_seconds=4 * DAY,
        recent_seconds=0.25 * DAY,
        most_seconds=14 * DAY,
        shadow_decisions=0,
        silent_seconds=HOUR,
        lost_seconds=4 * HOUR,
    )


def shelves() -> Cap:
    """The rule that all slates are under."""
    return Cap("shelf", (np.arange(ITEMS) % SHELVES).astype(np.int32), 2)


def taught(temperature: float) -> Policy:
    """A version: what users of uniform slates rated, softened by a temperature, under the rule."""
    env = MAKE(64)
    policy = build_with("top_rated", env, {"temperature": temperature}, {})
    policy.update(collect(env, build("uniform", env), n_sessions=WARM_SESSIONS, seed=SEED))
    return constrained(policy, shelves())


@cache
def versions() -> Versions:
    """Made once in a process."""
    folder = Path(tempfile.mkdtemp(prefix="longplay-faults-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    registry = Registry(folder / "registry", clock=lambda: 0.0)
    live, canary = (
        add_policy(registry, taught(temperature), note)
        for temperature, note in ((8.0, "the first"), (7.0, "explores a little less"))
    )
    registry.promote(live, by="somebody", why="the first")
    return Versions(folder / "registry", live, canary, (shelves(),))
