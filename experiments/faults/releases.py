"""Days on which a canary that is not what it seems is rolled out: larger crowds, and nothing else
that breaks."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

from experiments.common.building import build_with
from experiments.faults.service.canaries import Around, wrap_canary
from experiments.faults.service.hearing import Hearing
from experiments.faults.service.parts import Parts
from experiments.faults.service.world import CROWD, MAKE, SEED, WARM_SESSIONS, WEIGHT, shelves
from experiments.live.service import JOIN, add_policy
from experiments.live.users.crowd import DAY
from offpolicy import LoggedDataset
from policies import Policy, build, collect, constrained
from policies.improve.path import between
from serving.rollout.controller import start
from serving.rollout.rule import RolloutRule
from serving.rollout.state import FINAL

CROWD_OF_RELEASES = replace(CROWD, users=4_000, daily=0.25)
RULE = RolloutRule(
    stages=(WEIGHT, 0.5, 1.0),
    goal="superior",  # the canary is said to be better
    tuned_at=1_500,
    shadow_decisions=0,
    silent_seconds=3_600.0,
    lost_seconds=4 * 3_600.0,
)
LOOK = 2 * 3_600.0  # s between two looks
LIVE, BETTER, WORSE = 0.41, 0.0, 0.78  # shares of slates at random: each is about a tenth of the
# value of LIVE away from the next one
FITTED = 0.2  # temperature of what was learnt

Record = dict[str, Any]
Judge = Callable[[Parts, LoggedDataset | None], Record]
Canary = Callable[[Parts, float], Around]


class Made(NamedTuple):
    """Policies under the rule of the shelves: what was learnt, and slates at random."""

    learnt: Policy
    random: Policy

    def mixed(self, share: float) -> Policy:
        """What was learnt, but for a share of slates at random."""
        return between(self.learnt, self.random, share, "mixture")


@cache
def made(temperature: float = FITTED) -> Made:
    """Once in a process."""
    env = MAKE(64)
    warm = collect(env, build("uniform", env), n_sessions=WARM_SESSIONS, seed=SEED)
    policy = build_with("one_step", env, {"temperature": temperature}, {})
    policy.update(warm)
    return Made(constrained(policy, shelves()), constrained(build("uniform", env), shelves()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """A canary that is not what it seems.

    said: share of slates at random of what is released. around: what stands around it as it is
        served, made from the service and the moment (s) of the turn.
    turn: days after the rollout begins at which it is no more what it was; detection counts from
        there. days: that are played, at most.
    """

    name: str
    title: str
    stands_for: str
    said: float
    around: Canary | None = None
    turn: float = 0.0
    days: int = 3
    seen_by: tuple[str, ...] = ()
    unseen: str = ""

    def detection(self, fired: dict[str, int]) -> int | None:
        """Decisions from the turn to the first signal that ought to see it; None: none did."""
        return min((n for key, n in fired.items() if key in self.seen_by), default=None)


class _OverError(Exception):
    """The rollout has ended: nothing more is to be seen."""


def play_release(release: Release, seed: int, *, judge: Judge | None = None) -> Record:
    """One run, as `experiments.faults.day.play` tells it."""
    with closing(Parts(seed, now=0.0, crowd=CROWD_OF_RELEASES)) as parts:
        _begin(parts, release)
        hearing = Hearing(parts)
        moment, began = release.turn * DAY, list[int]()
        due = [LOOK]

        def each(now: float) -> None:
            if not began and now >= moment:
                began.append(parts.decisions)
            if now < due[0]:
                return
            due[0] += LOOK
            hearing.look()
            if hearing.steps and hearing.steps[-1]["phase"] in FINAL:
                raise _OverError

        try:
            for day in range(release.days):
                parts.players.day(day, parts, each)
        except _OverError:
            pass
        start_of = began[0]
        return {
            "fault": release.name,
            "seed": seed,
            "moment": moment,
            "decisions": parts.decisions,
            "after": parts.decisions - start_of,
            "before": sorted(key for key, n in hearing.fired.items() if n <= start_of),
            "fired": {k: n - start_of for k, n in hearing.fired.items() if n > start_of},
            "steps": hearing.steps,
            "judged": {} if judge is None else judge(parts, None),
        }


def _begin(parts: Parts, release: Release) -> None:
    """What is live is worth what it is, and the canary's rollout begins."""
    live = add_policy(parts.registry, made().mixed(LIVE), "serves")
    version = add_policy(parts.registry, made().mixed(release.said), "said to be better")
    parts.registry.promote(live, by="somebody", why="before the release")
    parts.watcher.check()
    if release.around is not None:
        wrap_canary(parts.engine, release.around(parts, release.turn * DAY))
    said = hashlib.sha256(f"{parts.seed} {version}".encode()).hexdigest()
    start(
        parts.registry, parts.log, version, RULE, JOIN, by="somebody", why="a release",
        clock=parts.clock, drawn=(said[:6], said[6:22]),
    )  # fmt: skip
    parts.watcher.check()
