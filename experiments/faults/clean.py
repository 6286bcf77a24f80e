"""Days on which nothing breaks: what fires all the same."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from typing import Any

from experiments.common.quiet import quiet
from experiments.faults.day import PAST, Judge, Past, past
from experiments.faults.service.hearing import Hearing
from experiments.faults.service.parts import Parts
from experiments.faults.service.readings import joined
from experiments.faults.service.world import versions
from experiments.live.service import JOIN
from experiments.live.users.crowd import DAY

Record = dict[str, Any]


@quiet(logging.CRITICAL)
def clean_days(seed: int, days: int, *, judge: Judge | None = None) -> list[Record]:
    """So many days of one seed, one after another, each with the day before as its reference and a
    canary that is as good as what is live; `judge` is asked on the first."""
    known, records = past(seed), list[Record]()
    for day in range(PAST, PAST + days):
        with closing(Parts(seed, now=day * DAY, users=known.users)) as parts:
            parts.players.restore(known.players)
            parts.roll_out(versions().canary)
            hearing = Hearing(
                parts, before=known.before, slow_before=known.slow, reference=known.reference
            )
            parts.players.day(day, parts, hearing)
            parts.at(parts.real + JOIN.idle)
            hearing.look_at_log()
            found = {} if judge is None or day > PAST else judge(parts, known.reference)
            records.append(
                {
                    "seed": seed,
                    "day": day,
                    "decisions": parts.decisions,
                    "fired": hearing.fired,
                    "phase": hearing.steps[-1]["phase"] if hearing.steps else None,
                    "judged": found,
                }
            )
            known = _left(parts, hearing, known)
    return records


def false_alarms(records: Iterable[Record]) -> dict[str, int]:
    """Of each signal that fired on a clean day: on how many."""
    fired = Counter(key for record in records for key in record["fired"])
    return dict(sorted(fired.items(), key=lambda item: (-item[1], item[0])))


def _left(parts: Parts, hearing: Hearing, before: Past) -> Past:
    """What the day has left to the next one."""
    log, store = joined(parts)[0].log, parts.sessions
    users = store.read(store.names(), copy.deepcopy)
    slow = {**before.slow, **hearing.slow}
    return Past(parts.players.state(), users, hearing.kept, slow, log or before.reference)
