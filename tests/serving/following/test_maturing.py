"""Decisions come back once, with what counts of their outcomes: as the join of the whole log."""

from __future__ import annotations

import pytest

from serving.contracts.decisions import Decision
from serving.contracts.outcomes import OutcomeEvent
from serving.following.maturing import Maturing
from serving.joining.matching import sort_events
from serving.joining.rule import JoinRule
from tests.serving.rollout.traffic import decision, messy, outcome, shuffled

RULE = JoinRule(window=60.0, windows={"skipped": 20.0}, reward={"liked": 1.0})
END = 1e6


def grown(
    events: list[Decision | OutcomeEvent], every: int | None = None
) -> tuple[dict[str, tuple[str, ...]], Maturing]:
    """What came of each decision, with a look after `every` events or at the end alone."""
    maturing, found = Maturing(RULE), dict[str, tuple[str, ...]]()
    for nth, event in enumerate(events):
        if isinstance(event, Decision):
            maturing.add_decision(event)
        else:
            maturing.add_outcome(event)
        if every is not None and nth % every == 0:
            _take(found, maturing, event.time)
    _take(found, maturing, END)
    return found, maturing


def _take(found: dict[str, tuple[str, ...]], maturing: Maturing, now: float) -> None:
    for one in maturing.mature(now):
        assert one.decision.decision_id not in found
        found[one.decision.decision_id] = tuple(f"{o.outcome_id}={o.value}" for o in one.outcomes)


def joined(events: list[Decision | OutcomeEvent]) -> dict[str, tuple[str, ...]]:
    """The same by the join, which sees all at once."""
    decisions = [event for event in events if isinstance(event, Decision)]
    outcomes = [event for event in events if isinstance(event, OutcomeEvent)]
    over = sort_events(decisions, outcomes, RULE, END).sessions
    return {
        m.decision.decision_id: tuple(f"{o.outcome_id}={o.value}" for o in m.outcomes)
        for session in over
        for m in session
    }


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_join_in_any_order_and_with_duplicates(seed: int) -> None:
    events = messy(seed)
    right = joined(events)
    assert grown(sorted(events, key=lambda event: event.time), every=7)[0] == right
    assert grown(shuffled(events, seed))[0] == right
    by_time = sorted(shuffled(events, seed), key=lambda event: event.time)
    assert grown(by_time, every=11)[0] == right


def test_what_does_not_count_is_counted() -> None:
    events = messy(0)
    decisions = [event for event in events if isinstance(event, Decision)]
    outcomes = [event for event in events if isinstance(event, OutcomeEvent)]
    join = sort_events(decisions, outcomes, RULE, END).counts
    _, maturing = grown(events)
    for name in ("joined_outcomes", "early_outcomes", "late_outcomes", "foreign_outcomes"):
        assert maturing.counts[name] == join[name] > 0, name
    assert maturing.counts["orphaned_outcomes"] == join["orphaned_outcomes"] > 0
    conflicts = join["conflicting_decisions"] + join["duplicate_decisions"]
    assert maturing.counts["repeated_decisions"] == conflicts > 0
    assert len(maturing) == 0


def test_a_decision_waits_until_its_window_has_passed() -> None:
    maturing, one = Maturing(RULE), decision(0, "ann", 100.0)
    assert maturing.add_decision(one)
    assert not maturing.add_decision(one)
    maturing.add_outcome(outcome(one, 59.0))
    assert maturing.mature(160.0) == []
    (found,) = maturing.mature(160.1)
    assert [o.outcome_id for o in found.outcomes] == ["d0/liked/0"]
    assert not maturing.add_decision(one)  # a retry that is logged again
    maturing.add_outcome(outcome(one, 10.0, nth=1))  # it was held up
    assert maturing.mature(1e3) == []
    assert maturing.counts["late_outcomes"] == 1
