"""Which outcomes belong to which decisions. Pure: the order of arrival does not matter."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from serving.contracts.decisions import Decision
from serving.contracts.outcomes import OutcomeEvent
from serving.joining.rule import JoinRule


@dataclass(frozen=True, slots=True)
class Matched:
    """A decision and what came of it in time."""

    decision: Decision
    outcomes: tuple[OutcomeEvent, ...]  # by time


class Shown(Protocol):
    """What of a decision says which outcomes are its own."""

    @property
    def time(self) -> float: ...
    @property
    def user(self) -> str: ...
    @property
    def slate(self) -> Sequence[int]: ...


@dataclass(frozen=True, slots=True)
class Sorted:
    """Events as far as they can be told apart at a moment."""

    sessions: tuple[tuple[Matched, ...], ...]  # that are over, by the time of their first decision
    open_decisions: tuple[Decision, ...]  # of the other sessions
    open_outcomes: tuple[OutcomeEvent, ...]  # of these, and those whose decision may yet come
    counts: Counter[str] = field(default_factory=Counter)


def sort_events(
    decisions: Iterable[Decision], outcomes: Iterable[OutcomeEvent], rule: JoinRule, now: float
) -> Sorted:
    """Sessions that are over at `now`, each decision once with its outcomes, and what stays open.

    Counted: duplicate_decisions, conflicting_decisions (another slate or session under the same id,
    or another id at the same step of the session; the earlier decision stands), duplicate_outcomes,
    conflicting_outcomes (something else under the same id; the earlier stands), and of the outcomes
    of sessions that are over: joined_outcomes, early_outcomes (before their decision; they
    are joined), late_outcomes (after their window), foreign_outcomes (of an item or a user that the
    decision does not have), and orphaned_outcomes (of no decision, once all windows have passed).
    """
    counts: Counter[str] = Counter()
    sessions = _sessions(decisions, counts)
    own, waiting = _by_decision(outcomes, sessions, rule, now, counts)
    over, open_decisions = [], []
    for session in sessions:
        if _is_over(session, own, rule, now):
            over.append(
                tuple(_matched(d, own.get(d.decision_id, ()), rule, counts) for d in session)
            )
        else:
            open_decisions += session
            waiting += [o for d in session for o in own.get(d.decision_id, ())]
    return Sorted(tuple(over), tuple(open_decisions), tuple(waiting), counts)


def _sessions(decisions: Iterable[Decision], counts: Counter[str]) -> list[list[Decision]]:
    """Each decision once, by step in its session; sessions by their first decision."""
    seen: dict[str, tuple[str, tuple[int, ...]]] = {}
    taken: dict[str, dict[int, Decision]] = defaultdict(dict)
    for decision in sorted(decisions, key=order_of):
        steps, says = taken[decision.session_key], (decision.session, decision.slate)
        if seen.get(decision.decision_id) == says:
            counts["duplicate_decisions"] += 1
        elif decision.decision_id in seen or decision.step in steps:
            counts["conflicting_decisions"] += 1
        else:
            seen[decision.decision_id] = says
            steps[decision.step] = decision
    return [[steps[step] for step in sorted(steps)] for steps in taken.values() if steps]


def _by_decision(
    outcomes: Iterable[OutcomeEvent],
    sessions: list[list[Decision]],
    rule: JoinRule,
    now: float,
    counts: Counter[str],
) -> tuple[dict[str, list[OutcomeEvent]], list[OutcomeEvent]]:
    """Each outcome once, by its decision and in time; and those whose decision may yet come."""
    known = {decision.decision_id for session in sessions for decision in session}
    seen: dict[str, tuple[Any, ...]] = {}
    own: dict[str, list[OutcomeEvent]] = defaultdict(list)
    waiting = []
    for outcome in sorted(outcomes, key=outcome_order):
        says = _says(outcome)
        if (before := seen.setdefault(outcome.outcome_id, says)) is not says:
            counts["duplicate_outcomes" if before == says else "conflicting_outcomes"] += 1
            continue
        if outcome.decision_id in known:
            own[outcome.decision_id].append(outcome)
        elif outcome.time + rule.longest >= now:
            waiting.append(outcome)
        else:
            counts["orphaned_outcomes"] += 1
    return own, waiting


def _is_over(
    session: Sequence[Decision],
    own: dict[str, list[OutcomeEvent]],
    rule: JoinRule,
    now: float,
) -> bool:
    """The windows of all decisions have passed, and the last one ended the session or was long
    ago."""
    latest = max(decision.time for decision in session)
    last = session[-1]
    ended = any(
        o.kind in ("terminated", "truncated")
        and o.user == last.user
        and o.time - last.time <= rule.window_of(o.kind)
        for o in own.get(last.decision_id, ())
    )
    return now > latest + max(rule.longest, 0.0 if ended else rule.idle)


def _matched(
    decision: Decision, outcomes: Iterable[OutcomeEvent], rule: JoinRule, counts: Counter[str]
) -> Matched:
    return Matched(decision, in_time(decision, outcomes, rule, counts))


def in_time(
    decision: Shown, outcomes: Iterable[OutcomeEvent], rule: JoinRule, counts: Counter[str]
) -> tuple[OutcomeEvent, ...]:
    """Of the outcomes of a decision those that count, as `sort_events` counts them."""
    kept = []
    for outcome in outcomes:
        delay = outcome.time - decision.time
        not_shown = outcome.item is not None and outcome.item not in decision.slate
        if not_shown or outcome.user != decision.user:
            counts["foreign_outcomes"] += 1
        elif delay > rule.window_of(outcome.kind):
            counts["late_outcomes"] += 1
        else:
            counts["early_outcomes"] += delay < 0
            counts["joined_outcomes"] += 1
            kept.append(outcome)
    return tuple(kept)


def order_of(decision: Decision) -> tuple[Any, ...]:
    """By time; what is equally old, by what it says."""
    key = decision.session_key
    return decision.time, key, decision.step, decision.decision_id, decision.slate


def _says(outcome: OutcomeEvent) -> tuple[Any, ...]:
    """What an outcome that is sent again says again."""
    of_what = outcome.decision_id, outcome.user, outcome.kind, outcome.item
    return *of_what, outcome.value, outcome.responses


def outcome_order(outcome: OutcomeEvent) -> tuple[Any, ...]:
    """By time; what is equally old, by what it says."""
    item = -1 if outcome.item is None else outcome.item
    return outcome.time, outcome.outcome_id, outcome.decision_id, outcome.kind, item, outcome.value
