"""The join itself: what was decided and what came of it -> the decision log."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from serving.contracts.decisions import Decision
from serving.contracts.outcomes import OutcomeEvent
from serving.joining.caps import Kept, Ledger, within_decisions, within_reward
from serving.joining.matching import sort_events
from serving.joining.rows import rows_of, skewed
from serving.joining.rule import JoinRule, Shape


@dataclass(frozen=True, slots=True, eq=False)
class Joined:
    """The log of the sessions that are over, and what is left for the next join. `decision_ids` and
    `time` are the event_id and time of `check_log`."""

    log: LoggedDataset | None  # None where no session is over
    skewed: NDArray[np.bool_]  # (N,) the history that the log derives is not what was seen
    incomplete: NDArray[np.bool_]  # (N,) decisions of the session are missing: nothing is derived
    decision_ids: tuple[str, ...]  # (N,)
    time: NDArray[np.float64]  # (N,) s, of the decisions
    open_decisions: tuple[Decision, ...]
    open_outcomes: tuple[OutcomeEvent, ...]
    counts: Counter[str]
    capped_ids: tuple[str, ...] = ()  # of decisions beyond the cap
    spent: Ledger = field(default_factory=dict)  # what users have added, for the next join
    decisions: tuple[Decision, ...] = ()  # (N,)


def join(
    decisions: Iterable[Decision],
    outcomes: Iterable[OutcomeEvent],
    rule: JoinRule,
    shape: Shape,
    *,
    now: float = math.inf,
    spent: Ledger | None = None,
) -> Joined:
    """A row for each decision of each session that is over at `now` (s), with or without outcomes.

    A session comes whole, once the windows of its decisions have passed and it ended or was idle.
    Outcomes after their window are counted and not joined. The result is the same for any order of
    the events and however often each is given; only the counts of duplicates differ.

    Where the rule has a cap, what a user adds beyond it is cut (counts capped_decisions,
    capped_rewards); `spent` is what users had added before, as the join of the part
    before gave it.

    Raises LogError where events are not of this shape.
    """
    found = sort_events(decisions, outcomes, rule, now)
    counts = found.counts
    kept, ledger = Kept(found.sessions, (), (), ()), dict(spent or {})
    if rule.cap is not None:
        kept = within_decisions(found.sessions, found.over_at, rule.cap, ledger, counts)
    rows = [matched for session in kept.sessions for matched in session]
    counts["decisions"], counts["sessions"] = len(rows), len(kept.sessions)
    log, off, holes = None, np.zeros(0, np.bool_), np.zeros(0, np.bool_)
    if rows:
        log = rows_of(kept.sessions, rule, shape, counts, kept.cut)
        off, holes = skewed(kept.sessions, log, shape)
        if rule.cap is not None:
            log, ledger = within_reward(log, kept, rule.cap, ledger, counts)
    counts["skewed_histories"], counts["incomplete_decisions"] = int(off.sum()), int(holes.sum())
    counts["fallbacks"] = sum(matched.decision.fallback is not None for matched in rows)
    return Joined(
        log,
        off,
        holes,
        tuple(matched.decision.decision_id for matched in rows),
        np.array([matched.decision.time for matched in rows], np.float64),
        found.open_decisions,
        found.open_outcomes,
        counts,
        tuple(matched.decision.decision_id for matched in kept.left_out),
        ledger,
        tuple(matched.decision for matched in rows),
    )
