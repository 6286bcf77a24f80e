"""The audit finds what was planted in a log, and nothing in a good one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.traffic.benchmark.audit import audit
from experiments.traffic.record import Record
from policies import Banned, Cap, Repeats, constrained
from policies.baselines.uniform import uniform
from policies.rules.constraints import Rule
from serving import Decision, Engine, MemoryLog, Outcome, Request
from serving.contracts.events import read_event
from tests.factories import make_serving
from tests.serving.factories import make_engine, names_of

A = 12
SERVING = make_serving(A, slate_size=2, history_length=3, n_candidates=A, user_size=0)
ITEMS = np.arange(A, dtype=np.int32)
RULES: tuple[Rule, ...] = (
    Banned("odd", ITEMS == 5),
    Repeats("taken", ITEMS),
    Cap("shelf", ITEMS // 4, 1),
)


def served() -> tuple[Engine, MemoryLog, Record]:
    """Four users ask five times each, and take the first item each time."""
    log = MemoryLog()
    engine = make_engine(constrained(uniform(SERVING), *RULES), log)
    record = Record("r", 1.0)
    for n in range(20):
        user = f"user {n % 4}"
        ask = {"request_id": f"r/{n}", "user": user, "session": "s", "candidates": names_of(A)}
        decision = engine.decide(Request.from_json(ask | {"history": ["item-1", "item-2"]}))
        taken = {"decision_id": f"r/{n}", "user": user, "kind": "taken", "responses": {"click": 1}}
        outcome = Outcome.from_json(taken | {"outcome_id": f"o{n}", "item": decision.items[0]})
        engine.outcomes([outcome, outcome] if n % 5 == 0 else [outcome])
        record.decides.answer(record.decides.send(n, n, n), 200, n + 0.01)
        record.outcomes.answer(record.outcomes.send(n, n, n), 200, n + 0.02)
        record.reports.append((f"o{n}",))
    return engine, log, record


def test_a_good_log_has_nothing_to_find() -> None:
    _, log, record = served()
    found = audit(log, SERVING, RULES, [record])
    assert (found.decisions, found.outcomes) == (20, 24)
    assert found.violations == found.skewed == found.gaps == found.fallbacks == 0
    assert found.lost_decisions == found.lost_outcomes == found.lost_fallbacks == 0


@pytest.mark.parametrize(
    ("rule", "slate"),
    [("odd", (5, 0)), ("taken", (1, 9)), ("shelf", (8, 9))],
)
def test_a_slate_that_breaks_a_rule_is_counted(rule: str, slate: tuple[int, int]) -> None:
    _, log, _ = served()
    first = read_event(log.events[0])
    assert isinstance(first, Decision)
    log.events[0] = replace(first, slate=slate).to_json()
    found = audit(log, SERVING, [one for one in RULES if one.name == rule])
    assert found.violations == 1


def test_what_was_taken_before_counts_for_later_slates() -> None:
    """The history that the audit makes grows by outcomes, and by each decision's first only."""
    _, log, _ = served()
    decisions = [(n, read_event(event)) for n, event in enumerate(log.events)]
    last, decision = [(n, one) for n, one in decisions if isinstance(one, Decision)][-1]
    assert isinstance(decision, Decision)
    earlier = [one for _, one in decisions if isinstance(one, Decision)]
    own = [one for one in earlier[:-1] if one.user == decision.user]
    again = own[-1].slate[0]  # which was taken
    other = next(item for item in range(A) if item // 4 != again // 4)
    log.events[last] = replace(decision, slate=(again, other)).to_json()
    assert audit(log, SERVING, [RULES[1]]).violations >= 1


def test_what_is_missing_is_counted() -> None:
    engine, log, record = served()
    lost = read_event(log.events.pop())  # an outcome
    assert type(lost).__name__ == "OutcomeEvent"
    log.events.pop()
    found = audit(log, SERVING, RULES, [record])
    assert (found.lost_decisions, found.lost_outcomes) == (1, 1)
    record.fallback[19] = "event log"
    record.outcomes.status[19] = 503
    found = audit(log, SERVING, RULES, [record])
    assert (found.lost_decisions, found.lost_fallbacks, found.lost_outcomes) == (0, 1, 0)
    assert engine.events is log


def test_a_session_whose_beginning_was_not_logged_is_told_apart() -> None:
    _, log, _ = served()
    first = read_event(log.events[0])
    assert isinstance(first, Decision)
    assert first.step == 0
    found = audit(log, SERVING, RULES)
    del log.events[0]
    less = audit(log, SERVING, RULES)
    assert (found.incomplete, less.incomplete, less.skewed) == (0, 4, 0)


def test_another_history_than_the_logs_is_seen() -> None:
    _, log, _ = served()
    at, outcome = next(
        (n, event)
        for n, event in enumerate(map(read_event, log.events))
        if not isinstance(event, Decision)
    )
    log.events[at] = replace(outcome, responses=(0.5,)).to_json()  # type: ignore[type-var]
    found = audit(log, SERVING, RULES)
    assert found.skewed == 3  # later decisions of that user, until three others were taken
