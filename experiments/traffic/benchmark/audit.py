"""What the event log says after a run, beside what the server had acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from experiments.traffic.record import Record
from policies.observation import Observation, Serving
from policies.rules.constraints import Rule
from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.contracts.outcomes import TAKEN, OutcomeEvent
from serving.events.log import EventLog
from serving.hashes import history_hash

CHUNK = 4_096  # decisions whose rules are looked at together


@dataclass(slots=True)
class Audit:
    """Counts over a whole event log."""

    events: int = 0
    decisions: int = 0
    outcomes: int = 0
    fallbacks: int = 0
    violations: int = 0  # of rules, by slates that were shown
    skewed: int = 0  # decisions whose history is not the one that the log gives them
    incomplete: int = 0  # decisions of users of whom the log does not have a session's beginning
    gaps: int = 0  # places where the numbers of events do not go on
    lost_decisions: int = 0  # answered by the policy, and not in the log
    lost_fallbacks: int = 0  # answered by the fallback, and not in the log
    lost_outcomes: int = 0  # acknowledged, and not in the log


@dataclass(slots=True)
class _Users:
    """Histories as the log gives them: those at a session's first decision, and what was taken
    since."""

    length: int
    response_count: int
    items: dict[str, list[int]] = field(default_factory=dict)
    responses: dict[str, list[tuple[float, ...]]] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)  # decisions

    def at(self, decision: Decision) -> tuple[list[int], bool] | None:
        """The history before a decision, and whether the decision's hash is that of another; None
        where the log does not say."""
        user, first = decision.user, decision.step == 0
        if user not in self.items and first:
            self.items[user] = list(decision.prior_items)
            self.responses[user] = list(decision.prior_responses)
        if user not in self.items:
            return None
        items = self.items[user][-self.length :]
        responses = self.responses[user][-self.length :]
        values = np.array(responses, np.float32).reshape(len(items), self.response_count)
        known = history_hash(np.array(items, np.int32), values)
        return items, known != decision.history_hash

    def take(self, outcome: OutcomeEvent) -> None:
        if outcome.kind != TAKEN or outcome.item is None or outcome.decision_id in self.taken:
            return
        self.taken.add(outcome.decision_id)
        if outcome.user in self.items:
            self.items[outcome.user].append(outcome.item)
            self.responses[outcome.user].append(outcome.responses)


def audit(
    log: EventLog, serving: Serving, rules: Sequence[Rule], records: Iterable[Record] = ()
) -> Audit:
    """Read a log of one writer, check every slate against the rules, every history against its
    hash, and look for everything that the records were acknowledged. What is damaged raises
    EventLogError or ContractError."""
    found, users = Audit(), _Users(serving.history_length, len(serving.response_names))
    decisions, outcomes = set[str](), set[str]()
    slates, histories = list[tuple[int, ...]](), list[list[int]]()

    def judge() -> None:
        found.violations += _broken(slates, histories, serving, rules)
        slates.clear()
        histories.clear()

    for event in _events(log, found):
        if isinstance(event, OutcomeEvent):
            found.outcomes += 1
            outcomes.add(event.outcome_id)
            users.take(event)
        elif isinstance(event, Decision):
            found.decisions += 1
            found.fallbacks += event.fallback is not None
            decisions.add(event.decision_id)
            known = users.at(event)
            found.incomplete += known is None
            history, skewed = known or ([], False)
            found.skewed += skewed
            slates.append(event.slate)
            histories.append(history)
            if len(slates) == CHUNK:
                judge()
    judge()
    for record in records:
        found.lost_decisions += len(record.answered(by_policy=True) - decisions)
        found.lost_fallbacks += len(record.answered(by_policy=False) - decisions)
        found.lost_outcomes += len(record.acknowledged_outcomes() - outcomes)
    return found


def _events(log: EventLog, found: Audit) -> Iterable[object]:
    for writer in log.writers():
        last = -1
        for entry in log.read(writer):
            found.gaps += entry.number != last + 1
            last = entry.number
            found.events += 1
            yield read_event(entry.event)


def _broken(
    slates: list[tuple[int, ...]],
    histories: list[list[int]],
    serving: Serving,
    rules: Sequence[Rule],
) -> int:
    if not slates:
        return 0
    past = np.full((len(slates), serving.history_length), -1, np.int32)
    for row, items in zip(past, histories, strict=True):
        row[len(row) - len(items) :] = items
    n, r = len(slates), len(serving.response_names)
    obs = Observation(
        history_items=past,
        history_responses=np.zeros((*past.shape, r), np.float32),
        user=np.zeros((n, serving.user_size), np.float32),
        candidates=None,
        eligible=None,
    )
    shown = np.array(slates, np.int32)
    return sum(int(rule.broken(obs, shown).sum()) for rule in rules)
