"""`longplay release canary` and what steers it: what is asked, refused, planned and shown."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.serve.release.canary import Canary, rule_of
from experiments.serve.release.plan import Traffic, plan_rollout
from offpolicy.trials.size import past_of
from offpolicy.trials.units import TrialUnits
from serving import Registry, SegmentLog
from serving.rollout.lease import Lease
from serving.rollout.rule import RolloutRule
from tests.serving.registry.factories import CATALOGUE, make_registry, saved
from tests.serving.rollout.traffic import decision, outcome

REWARD = ("--reward", "liked=1")


def release(*options: object) -> int:
    return main(["release", *map(str, options)])


def error(capsys: pytest.CaptureFixture[str], *options: object) -> str:
    capsys.readouterr()
    assert release(*options) == 2
    return capsys.readouterr().err


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """With a live version, one that is not, and three days of traffic."""
    registry, (a, _) = make_registry(tmp_path)
    registry.promote(a, by="ann")
    rng, began = np.random.default_rng(0), time.time() - 3 * 86_400
    with_events = SegmentLog(registry.folder / "events", sync=None)
    for nth in range(1_500):
        one = decision(nth, f"u{rng.integers(500)}", began + 170.0 * nth)
        with_events.append(replace(one, rollout="", arm="live").to_json())
        if rng.random() < 0.4:
            with_events.append(outcome(one, 5.0).to_json())
    with_events.close()
    return registry


def canary_of(registry: Registry) -> str:
    live = registry.pointer().live
    return next(one.version for one in registry.versions() if one.version != live)


def test_a_rollout_is_planned_begun_held_and_stopped(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    there, new = ("--registry", registry.folder), canary_of(registry)
    assert "Kinds in the log: liked" in error(capsys, "canary", new, *there)
    assert "no rollout began" in error(capsys, "watch", *there)
    assert release("rollout", *there) == 0
    assert "no rollout began" in capsys.readouterr().out
    assert release("canary", new, *there, *REWARD, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "sessions a day, reward 0.4" in said
    assert "its least users" in said
    assert "note: no gate report is kept" in said
    assert registry.pointer().shadow is None
    assert (
        release("canary", new, *there, *REWARD, "--not-less", "decisions=0.1", "--by", "ann") == 0
    )
    said = capsys.readouterr().out
    assert "shadow: 1,000 decisions are compared" in said
    assert "next: longplay release watch" in said
    assert registry.pointer().shadow == new
    assert "goes on" in error(capsys, "canary", new, *there, *REWARD)
    file = registry.folder / "metrics" / "longplay.prom"
    assert release("watch", *there, "--once", "--json", "--metrics", file) == 0
    step = json.loads(capsys.readouterr().out)
    assert f'longplay_rollout_phase{{phase="shadow",version="{new}"}} 1.0' in file.read_text()
    assert f'longplay_log_incomplete{{version="{new}"}}' not in file.read_text()  # none came since
    assert step["window"]["shadow"]["decisions"] == 0
    assert release("hold", *there, "--why", "lunch", "--by", "ann") == 0
    assert "held by ann: lunch" in capsys.readouterr().out
    assert release("resume", *there) == 0
    assert release("stop", *there, "--by", "bob") == 0
    assert registry.pointer().shadow is None
    capsys.readouterr()
    assert release("rollout", *there) == 0
    said = capsys.readouterr().out
    assert "ended: rolled back by bob" in said
    assert [line.split()[0] for line in said.splitlines()[-5:]] == ["5", "4", "3", "2", "1"]
    assert release("watch", *there, "--metrics", file) == 1
    assert f'longplay_rollout_phase{{phase="rolled_back",version="{new}"}} 1.0' in file.read_text()
    assert "rolled back by bob" in capsys.readouterr().out
    assert "the last one ended" in error(capsys, "hold", *there)


def test_a_version_that_the_gate_failed_is_refused(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = {"candidates": [{"name": "new", "verdict": {"outcome": "fail"}}]}
    (tmp_path / "gate.json").write_text(json.dumps(report))
    new = registry.add(saved(tmp_path, 2), catalogue=CATALOGUE, gate=tmp_path / "gate.json")
    there = ("--registry", registry.folder)
    said = error(capsys, "canary", new, *there, *REWARD)
    assert "the gate failed new" in said
    assert registry.pointer().shadow is None
    assert release("canary", new, *there, *REWARD, "--despite-gate", "--shadow", 0) == 0
    assert "the gate's verdict on new was fail" in capsys.readouterr().out
    assert registry.pointer().canary == new


def test_the_rule_that_nobody_changes_is_the_usual_one() -> None:
    assert rule_of(Canary(version="x", registry=Path())) == RolloutRule()
    guarded = rule_of(Canary(version="x", registry=Path(), not_less=("a=0.1",), not_more=("b=1",)))
    assert [g.higher_is_better for g in guarded.guardrails] == [True, False]
    assert sum(g.share for g in guarded.guardrails) == pytest.approx(2 / 3)


def test_bad_options_are_named(registry: Registry, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("canary", canary_of(registry), "--registry", registry.folder, *REWARD)
    assert "stages" in error(capsys, *given, "--stages", 0.5, 0.1, 1)
    assert "--least 3" in error(capsys, *given, "--least", 3)
    assert "--not-less x" in error(capsys, *given, "--not-less", "x")
    assert "margin" in error(capsys, *given, "--margin", 2)
    assert "must end with .prom" in error(
        capsys, "watch", "--registry", registry.folder, "--metrics", "a.txt"
    )
    assert "no folder of events" in error(capsys, *given, "--events", "/nowhere")


def test_a_second_watch_says_who_runs(
    registry: Registry, capsys: pytest.CaptureFixture[str]
) -> None:
    there = ("--registry", registry.folder)
    assert release("canary", canary_of(registry), *there, *REWARD) == 0
    lease = Lease(registry.folder, "the first")
    lease.take()
    done = subprocess.run(
        [sys.executable, "-m", "experiments", "release", "watch", *map(str, there)],
        cwd=Path(__file__).resolve().parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    lease.give_back()
    assert done.returncode == 3
    assert "by the first, since" in done.stderr


def traffic(sessions_a_day: float, rate: float = 0.4) -> Traffic:
    """Users of one session each, of whom a share likes what is shown."""
    n = 1_000
    total: Any = (np.arange(n)[:, None] < rate * n).astype(np.float64)
    units = TrialUnits(
        np.arange(n), np.zeros(n, np.bool_), np.zeros(n, np.int64), total, np.ones(n), ("reward",)
    )
    return Traffic(sessions_a_day, sessions_a_day, past_of(units, "reward", per="session"))


def test_a_plan_by_hand() -> None:
    rule = RolloutRule(stages=(0.1, 1.0), margin=0.2, last_seconds=0.0)
    plan = plan_rollout(rule, traffic(100_000.0))
    (stage,) = plan.stages
    assert (stage.days, stage.why) == (1.0, "its least time")  # 10,000 users in an arm
    assert stage.users == 10_000.0
    assert plan.worst is not None
    assert plan.worst.worse == 0.4
    assert plan.worst.days < 0.2
    wide = RolloutRule(stages=(0.1, 1.0), margin=0.3, least_users=400, last_seconds=0.0)
    few = plan_rollout(wide, traffic(2_000.0)).stages[0]
    assert few.days == pytest.approx(2.0)  # 200 users a day get the canary
    assert few.why == "its least users"
    none = plan_rollout(rule, traffic(5.0)).stages[0]
    assert none.days is None


def test_a_plan_is_longer_where_there_is_less_to_see() -> None:
    rule = RolloutRule(
        stages=(0.05, 0.5, 1.0),
        margin=0.3,
        least_seconds=0.0,
        last_seconds=0.0,
        recent_seconds=3_600.0,
    )
    days = []
    for sessions in (2e4, 4e4, 2e6):
        plan = plan_rollout(rule, traffic(sessions))
        known = [one.days for one in plan.stages if one.days is not None]
        days.append(sum(known) if len(known) == 2 else np.inf)
    assert days[0] > days[1] > days[2]
    rare = plan_rollout(rule, traffic(4e4, rate=0.05))
    assert sum(one.days or np.inf for one in rare.stages) > days[1]


def test_one_look_says_by_its_status_that_the_version_was_taken_back(registry: Registry) -> None:
    there = ("--registry", registry.folder)
    assert release("canary", canary_of(registry), *there, *REWARD, "--shadow", "0") == 0
    assert release("watch", *there, "--once") == 0
    assert release("rollback", *there) == 0
    assert release("watch", *there, "--once") == 1
    assert release("watch", *there, "--once") == 1


def test_nothing_is_planned_that_could_not_begin(
    registry: Registry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--registry", registry.folder, *REWARD, "--dry-run")
    other = registry.add(saved(tmp_path, 7, slate_size=2), by="ann")
    assert "is live: a canary is another version" in error(capsys, "canary", "live", *given)
    assert "it has another slate_size" in error(capsys, "canary", other, *given)
    never = error(capsys, "canary", canary_of(registry), *given, "--not-less", "liked=1.5")
    assert "what must not fall cannot fall by more than all of it" in never
