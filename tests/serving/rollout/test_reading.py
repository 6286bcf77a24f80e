"""The numbers of a look: the same in any order and with duplicates, and those of the join."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from serving.contracts.decisions import Decision
from serving.contracts.outcomes import OutcomeEvent
from serving.contracts.shadows import ShadowEvent
from serving.events.log import REMOVED
from serving.events.memory import MemoryLog
from serving.following.follower import ends_of
from serving.following.user_sums import number_of
from serving.joining.join import join
from serving.joining.rule import JoinRule, Shape
from serving.rollout.reading import LiveReader, Told, stratum_of
from serving.rollout.rule import Guardrail, RolloutRule
from tests.serving.factories import EVENT_LOGS
from tests.serving.rollout.traffic import (
    ITEMS,
    ROLLOUT,
    K,
    decision,
    logged,
    messy,
    outcome,
    shuffled,
)

JOIN = JoinRule(window=60.0, windows={"skipped": 20.0}, reward={"liked": 2.0, "skipped": -1.0})
RULE = RolloutRule(
    stages=(0.05, 0.25, 1.0),
    guardrails=(
        Guardrail(metric="decisions", margin=0.1, share=0.1),
        Guardrail(metric="skipped", margin=0.1, share=0.1, higher_is_better=False),
    ),
    recent_seconds=600.0,
)
TOLD = Told(ROLLOUT, "new")
NOW = 3_400.0  # the last decision is some seconds old: not all windows have passed


def reader(log: MemoryLog) -> LiveReader:
    return LiveReader(log, TOLD, RULE, JOIN)


def seen(events: list[Decision | OutcomeEvent], now: float = NOW) -> bytes:
    return reader(logged(events)).window(now, weight=0.25, since=2_200.0).to_json()


def test_any_order_and_duplicates_give_the_same_window() -> None:
    events = messy(1, reused_ids=False)
    window = seen(events)
    assert seen(shuffled(events, 1)) == window
    assert seen(shuffled(events, 2)) == window
    without = [event for event in events if event is not events[0]]
    assert seen(without) != window


def test_a_reader_that_looks_often_sees_what_one_does_that_looks_once() -> None:
    events = sorted(messy(2), key=lambda event: event.time)
    log = MemoryLog()
    often = reader(log)
    for nth, event in enumerate(events):
        if event.time > NOW - 1:  # it is not there yet
            break
        log.append(event.to_json())
        if nth % 20 == 0:
            often.window(event.time, weight=0.25, since=2_200.0)
    once = reader(log).window(NOW, weight=0.25, since=2_200.0)
    assert often.window(NOW, weight=0.25, since=2_200.0) == once
    assert once.canary.users is not None
    assert once.canary.users > 5


@pytest.mark.parametrize("seed", range(3))
def test_the_totals_are_those_of_the_join(seed: int) -> None:
    events = messy(seed)
    found = reader(logged(shuffled(events, seed)))
    found.window(1e9, weight=0.25, since=0.0)
    units = found.all.units()
    names = {number_of(one.user): one.user for one in events}
    mine = {
        (names[int(u)], bool(c), int(s)): (float(total[0]), float(total[1]), float(n))
        for u, c, s, total, n in zip(
            units.user, units.canary, units.stratum, units.total, units.sessions, strict=True
        )
    }
    decisions = [event for event in events if isinstance(event, Decision)]
    outcomes = [event for event in events if isinstance(event, OutcomeEvent)]
    shape = Shape(n_items=ITEMS, slate_size=K, history_length=2, responses=0)
    joined = join(decisions, outcomes, JOIN, shape)
    assert joined.log is not None
    by_id = {one.decision_id: one for one in decisions}
    sums: dict[tuple[str, bool, int], list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for nth, key in enumerate(joined.decision_ids):
        one = by_id[key]
        weight = float(one.rollout.rpartition("@")[2])
        into = sums[one.user, one.arm == "canary", stratum_of(weight)]
        into[0] += float(joined.log.reward[nth])
        into[1] += 1
        into[2] += one.step == 0
    assert mine.keys() == sums.keys()
    for key, (reward, n, sessions) in mine.items():
        assert (reward, n, sessions) == pytest.approx(tuple(sums[key])), key


def test_it_goes_on_where_another_one_stopped_reading() -> None:
    events = sorted(messy(3), key=lambda event: event.time)
    log = logged(events[:100])
    first = reader(log)
    first.read()
    assert first.follower.read == {"memory": 99}
    for event in events[100:]:
        log.append(event.to_json())
    assert len(list(first.follower.new())) == len(events) - 100
    rest = LiveReader(log, TOLD, RULE, JOIN, read={"memory": 99})
    rest.window(NOW, weight=0.25, since=0.0)
    alone = reader(logged(events[100:]))
    alone.window(NOW, weight=0.25, since=0.0)
    assert np.array_equal(rest.all.units().total, alone.all.units().total)


@pytest.mark.parametrize("kind", EVENT_LOGS)
def test_every_event_log_is_followed(kind: str, tmp_path: Path) -> None:
    events = sorted(messy(4, n=60), key=lambda event: event.time)
    log = EVENT_LOGS[kind](tmp_path)
    found = LiveReader(log, TOLD, RULE, JOIN, read=ends_of(log))
    for nth, event in enumerate(events):
        log.append(event.to_json())
        if nth % 25 == 0:
            found.window(event.time, weight=0.25, since=0.0)
    once = reader(logged(events)).window(NOW, weight=0.25, since=0.0)
    assert found.window(NOW, weight=0.25, since=0.0) == once
    assert list(found.follower.read.values()) == [len(events) - 1]
    log.close()


def test_numbers_worked_by_hand() -> None:
    log = MemoryLog()
    for nth in range(8):  # 2 decisions a user, 2 users an arm; the canary's are liked
        one = decision(nth, f"u{nth % 4}", 1_000.0 + nth, weight=0.25, canary=nth % 2 == 0)
        one = replace(one, fallback="ValueError: nan" if nth == 0 else None)
        one = replace(one, worked_ms=500.0 if nth == 2 else 2.0)
        log.append(one.to_json())
        if nth % 2 == 0:
            log.append(outcome(one, 3.0).to_json())
    log.append(decision(90, "u0", 1_009.0, weight=0.25).to_json())  # the same user in both arms
    log.append(decision(91, "u9", 1_070.0, weight=0.25, canary=True).to_json())  # too young
    log.append(replace(decision(92, "u8", 1_000.0), rollout="other@0.25").to_json())
    log.append(replace(decision(93, "u8", 1_000.0), rollout="", arm="live").to_json())
    window = reader(log).window(1_100.0, weight=0.25, since=990.0)
    reward = window.stage["reward"]
    assert (reward.canary, reward.value) == (2.0, 2.0)  # a session; control gets nothing
    assert (window.canary.users, window.canary.decisions) == (2, 4)
    assert (window.control.users, window.control.decisions) == (3, 5)
    assert (window.canary.silent_seconds, window.control.silent_seconds) == (30.0, 91.0)
    hard = window.hard  # of all 5 decisions, at once
    assert (hard.decisions, hard.errors, hard.fallbacks, hard.slow) == (5, 1, 1, 1)
    assert hard.violations == 0
    assert window.multiple_exposure == pytest.approx(1 / 5)
    assert window.stage["reward"].level == RULE.level_of("reward", "stage")
    assert window.stage["reward"].low is None  # two users do not bound anything
    mean = window.canary.mean  # as the stage's, with no bound of its own either
    assert (mean.value, mean.low, mean.high, mean.users) == (2.0, None, None, 2)
    silent = reader(MemoryLog()).window(1_100.0, weight=0.25, since=990.0)
    assert (silent.canary.silent_seconds, silent.canary.users) == (110.0, 0)
    assert silent.sample_ratio_p is None
    assert silent.stage["reward"].value is None


def test_a_broken_slate_and_propensities_that_are_none_are_seen() -> None:
    rng, log = np.random.default_rng(0), MemoryLog()
    true = np.array([0.5, 0.3, 0.1, 0.1])
    for nth in range(8_000):
        first = int(rng.choice(4, p=true))
        said = true if nth % 2 else true[::-1]  # the control's is honest, the canary's not
        one = decision(nth, f"u{nth % 200}", 1_000.0 + nth / 100, canary=nth % 2 == 0)
        one = replace(
            one, candidates=(0, 1, 2, 3), candidate_propensity=tuple(map(float, said)),
            slate=(first, (first + 1) % 4), position_propensity=(float(said[first]), 0.5),
        )  # fmt: skip
        log.append(one.to_json())
    log.append(replace(one, decision_id="twice", slate=(1, 1), arm="canary").to_json())
    found = reader(log)
    hard = found.window(1_300.0, weight=0.5, since=0.0).hard
    assert hard.violations == 1
    assert hard.mean_weight_low is not None
    assert hard.mean_weight_low > 1.1
    honest = found.arms["control"].counted(1_300.0, 0.999999)
    assert honest.mean_weight_low is not None
    assert honest.mean_weight_high is not None
    assert 0.9 < honest.mean_weight_low < 1 < honest.mean_weight_high < 1.1


def test_the_shadow_is_summed() -> None:
    log = MemoryLog()
    for nth in range(1_000):
        event = ShadowEvent(
            decision_id=f"d{nth}", time=1_000.0 + nth, user="u", policy="new", policy_sha256="",
            live_policy="old", live_propensity=0.5, propensity=0.4 if nth % 2 else 0.6,
            total_variation=0.1, worked_ms=800.0 if nth < 5 else 8.0, together=2, error=None,
        )  # fmt: skip
        log.append(event.to_json())
    failed = replace(event, propensity=None, total_variation=None, error="ValueError: nan")
    log.append(failed.to_json())
    log.append(replace(event, policy="another").to_json())
    shadow = reader(log).window(3_000.0, weight=0.0, since=0.0).shadow
    assert (shadow.decisions, shadow.errors, shadow.slow) == (1_001, 1, 5)
    assert shadow.p99_ms is not None
    assert shadow.p99_ms < 5
    assert shadow.mean_weight_low is not None
    assert shadow.mean_weight_high is not None
    assert shadow.mean_weight_low < 1 < shadow.mean_weight_high


def test_events_that_are_gone_missing_or_unreadable_are_counted() -> None:
    log = logged(messy(0)[:50])
    log.events[3] = REMOVED
    log.events[4] = b'{"type":"of the future"}'
    found = reader(log)
    found.read()
    assert found.counts["erased_events"] == 1
    assert found.counts["unreadable_events"] == 1
    assert "event 4 of memory" in (found.follower.unreadable or "")
