"""Events of a rollout without an engine: decisions of users in both arms, and what came of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from serving.contracts.decisions import Decision
from serving.contracts.outcomes import OutcomeEvent
from serving.events.memory import MemoryLog
from serving.hashes import rules_hash

ROLLOUT = "r1"
ITEMS, K = 6, 2
NO_RULES = rules_hash(())


def decision(
    nth: int, user: str, time: float, *, weight: float = 0.5, canary: bool = False, **changed: Any
) -> Decision:
    """The only one of its session unless `changed` says otherwise."""
    known = Decision(
        decision_id=f"d{nth}", time=time, user=user, session=f"s{nth}", began=f"d{nth}", step=0,
        slate=(nth % ITEMS, (nth + 1) % ITEMS), items=("a", "b"), propensity=0.25,
        position_propensity=(0.5, 0.5), candidates=None, candidate_propensity=None, context=(),
        policy="new" if canary else "old", rules=NO_RULES, history_version=0, history_hash="h",
        history_age=None, prior_items=(), prior_responses=(), unknown_items=0, fallback=None,
        worked_ms=2.0, waited_ms=1.0, arm="canary" if canary else "control",
        rollout=f"{ROLLOUT}@{weight:g}",
    )  # fmt: skip
    return replace(known, **changed)


def outcome(
    of: Decision, delay: float, *, kind: str = "liked", nth: int = 0, **changed: Any
) -> OutcomeEvent:
    """One that counts, unless `changed` says otherwise."""
    known = OutcomeEvent(
        outcome_id=f"{of.decision_id}/{kind}/{nth}", decision_id=of.decision_id, user=of.user,
        kind=kind, item=of.slate[0], value=1.0, responses=(), client_time=None,
        time=of.time + delay,
    )  # fmt: skip
    return replace(known, **changed)


def messy(
    seed: int, n: int = 400, *, users: int = 40, window: float = 60.0, reused_ids: bool = True
) -> list[Decision | OutcomeEvent]:
    """Decisions of users over some 40 minutes and two stages, with outcomes in time, late, early,
    foreign, of nobody, sent twice under one id with other words, and a decision that a conflict
    takes away. reused_ids: some decisions say something else under an id that was given."""
    rng = np.random.default_rng(seed)
    events: list[Decision | OutcomeEvent] = []
    of_session = rng.integers(users, size=n)
    for nth in range(n):
        u = int(of_session[nth // 4])
        time = float(np.round(1_000 + 6.0 * nth + rng.uniform(0, 5), 3))
        one = decision(
            nth, f"user {u}", time, weight=0.05 if nth < n // 2 else 0.25, canary=u % 3 == 0,
            session=f"s{nth // 4}", began=f"d{nth // 4}", step=int(nth % 4),
        )  # fmt: skip
        events.append(one)
        for k in range(int(rng.integers(0, 3))):
            delay = float(rng.uniform(-0.1, 1.3) * window)
            kind = str(rng.choice(["liked", "skipped", "terminated"]))
            came = outcome(one, delay, kind=kind, nth=k, value=float(rng.integers(1, 5)))
            events.append(came)
            if rng.random() < 0.1:
                events.append(replace(came, value=99.0, time=came.time + 1.0))  # the same id
            if rng.random() < 0.05:
                events.append(replace(came, outcome_id=f"x{nth}{k}", user="somebody else"))
            if rng.random() < 0.05:
                events.append(replace(came, outcome_id=f"y{nth}{k}", item=ITEMS - 1 - one.slate[0]))
            if rng.random() < 0.05:
                events.append(replace(came, outcome_id=f"z{nth}{k}", decision_id=f"no {nth}"))
        if rng.random() < 0.05:
            events.append(replace(one, decision_id=f"e{nth}", time=time + 0.5))  # the same step
        if rng.random() < 0.05 and reused_ids:
            events.append(replace(one, slate=(ITEMS - 1, 0), time=time + 0.5))  # the same id
    return events


def logged(events: list[Decision | OutcomeEvent], writer: str = "memory") -> MemoryLog:
    """A log of them in this order."""
    log = MemoryLog(writer)
    for event in events:
        log.append(event.to_json())
    return log


def shuffled(
    events: list[Decision | OutcomeEvent], seed: int, share: float = 0.2
) -> list[Decision | OutcomeEvent]:
    """In another order, some of them twice."""
    rng = np.random.default_rng(seed)
    twice = [
        *events,
        *(events[i] for i in rng.permutation(len(events))[: int(share * len(events))]),
    ]
    return [twice[i] for i in rng.permutation(len(twice))]
