"""The join of an event log of any length: in constant memory, a part of the log at a time."""

from __future__ import annotations

import math
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from offpolicy.errors import LogError
from offpolicy.storage.parquet import append_log, write_log
from serving.contracts.decisions import Decision
from serving.contracts.outcomes import OutcomeEvent
from serving.events.log import EventReader
from serving.events.reading import in_order
from serving.joining.caps import Ledger, current
from serving.joining.join import Joined, join
from serving.joining.rule import JoinRule, Shape


def join_log(
    events: EventReader,
    folder: str | os.PathLike[str],
    rule: JoinRule,
    shape: Shape,
    *,
    now: float = math.inf,
    every: int = 20_000,
    only: Callable[[Decision], bool] | None = None,
    each: Callable[[Joined], None] | None = None,
) -> Counter[str]:
    """Write the sessions of an event log that are over at `now` (s) as a decision log to a new
    folder, and return the counts of all joins.

    Events are read in the order of their times, `every` of them before each part is written, or a
    quarter of what is open; memory holds those, and the sessions that are open. An event that comes
    after its session was written is counted in late_decisions or late_outcomes (a duplicate, too)
    and left out; events that are missing between a writer's segments are counted in missing_events.
    Of decisions that are not `only` those wanted, neither they nor their outcomes are joined:
    other_decisions. Sessions that are not over are left out: open_sessions, with open_decisions.

    A table of candidates' probabilities that some decisions lack is left out of all, as `join`
    does; where that shows late, the log is written anew. `each` is called with every part, and
    with all of them again where that happens.

    Raises LogError where the folder exists, no session is over, or events are not of this shape.
    """
    folder = Path(folder)
    if os.path.lexists(folder):
        raise LogError(f"{folder} exists; give a new folder for the joined log.")
    partial = folder.with_name(f".{folder.name}.joining")
    shutil.rmtree(partial, ignore_errors=True)
    counts: Counter[str] = Counter()
    shape = replace(shape, keep_priors=True)
    try:
        parts = _parts(events, rule, shape, now, every, counts, only)
        if not _written(parts, partial, each):
            counts.clear()
            shutil.rmtree(partial)
            alike = replace(shape, keep_candidates=True, keep_tables=False)
            _written(_parts(events, rule, alike, now, every, counts, only), partial, each)
        if not partial.exists():
            raise LogError(f"no session is over: the events give no rows ({dict(counts)}).")
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return counts


def _written(parts: Iterator[Joined], folder: Path, each: Callable[[Joined], None] | None) -> bool:
    """Write the parts as one log; False, and no further, at one with other columns of candidates
    than those before."""
    before = None
    for part in parts:
        if (log := part.log) is None:
            continue
        has = log.candidates is not None, log.candidate_propensity is not None
        if before not in (None, has):
            return False
        (write_log if before is None else append_log)(log, folder)
        before = has
        if each is not None:
            each(part)
    return True


class _Pending:
    """Events whose sessions are not written, and what was written not long ago."""

    def __init__(self, counts: Counter[str], only: Callable[[Decision], bool] | None) -> None:
        self.decisions: list[Decision] = []
        self.outcomes: list[OutcomeEvent] = []
        self.written: dict[str, float] = {}  # ids of decisions and sessions, and when
        self.other: dict[str, float] = {}  # ids of decisions that are not wanted, and when
        self.counts, self.only = counts, only
        self.spent: Ledger = {}  # what users have added, where the rule has a cap

    @property
    def size(self) -> int:
        """Events that are open."""
        return len(self.decisions) + len(self.outcomes)

    def add(self, event: Decision | OutcomeEvent) -> None:
        if isinstance(event, OutcomeEvent):
            late = event.decision_id in self.written
            self.counts["late_outcomes"] += late
            if not late and event.decision_id not in self.other:
                self.outcomes.append(event)
            return
        if self.only is not None and not self.only(event):
            self.counts["other_decisions"] += 1
            self.other[event.decision_id] = event.time
            return
        late = event.session_key in self.written or event.decision_id in self.written
        self.counts["late_decisions"] += late
        if not late:
            self.decisions.append(event)

    def join(self, rule: JoinRule, shape: Shape, now: float, time: float) -> Joined:
        """What is over at `now`; the rest stays. `time` is that of the part's first event."""
        joined = join(self.decisions, self.outcomes, rule, shape, now=now, spent=self.spent)
        still_open = {decision.session_key for decision in joined.open_decisions}
        over = {decision.session_key for decision in self.decisions} - still_open
        horizon = time - 2 * (rule.longest + rule.idle)
        self.written = {key: at for key, at in self.written.items() if at >= horizon}
        self.other = {key: at for key, at in self.other.items() if at >= horizon}
        self.written |= dict.fromkeys([*joined.decision_ids, *joined.capped_ids, *over], time)
        self.decisions, self.outcomes = [*joined.open_decisions], [*joined.open_outcomes]
        self.counts.update(joined.counts)
        if rule.cap is not None:
            since = min((d.time for d in self.decisions), default=time)
            self.spent = current(joined.spent, rule.cap.window, min(since, time))
        return joined


def _parts(
    events: EventReader,
    rule: JoinRule,
    shape: Shape,
    now: float,
    every: int,
    counts: Counter[str],
    only: Callable[[Decision], bool] | None,
) -> Iterator[Joined]:
    pending, time, n, size = _Pending(counts, only), math.inf, 0, every
    for event in in_order(events, counts=counts):
        time = min(time, event.time)  # the earliest of a part: a clock that was ahead for a moment
        pending.add(event)  # does not end the sessions of others
        n += 1
        if n >= size:
            yield pending.join(rule, shape, min(time, now), time)
            time, n, size = math.inf, 0, max(every, pending.size // 4)  # the work of looking
            # again at what is open does not grow with it
    yield pending.join(rule, shape, now, time)
    counts["open_decisions"] = len(pending.decisions)
    counts["open_sessions"] = len({decision.session_key for decision in pending.decisions})
