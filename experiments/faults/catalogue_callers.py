"""Faults of those who call: users who change, users who are new, bots, and what is reported."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from functools import cache

from experiments.common.building import build_with
from experiments.faults.releases import FITTED, Made, made
from experiments.faults.service.crowds import Bots, Wave
from experiments.faults.service.doors import stand_before
from experiments.faults.service.fault import Fault
from experiments.faults.service.parts import Parts
from experiments.faults.service.readings import joined
from experiments.faults.service.reports import Reports, late_by, sent_again, under_other_ids
from experiments.faults.service.world import CROWD, MAKE, SEED, shelves
from experiments.live.service import add_policy
from policies import constrained
from serving.sessions.memory import User

ALIKE = replace(CROWD, shared=1.5)  # whose interests are most of all one direction
LEARNT = 3  # days that a version learns from
LITTLE = 0.05  # share of slates at random of what has learnt
WAVE = 0.7  # share of the sessions that begin
BOTS, PAY, STEPS = 6, 4.0, 8  # accounts, what they report of a slate, decisions of a session
TIMES, APART = 3, 120.0  # how often an outcome is sent, s between
LATE = 1_200.0  # s: twice the window of the join


@cache
def learnt() -> Made:
    """What is learnt from days of such users, of a seed that no run has; once in a process."""
    with closing(Parts(SEED, now=0.0, crowd=ALIKE)) as parts:
        for day in range(LEARNT):
            parts.players.day(day, parts)
        log = joined(parts)[0].log
    assert log is not None
    policy = build_with("one_step", MAKE(1), {"temperature": FITTED}, {})
    policy.update(log)
    return Made(constrained(policy, shelves()), made().random)


def learnt_service(seed: int, *, now: float, users: dict[str, User] | None = None) -> Parts:
    """A service that has learnt what its users like, who share a direction of interest."""
    parts = Parts(seed, now=now, users=users, crowd=ALIKE)
    live = add_policy(parts.registry, learnt().mixed(LITTLE), "has learnt")
    parts.registry.promote(live, by="somebody", why="has learnt")
    parts.watcher.check()
    return parts


def roll_out_like(parts: Parts) -> None:
    """A canary that is as good as what has learnt."""
    version = add_policy(parts.registry, learnt().mixed(2 * LITTLE), "explores a little more")
    parts.roll_out(version)


def turn(parts: Parts) -> None:
    """What users like is mirrored."""
    parts.players.turn()


def wave(parts: Parts) -> None:
    """Most sessions are of people whom nobody knows."""
    now = parts.clock.now
    stand_before(parts, lambda door: Wave(door, now, WAVE, parts.seed, now=now))


def bots(parts: Parts) -> None:
    """Accounts that take what stands first, and say that it was worth much."""
    now = parts.clock.now
    stand_before(parts, lambda door: Bots(door, now, BOTS, PAY, STEPS, now=now))


def again(parts: Parts) -> None:
    """Each outcome is sent three times, under its own id."""
    now = parts.clock.now
    stand_before(parts, lambda door: Reports(door, now, sent_again(TIMES, APART), now=now))


def twice(parts: Parts) -> None:
    """Each outcome is sent twice, under two ids."""
    now = parts.clock.now
    stand_before(parts, lambda door: Reports(door, now, under_other_ids, now=now))


def late(parts: Parts) -> None:
    """Outcomes come when their time is over."""
    now = parts.clock.now
    stand_before(parts, lambda door: Reports(door, now, late_by(LATE), now=now))


CALLERS = (
    Fault(
        name="f3-drift",
        title="F3 preference drift",
        stands_for="what users like is mirrored at once, and so is what they find good of items",
        inject=turn,
        prepare=roll_out_like,
        make=learnt_service,
        days=3,
        seen_by=("LongplayDrift", "LongplaySessionReward"),
    ),
    Fault(
        name="f6-new-users",
        title="F6 a wave of new users",
        stands_for=f"{WAVE:.0%} of the sessions that begin are of users without a history",
        inject=wave,
        seen_by=("LongplayNewUsers",),
    ),
    Fault(
        name="f7-bots",
        title="F7 bots",
        stands_for=f"{BOTS} accounts that ask whenever people do, take what stands first and "
        "report that it was worth much",
        inject=bots,
        seen_by=("LongplayBots", "LongplayTopUsers"),
    ),
    Fault(
        name="outcomes-again",
        title="outcomes sent three times",
        stands_for="a caller that sends again what was acknowledged, under the same ids",
        inject=again,
        unseen="nothing is wrong: an outcome counts once, by its id, in the history, in the join "
        "and in the rollout; the join's `duplicate_outcomes` says how many came again",
    ),
    Fault(
        name="outcomes-twice",
        title="outcomes under two ids",
        stands_for="a caller that sends each outcome twice and makes a new id each time",
        inject=twice,
        seen_by=("LongplayDrift", "count: further_taken"),
    ),
    Fault(
        name="outcomes-late",
        title="late outcomes",
        stands_for=f"outcomes come {LATE / 60:.0f} minutes late, after the window of the join",
        inject=late,
        seen_by=("LongplayOutcomesKnown", "count: late_outcomes", "LongplaySessionReward"),
    ),
)
