"""One rollout from its first user to its end, on a simulated clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from experiments.rollout.ledger import Ledger
from experiments.rollout.traffic import DAY, F64, Change, Traffic, Users
from serving.rollout.actions import Step
from serving.rollout.beginning import begin
from serving.rollout.rule import RolloutRule
from serving.rollout.state import RolloutState
from serving.rollout.step import step
from serving.rollout.window import Shares, Window

ERRORS, SLOW = 0.002, 0.005  # shares of the canary's decisions, inside their limits
DECISIONS = 10  # of a session

Decide = Callable[[RolloutState, Window, RolloutRule], Step]


class Played(NamedTuple):
    """How a rollout ended."""

    phase: str  # done, held, rolled_back
    kind: str  # of the stop: soft, hard, or none
    days: float
    looks: int
    weight: float  # before the end
    users: int  # that met the canary
    minutes: float  # that users spent in the canary, by what a session returns
    lost: float  # reward that users would have had more under control
    whole: float  # reward of everybody in that time, under control


def play(
    traffic: Traffic,
    pool: F64,
    change: Change,
    rule: RolloutRule,
    seed: list[int],
    *,
    every: float = DAY / 2,
    decide: Decide = step,
    compare: bool = True,
    on_step: Callable[[Window, Step], None] | None = None,
) -> Played:
    """Sessions come, a look is taken `every` so many seconds, and the step is followed, until it
    ends or a person would be asked. Without `compare`, windows have no differences."""
    rng = np.random.default_rng(seed)
    users = Users(traffic, pool, rng)
    ledger, time, looks = Ledger(users.point, rule), 0.0, 0
    state = begin(rule, rollout="simulated", version="canary", time=time).state
    ledger.open(state.weight, time)
    minutes = lost = whole = 0.0
    while True:
        met, canary = (
            users.play(time, time + every, state.weight, change),
            users.point < state.weight,
        )
        ledger.add(met, time)
        minutes += float(met.paid[canary].sum())
        lost += float(met.lost.sum())
        whole += float(met.paid.sum() + met.lost.sum())
        time, looks, before = time + every, looks + 1, state.weight
        n = int(met.sessions[canary].sum()) * DECISIONS
        window = ledger.window(time, _hard(n, rng), compare=compare)
        did = decide(state, window, rule)
        if on_step is not None:
            on_step(window, did)
        state = did.state
        if state.final or state.phase == "held":
            kind = did.reason.split(": ")[1] if state.phase == "rolled_back" else ""
            exposed = int((users.met > 0).sum())
            return Played(
                state.phase, kind, time / DAY, looks, before, exposed, minutes, lost, whole
            )
        if state.weight != before:
            ledger.open(state.weight, time)


def _hard(decisions: int, rng: np.random.Generator) -> Shares:
    """A canary that answers as it should."""
    errors, slow = (int(rng.binomial(decisions, share)) for share in (ERRORS, SLOW))
    return Shares(
        decisions=decisions,
        errors=errors,
        fallbacks=0,
        slow=slow,
        violations=0,
        mean_weight_low=0.99,
        mean_weight_high=1.01,
    )
