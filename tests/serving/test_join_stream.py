"""A join of a long log: its memory, its order, its clock."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from offpolicy import read_log
from offpolicy.storage.manifest import ordered_hash
from serving import Decision, JoinRule, MemoryLog, OutcomeEvent, Shape, join, join_log
from serving.events.log import Entry
from serving.hashes import history_hash
from serving.joining import stream

RULE = JoinRule(window=20.0, windows={"bought": 40.0}, reward={"liked": 1.0}, idle=30.0)
SHAPE = Shape(n_items=9, slate_size=1, history_length=4, responses=1)
EMPTY = history_hash(np.zeros(0, np.int32), np.zeros((0, 1), np.float32))


def decision(at: float, session: str, step: int) -> Decision:
    return Decision(
        decision_id=f"{session}/{step}", time=at, user=f"u{session}", session=session,
        began=f"{session}/0", step=step, slate=(1,), items=("b",), propensity=0.5,
        position_propensity=(0.5,), candidates=None, candidate_propensity=None, context=(),
        policy="v1", rules="none", history_version=0, history_hash=EMPTY, history_age=None,
        prior_items=(), prior_responses=(), unknown_items=0, fallback=None, worked_ms=1.0,
    )  # fmt: skip


def outcome(of: Decision, at: float, kind: str = "liked") -> OutcomeEvent:
    return OutcomeEvent(
        outcome_id=f"{of.decision_id}/{kind}", decision_id=of.decision_id, user=of.user, kind=kind,
        item=None, value=1.0, responses=(), client_time=None, time=at,
    )  # fmt: skip


def sessions(n: int) -> list[Decision | OutcomeEvent]:
    """A session begins each 2 s and decides 3 times, with an outcome each, in the order of time."""
    events: list[Decision | OutcomeEvent] = []
    for i in range(n):
        for step in range(3):
            decided = decision(2.0 * i + 7 * step, f"{i:06d}", step)
            events += [decided, outcome(decided, decided.time + 3)]
            if i % 5 == 0:
                events.append(outcome(decided, decided.time + 25 + i % 4 * 10, "bought"))
    return sorted(events, key=lambda event: event.time)


class Made:
    """A log that is made while it is read: nothing of it is in memory."""

    def __init__(self, n: int) -> None:
        self.n = n

    def writers(self) -> list[str]:
        return ["main"]

    def read(self, writer: str, after: int = -1) -> Iterator[Entry]:
        number, waiting = 0, list[Decision | OutcomeEvent]()
        for i in range(self.n):
            for step in range(3):
                decided = decision(2.0 * i + 7 * step, f"{i:06d}", step)
                waiting += [decided, outcome(decided, decided.time + 3)]
            waiting.sort(key=lambda event: event.time)
            while waiting and waiting[0].time <= 2.0 * i:
                yield Entry("main", number, waiting.pop(0).to_json())
                number += 1
        for event in waiting:
            yield Entry("main", number, event.to_json())
            number += 1


def test_memory_does_not_grow_with_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[int] = []
    inner = stream.join

    def counted(
        decisions: list[Decision], outcomes: list[OutcomeEvent], *rest: object, **now: float
    ):  # type: ignore[no-untyped-def]
        held.append(len(decisions) + len(outcomes))
        return inner(decisions, outcomes, *rest, **now)  # type: ignore[arg-type]

    monkeypatch.setattr(stream, "join", counted)

    def peaks(n: int) -> tuple[int, int]:
        held.clear()
        tracemalloc.start()
        counts = join_log(Made(n), tmp_path / f"{n}", RULE, SHAPE, every=100)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert counts["decisions"] == counts["joined_outcomes"] == 3 * n
        assert counts["late_decisions"] == counts["late_outcomes"] == 0
        return max(held), peak

    peaks(20)  # what is imported once
    few, some = peaks(100)
    many, more = peaks(400)
    assert many <= few + 10
    assert more < 1.5 * some


@pytest.mark.parametrize("seed", [0, 1])
def test_writers_out_of_step_and_repeats_give_the_same_rows(seed: int, tmp_path: Path) -> None:
    """Three writers, a fifth of the events twice, and each up to ten places late in its log."""
    rng = np.random.default_rng(seed)
    events = sessions(150)
    twice = [events[i] for i in rng.choice(len(events), len(events) // 5, replace=False)]
    both = sorted([*events, *twice], key=lambda event: event.time)
    place = np.argsort(np.arange(len(both)) + rng.uniform(0, 10, len(both)))
    logs = [MemoryLog(f"w{i}") for i in range(3)]
    for i in place:
        logs[int(rng.integers(3))].append(both[i].to_json())
    counts = join_log(_Several(logs), tmp_path / "log", RULE, SHAPE, every=40)
    decisions = [event for event in events if isinstance(event, Decision)]
    outcomes = [event for event in events if isinstance(event, OutcomeEvent)]
    whole = join(decisions, outcomes, RULE, replace(SHAPE, keep_priors=True))
    assert whole.log is not None
    assert ordered_hash(read_log(tmp_path / "log")) == ordered_hash(whole.log)
    assert len(list((tmp_path / "log").glob("*.parquet"))) > 5
    assert counts["decisions"] == counts["sessions"] * 3 == 450
    assert counts["late_decisions"] == 0
    known = "joined_outcomes", "late_outcomes", "orphaned_outcomes"
    repeated = sum(isinstance(event, OutcomeEvent) for event in twice)
    assert sum(counts[name] for name in known) >= len(outcomes)
    assert counts["joined_outcomes"] == whole.counts["joined_outcomes"]
    assert 0 < counts["duplicate_outcomes"] <= repeated


class _Several:
    """Logs of one writer each as one log."""

    def __init__(self, logs: list[MemoryLog]) -> None:
        self.logs = {log.writer: log for log in logs}

    def writers(self) -> list[str]:
        return sorted(self.logs)

    def read(self, writer: str, after: int = -1) -> Iterator[Entry]:
        return self.logs[writer].read(writer, after)


@pytest.mark.parametrize("back", [15.0, 600.0])
def test_a_clock_that_goes_back_loses_no_row(back: float, tmp_path: Path) -> None:
    log, n = MemoryLog(), 0
    for nth, event in enumerate(sessions(120)):
        moved = replace(event, time=event.time - back * (nth >= 400))
        log.append(moved.to_json())
        n += isinstance(event, Decision)
    counts = join_log(log, tmp_path / "log", RULE, SHAPE, every=30)
    assert counts["decisions"] == n == 360
    assert counts["late_decisions"] == counts["conflicting_decisions"] == 0
    assert counts["orphaned_outcomes"] == 0
    assert read_log(tmp_path / "log").n_sessions == 120


def test_a_later_join_gives_the_same_rows_and_more(tmp_path: Path) -> None:
    log, events = MemoryLog(), sessions(60)
    for event in events[: len(events) // 2]:
        log.append(event.to_json())
    now = events[len(events) // 2].time
    first = join_log(log, tmp_path / "first", RULE, SHAPE, now=now)
    for event in events[len(events) // 2 :]:
        log.append(event.to_json())
    second = join_log(log, tmp_path / "second", RULE, SHAPE)
    assert first["open_sessions"] > 5
    assert first["open_decisions"] > first["open_sessions"]
    assert second["open_sessions"] == 0
    before, after = read_log(tmp_path / "first"), read_log(tmp_path / "second")
    known = set(before.names_of("session", before.session))
    again = np.array([name in known for name in after.names_of("session", after.session)])
    assert after.take(again).hash() == before.hash()
    assert second["sessions"] == first["sessions"] + after.take(~again).n_sessions
