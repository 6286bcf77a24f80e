"""The join of an event log of any length: in constant memory, a part of the log at a time."""

from __future__ import annotations

import math
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from offpolicy.errors import LogError
from offpolicy.storage.parquet import append_log, write_log
from serving.contracts.decisions import Decision
from serving.contracts.outcomes import OutcomeEvent
from serving.events.log import EventLog
from serving.events.reading import in_order
from serving.joining.join import Joined, join
from serving.joining.rule import JoinRule, Shape


def join_log(
    events: EventLog,
    folder: str | os.PathLike[str],
    rule: JoinRule,
    shape: Shape,
    *,
    now: float = math.inf,
    every: int = 20_000,
) -> Counter[str]:
    """Write the sessions of an event log that are over at `now` (s) as a decision log to a new
    folder, and return the counts of all joins.

    Events are read in the order of their times, `every` of them before each part is written;
    memory holds those, and the sessions that are open. An event that comes after its session was
    written is counted in late_decisions or late_outcomes (a duplicate, too) and left out; events
    that are missing between a writer's segments are counted in missing_events.

    A table of candidates' probabilities that some decisions lack is left out of all, as `join`
    does; where that shows late, the log is written anew.

    Raises LogError where the folder exists, no session is over, or events are not of this shape.
    """
    folder = Path(folder)
    if folder.exists():
        raise LogError(f"{folder} exists; give a new folder for the joined log.")
    partial = folder.with_name(f".{folder.name}.joining")
    shutil.rmtree(partial, ignore_errors=True)
    counts: Counter[str] = Counter()
    shape = replace(shape, keep_priors=True)
    try:
        parts = _parts(events, rule, shape, now, every, counts)
        if not _written(parts, partial):
            counts.clear()
            shutil.rmtree(partial)
            alike = replace(shape, keep_candidates=True, keep_tables=False)
            _written(_parts(events, rule, alike, now, every, counts), partial)
        if not partial.exists():
            raise LogError(f"no session is over: the events give no rows ({dict(counts)}).")
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return counts


def _written(parts: Iterator[Joined], folder: Path) -> bool:
    """Write the parts as one log; False, and no further, at one with other columns of candidates
    than those before."""
    before = None
    for log in (part.log for part in parts if part.log is not None):
        has = log.candidates is not None, log.candidate_propensity is not None
        if before not in (None, has):
            return False
        (write_log if before is None else append_log)(log, folder)
        before = has
    return True


class _Pending:
    """Events whose sessions are not written, and what was written not long ago."""

    def __init__(self, counts: Counter[str]) -> None:
        self.decisions: list[Decision] = []
        self.outcomes: list[OutcomeEvent] = []
        self.written: dict[str, float] = {}  # ids of decisions and sessions, and when
        self.counts = counts

    def add(self, event: Decision | OutcomeEvent) -> None:
        if isinstance(event, OutcomeEvent):
            late = event.decision_id in self.written
            self.counts["late_outcomes"] += late
            if not late:
                self.outcomes.append(event)
            return
        late = event.session_key in self.written or event.decision_id in self.written
        self.counts["late_decisions"] += late
        if not late:
            self.decisions.append(event)

    def join(self, rule: JoinRule, shape: Shape, now: float, time: float) -> Joined:
        """What is over at `now`; the rest stays. `time` is that of the part's first event."""
        joined = join(self.decisions, self.outcomes, rule, shape, now=now)
        still_open = {decision.session_key for decision in joined.open_decisions}
        over = {decision.session_key for decision in self.decisions} - still_open
        horizon = time - 2 * (rule.longest + rule.idle)
        self.written = {key: at for key, at in self.written.items() if at >= horizon}
        self.written |= dict.fromkeys([*joined.decision_ids, *over], time)
        self.decisions, self.outcomes = [*joined.open_decisions], [*joined.open_outcomes]
        self.counts.update(joined.counts)
        return joined


def _parts(
    events: EventLog, rule: JoinRule, shape: Shape, now: float, every: int, counts: Counter[str]
) -> Iterator[Joined]:
    pending, time = _Pending(counts), math.inf
    for nth, event in enumerate(in_order(events, counts=counts), 1):
        time = min(time, event.time)  # the earliest of a part: a clock that was ahead for a moment
        pending.add(event)  # does not end the sessions of others
        if nth % every == 0:
            yield pending.join(rule, shape, min(time, now), time)
            time = math.inf
    yield pending.join(rule, shape, now, time)
