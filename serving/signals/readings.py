"""What a rollout's journal says, as readings: of its last look, its stage and its steps."""

from __future__ import annotations

import math
from collections.abc import Mapping

from serving.arms import CANARY, CONTROL
from serving.metrics.estimates import Estimate, share
from serving.metrics.text.watched import Readings
from serving.rollout.hard import silences
from serving.rollout.journal import Made, Record
from serving.rollout.state import PHASES
from serving.rollout.window import Mean, Seen, Window


def readings_of(record: Record, last: Made | None) -> Readings:
    """Readings for `watched_text` and `watched_slis`. last: the step that was made last; None =
    none yet. What a look did not see is None, never 0."""
    state = record.state
    found: dict[tuple[str, str], Estimate | float | None] = {
        ("longplay_rollout_weight", ""): 0.0 if state.final else state.weight,
        ("longplay_rollout_steps", ""): float(record.steps),
        ("longplay_watch_time_seconds", ""): state.looked,
    }
    found |= {("longplay_rollout_phase", one): float(one == state.phase) for one in PHASES}
    if last is not None and last.rollout == record.rollout and last.window is not None:
        found |= _of_window(last.window)
    return found


def events_read(began: Mapping[str, int], read: Mapping[str, int], missing: float) -> Readings:
    """How complete the log is, as far as it was read: numbers of each writer's last event when the
    rollout began and now, and how many between them are missing."""
    events = sum(number - began.get(writer, -1) for writer, number in read.items())
    return {("longplay_log_incomplete", ""): share(missing, events)}


def versions_of(record: Record) -> dict[str, str]:
    """By arm."""
    return {CANARY: record.state.version, CONTROL: record.live}


def _of_window(window: Window) -> Readings:
    hard = window.hard
    low, high = hard.mean_weight_low, hard.mean_weight_high
    middle = None
    if low is not None and high is not None:
        middle = Estimate((low + high) / 2, hard.decisions or 0, low, high)
    arms = ((CANARY, window.canary), (CONTROL, window.control))
    return {
        **{("longplay_uplift", name): _estimate(seen) for name, seen in window.rollout.items()},
        **{("longplay_session_reward", arm): _estimate(seen.mean) for arm, seen in arms},
        ("longplay_log_silence_seconds", CANARY): silences(window)[0],
        ("longplay_log_silence_seconds", CONTROL): silences(window)[1],
        ("longplay_arm_mean_weight", CANARY): middle,
        ("longplay_sample_ratio_p", ""): window.sample_ratio_p,
        ("longplay_multiple_exposure", ""): window.multiple_exposure,
    }


def _estimate(seen: Seen | Mean) -> Estimate | None:
    if seen.value is None:
        return None
    low = -math.inf if seen.low is None else seen.low
    high = math.inf if seen.high is None else seen.high
    return Estimate(seen.value, seen.users or 0, low, high)
