"""Every reading of the table is written by the commands that it names, in a small real run."""

from __future__ import annotations

import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from experiments.__main__ import main
from offpolicy.drift.findings import Act, Drift, DriftFinding
from offpolicy.drift.judging import DriftRule
from offpolicy.drift.record import DriftReport
from policies.baselines.uniform import uniform
from serving import Outcome, Request, SegmentLog
from serving.joining.join import join
from serving.joining.rule import JoinRule, Shape
from serving.metrics.estimates import share
from serving.metrics.kinds import Signal
from serving.metrics.signals import READINGS
from serving.rollout.journal import Journal
from serving.signals.feeds.commands import FEEDS
from serving.signals.feeds.joined import JoinedDays
from serving.signals.feeds.of_log import drift_readings
from serving.signals.runbook import runbook
from tests.factories import make_serving
from tests.serving.factories import make_engine
from tests.serving.registry.factories import make_registry
from tests.serving.rollout.traffic import decision, outcome

USERS, DAY = 120, 86_400.0
Series = dict[tuple[str, ...], float]


def run(*words: object) -> int:
    return main([str(word) for word in words])


def series_of(file: Path) -> Series:
    """Values by the name of a series and the labels that are not empty, in their order."""
    return {
        (sample.name, *(v for _, v in sorted(sample.labels.items()) if v)): sample.value
        for family in text_string_to_metric_families(file.read_text())
        for sample in family.samples
    }


@pytest.fixture(scope="module")
def exposed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Series]:
    """What each command writes."""
    top = tmp_path_factory.mktemp("feeds")
    files = {name: top / "M" / f"{name.split()[-1]}.prom" for name in FEEDS}
    served(top / "events")
    log = ("join", top / "events", "--reward", "liked=1", "--now", "end", "--out", top / "log")
    assert run(*log, "--metrics", files["join"]) == 0
    assert run("check", top / "log", "--users", "--metrics", files["check"]) == 0
    assert run("drift", top / "log", "--split", 0.5, "--metrics", files["drift"]) == 1
    watched(top, files["release watch"])
    return {name: series_of(file) for name, file in files.items()}


def served(folder: Path) -> None:
    """Two days: on the first each user has a session of five decisions, on the second one of one
    decision, where every third user stays away. Every other decision is liked."""
    with closing(SegmentLog(folder, sync=None)) as events:
        now = 1_000.0
        engine = make_engine(uniform(make_serving(4, user_size=0)), events)
        engine.clock = lambda: now
        engine.announce()
        for day in range(2):
            for u in range(USERS):
                for step in range(5 if day == 0 else bool(u % 3)):
                    now = 1_000.0 + day * DAY + 60.0 * u + step
                    own = f"{day}/{u}/{step}"
                    engine.decide(Request(request_id=own, user=f"u{u}", session=f"s{day}"))
                    if u % 2:
                        engine.outcome(
                            Outcome(outcome_id=own, decision_id=own, user=f"u{u}", kind="liked")
                        )


def watched(top: Path, file: Path) -> None:
    """A look at a canary to which half the users went a minute ago."""
    registry, (live, new) = make_registry(top)
    registry.promote(live)
    where = ("--registry", registry.folder)
    with closing(SegmentLog(registry.folder / "events", sync=None)) as events:
        rule = ("--shadow", 0, "--stages", 0.5, 1, "--window", "1s", "--reward", "liked=1")
        assert run("release", "canary", new, *where, *rule) == 0
        record = Journal(registry.folder).load()
        assert record is not None
        began, ids = time.time() - 60.0, range(4_000)
        read = [nth for nth in ids if crc32(f"d{nth}".encode()) % 8 == 0]  # whose weights are seen
        for nth in read[:200]:
            user = nth % 100
            one = decision(
                nth, f"u{user}", began, canary=user % 2 == 0, candidates=(0, 1, 2),
                candidate_propensity=(0.5, 0.25, 0.25), rollout=f"{record.rollout}@0.5",
            )  # fmt: skip
            one = replace(one, slate=(0, 1))
            events.append(one.to_json())
            if nth % 3:
                events.append(outcome(one, 0.5).to_json())
        assert run("release", "watch", *where, "--once", "--metrics", file) == 0


@pytest.mark.parametrize("signal", READINGS, ids=lambda one: one.name)
def test_every_reading_has_a_source(signal: Signal, exposed: dict[str, Series]) -> None:
    """Each command that the row names has written it, and no other."""
    name, fed_by = signal.name, signal.fed_by
    assert fed_by
    assert {cmd for cmd, found in exposed.items() if any(k[0] == name for k in found)} == {*fed_by}


def test_no_series_is_of_two_files(exposed: dict[str, Series]) -> None:
    """The collector stops where it is."""
    keys = [key for found in exposed.values() for key in found]
    assert len({*keys}) == len(keys)


def test_a_join_by_hand(exposed: dict[str, Series]) -> None:
    """80 of 120 users came again, for one decision each, of which half were liked."""
    found, about = exposed["join"], ("live", "policy@1")
    assert found["longplay_return", *about] == 80 / 120
    assert found["longplay_session_length", *about] == 1.0
    assert found["longplay_session_reward", *about] == 0.5
    assert found["longplay_history_mismatch", "policy@1"] == 0.0
    interval = share(80, 120)
    assert interval is not None
    assert found["longplay_indicator_high", "live", "returns", "policy@1"] == interval.high
    assert ("longplay_indicator_missed", "live", "returns", "policy@1") not in found  # no target
    error = 1.9905 * (80 / 79 * 0.25 / 80) ** 0.5  # Student's, of 80 users
    low = found["longplay_indicator_low", "live", "session_reward", "policy@1"]
    assert low == pytest.approx(0.5 - error, rel=1e-3)


def test_days_of_a_rollout_are_told_by_arm() -> None:
    """20 users, of whom the even ones get the canary; a day later the first 6 come again, and the
    canary's share is 0. No history is what the log derives."""
    first = [decision(n, f"u{n}", 1_000.0 + n, canary=n % 2 == 0) for n in range(20)]
    again = [decision(50 + n, f"u{n}", 1_000.0 + DAY + n) for n in range(20, 26)]
    again = [replace(one, user=f"u{n}") for n, one in enumerate(again)]
    again[-1] = replace(again[-1], fallback="deadline", policy="fallback")
    days = JoinedDays()
    shape = Shape(n_items=6, slate_size=2, history_length=3, responses=0)
    for some in (again, first, again):  # in any order, and a part twice
        days.add(join(some, [], JoinRule(), shape))
    assert days.readings() == {
        ("longplay_history_mismatch", ""): share(6, 6),
        ("longplay_session_length", "control"): (1.0, 6, -np.inf, np.inf),
        ("longplay_return", "canary"): share(3, 10),
        ("longplay_return", "control"): share(3, 10),
    }
    assert days.versions() == {"control": "old", "canary": "new"}
    assert JoinedDays().readings() == {("longplay_history_mismatch", ""): None}


def test_shorter_sessions_are_drift_that_counts(exposed: dict[str, Series]) -> None:
    """Sessions of the second half are shorter, and are paid less."""
    found, about = exposed["drift"], ("outcomes", "policy@1")
    assert found["longplay_drift_findings", *about] == 2.0
    assert found["longplay_indicator_missed", "drift", *about] == 1.0


def test_users_and_the_watch(exposed: dict[str, Series]) -> None:
    """One user is 1 % of 120, and was paid 6 of 340."""
    assert exposed["check"]["longplay_top_users_share", "policy@1"] == 6 / 340
    assert exposed["check"]["longplay_bots_share", "policy@1"] == 0.0
    found = exposed["release watch"]
    lows = {k[1] for k in found if k[0] == "longplay_indicator_low" and "session_reward" in k}
    assert lows == {"canary", "control"}


def test_drift_that_counts_is_told_by_subject() -> None:
    def one(subject: str, level: Drift, counts: bool = False) -> DriftFinding:
        return DriftFinding(subject, "x", "s", 0.0, 1.0, level, counts, Act.WATCH, "Watch.")

    findings = (
        one("outcomes", Drift.ALARM, True), one("outcomes", Drift.CANNOT_TELL),
        one("segments", Drift.CANNOT_TELL), one("inputs", Drift.NOTED),
    )  # fmt: skip
    report = DriftReport(findings, DriftRule(), ((1, 1, 1), (1, 1, 1)), "reward")
    found = {label: n for (_, label), n in drift_readings(report).items()}
    assert found == {"outcomes": 1.0, "segments": None, "propensities": None, "inputs": 0.0}


def test_bad_files_are_told_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (("drift", "no", "--split", 0.5), ("join", "no", "--out", tmp_path / "o")):
        assert run(*command, "--metrics", "a.txt") == 2
        assert "must end with .prom" in capsys.readouterr().err
    assert run("check", "no", "--metrics", "a.prom") == 2
    assert "add --users" in capsys.readouterr().err


def test_the_runbook_says_which_command_feeds_each() -> None:
    rows = [line for line in runbook().splitlines() if line.startswith("| `")]
    for signal in READINGS:
        for command in signal.fed_by:
            assert any(f"| `{command}` |" in row and f"`{signal.name}`" in row for row in rows)
    assert all(feed.cron in runbook() for feed in FEEDS.values())
