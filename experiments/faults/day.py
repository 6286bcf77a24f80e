"""Days of traffic through the real engine, with a canary for a quarter of the users and a fault
from a moment on."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from experiments.common.quiet import quiet
from experiments.faults.service.fault import Fault
from experiments.faults.service.hearing import Hearing, Slis
from experiments.faults.service.parts import Parts
from experiments.faults.service.readings import joined, slow_readings
from experiments.faults.service.world import HOUR, versions
from experiments.live.service import JOIN
from experiments.live.users.crowd import DAY
from offpolicy import LoggedDataset
from serving.metrics.text.watched import watched_slis
from serving.sessions.memory import User

PAST = 4  # days before the one that is played, until almost everybody is known; the last one is the
# reference
FIRST, LAST = 3.5, 6.0  # hours of the day between which the fault comes

AFTER = 6 * HOUR  # s that are played after the fault at least

Judge = Callable[[Parts, LoggedDataset], dict[str, Any]]


class _SeenError(Exception):
    """The fault was seen, and what the controller does was, too: the day need not go on."""


class Past(NamedTuple):
    """What one seed's days before have left."""

    players: dict[str, NDArray[Any]]
    users: dict[str, User]
    before: dict[int, Slis]  # indicators of the reference day, by the hour
    slow: Slis
    reference: LoggedDataset


@lru_cache(maxsize=2)
@quiet(logging.CRITICAL)  # failures are meant
def past(seed: int, make: Callable[..., Parts] = Parts) -> Past:
    """Days without a rollout: everybody becomes known, and the last day is the reference."""
    with closing(make(seed, now=0.0)) as parts:
        for day in range(PAST - 1):
            parts.players.day(day, parts)
        parts.empty_log()
        hearing = Hearing(parts)
        parts.players.day(PAST - 1, parts, hearing)
        reference = joined(parts)[0].log
        assert reference is not None
        slow = watched_slis(slow_readings(parts, None)[0])
        store = parts.sessions
        users = store.read(store.names(), copy.deepcopy)
        return Past(parts.players.state(), users, hearing.kept, slow, reference)


@quiet(logging.CRITICAL)
def play(fault: Fault, seed: int, *, judge: Judge | None = None) -> dict[str, Any]:
    """One run: what fired before the fault, and after it at how many decisions; what the controller
    did; and, by `judge`, what the log is worth afterwards."""
    known = past(seed, fault.make)
    with closing(fault.make(seed, now=PAST * DAY, users=known.users)) as parts:
        parts.players.restore(known.players)
        if fault.prepare is not None:
            fault.prepare(parts)
        if parts.controller.hands.journal.load() is None:
            parts.roll_out(versions().canary)
        hearing = Hearing(
            parts, before=known.before, slow_before=known.slow, reference=known.reference
        )
        moment = PAST * DAY + HOUR * float(parts.rng.uniform(FIRST, LAST))
        began, before = list[int](), set[str]()  # signals that fired before the fault

        def each(now: float) -> None:
            if not began and now >= moment:
                began.append(parts.decisions)
                before.update(hearing.fired)
                fault.inject(parts)
            if hearing.listen(now) and began and now >= moment + AFTER:
                fired = {key: n for key, n in hearing.fired.items() if key not in before}
                if fault.unseen or fault.detection(fired) is not None:
                    raise _SeenError

        try:
            for day in range(PAST, PAST + fault.days):
                parts.players.day(day, parts, each)
        except _SeenError:
            pass
        parts.at(parts.real + JOIN.idle)
        hearing.look_at_log()
        log, start = joined(parts)[0].log, began[0]
        return {
            "fault": fault.name,
            "seed": seed,
            "moment": moment - PAST * DAY,
            "decisions": parts.decisions,
            "after": parts.decisions - start,
            "before": sorted(before),
            "fired": {k: n - start for k, n in hearing.fired.items() if k not in before},
            "steps": hearing.steps,
            "judged": {} if judge is None or log is None else judge(parts, known.reference),
        }


def seeds(first: int, runs: int) -> list[int]:
    """Of so many runs."""
    return np.arange(first, first + runs).tolist()
