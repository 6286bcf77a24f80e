"""What the process that watches the log reads of it: the values of the table's readings."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from numpy.typing import NDArray

from experiments.faults.service.parts import Parts
from experiments.faults.service.world import PACE
from experiments.live.service import JOIN
from offpolicy import LoggedDataset
from offpolicy.drift.judging import DriftRule
from offpolicy.drift.report import drift
from offpolicy.poisoning.bots import bots
from serving import Shape, join
from serving.arms import CANARY, CONTROL
from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from serving.contracts.outcomes import OutcomeEvent
from serving.following.follower import Follower
from serving.joining.join import Joined
from serving.metrics import estimates
from serving.metrics.text.watched import Reading, Readings
from serving.signals.feeds.of_log import drift_readings, user_readings
from serving.signals.readings import readings_of

F64 = NDArray[np.float64]
DRIFT = DriftRule(level=0.99, monitored=True)  # the day is compared again as it grows
NORMAL = (
    "decisions",
    "sessions",
    "fallbacks",
    "joined_outcomes",
    "duplicate_outcomes",
    "unrewarded_outcomes",
    "idle_ends",
)  # counts that a clean day has, too


def readings(parts: Parts) -> Readings:
    """Of the last look at a rollout that goes on. Silence is at the pace of a service for which the
    table's targets are made."""
    journal = parts.controller.hands.journal
    record = journal.load()
    if record is None or record.ended is not None:
        return {}
    found = dict(readings_of(record, journal.last()))
    for arm in (CANARY, CONTROL):
        key = "longplay_log_silence_seconds", arm
        silent = found.get(key)
        if isinstance(silent, float):
            found[key] = silent / PACE
    return found


def joined(parts: Parts, *, now: float = math.inf) -> tuple[Joined, Counter[str]]:
    """The join of all that the log holds, and the counts of its events."""
    follower = Follower(parts.log)
    found = [event for event in follower.new() if isinstance(event, Decision | OutcomeEvent)]
    made = [event for event in found if isinstance(event, Decision)]
    outcomes = [event for event in found if isinstance(event, OutcomeEvent)]
    shape = Shape.of(parts.engine.serving, parts.engine.catalogue)
    both = join(made, outcomes, JOIN, shape, now=now)
    return both, both.counts + follower.counts


def slow_readings(
    parts: Parts, reference: LoggedDataset | None
) -> tuple[dict[tuple[str, str], Reading], Counter[str]]:
    """What only the joined log tells, and the counts of the join and the engine."""
    both, counts = joined(parts, now=parts.clock())
    out: dict[tuple[str, str], Reading] = {}
    log, numbered = both.log, sum(parts.log.last(writer) + 1 for writer in parts.log.writers())
    if numbered:
        out["longplay_log_incomplete", ""] = estimates.share(counts["missing_events"], numbered)
    if log is not None and len(log) > 1:
        out |= _of_log(log, both, reference)
    told = Counter({name: n for name, n in counts.items() if name not in NORMAL})
    return out, told


def _of_log(
    log: LoggedDataset, both: Joined, reference: LoggedDataset | None
) -> dict[tuple[str, str], Reading]:
    total: F64 = np.bincount(log.sessions, log.reward, log.n_sessions).astype(np.float64)
    length = np.bincount(log.sessions, minlength=log.n_sessions).astype(np.float64)
    suspects = bots(log, time=both.time)
    out: dict[tuple[str, str], Reading] = {
        **user_readings(log, suspects),
        ("longplay_history_mismatch", ""): estimates.share(float(both.skewed.sum()), len(log)),
        ("longplay_session_reward", "live"): estimates.mean(_moments(total)),
        ("longplay_session_length", "live"): estimates.mean(_moments(length)),
    }
    if reference is not None:
        out |= drift_readings(drift(reference, log, rule=DRIFT))
    return out


def _moments(values: F64) -> F64:
    return np.array([len(values), values.sum(), values @ values])


def events_of(parts: Parts) -> list[object]:
    """All events that the log holds, as they are read."""
    return [
        read_event(entry.event)
        for writer in parts.log.writers()
        for entry in parts.log.read(writer)
    ]
