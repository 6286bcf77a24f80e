"""A climb at a tiny size: rounds, resume, who reads which sessions, tables, an honest negative."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.climb import rounds
from experiments.climb.command import run
from experiments.climb.job import Job, check
from experiments.climb.report import counted, halts, never_stepping, page, to_csv
from experiments.climb.rounds import climb
from experiments.climb.settings import Settings
from offpolicy import LoggedDataset
from policies import build, save

TINY: dict[str, Any] = {
    "seeds": 2, "rounds": 2, "sessions": 2000, "warm_sessions": 10, "truth_sessions": 300,
    "max_steps": 2, "users": 200, "min_ess": 50.0, "workers": 1, "behaviour": "uniform",
    "confidence": 0.9,
}  # fmt: skip


def settings(**changes: Any) -> Settings:
    return Settings(**TINY | changes)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("climb")
    assert run(settings(out=out)) == 0
    (folder,) = out.iterdir()
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != "settings.json")
    return {str(p.relative_to(folder)): p.read_bytes() for p in files}


def stage(folder: Path, seed: int, nth: int) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(
        (folder / f"stages/seed-{seed}-round-{nth:03d}.json").read_text()
    )
    return record


def test_a_step_is_served_next_and_truth_is_paired(done: Path) -> None:
    steps = 0
    for seed in (0, 1):
        behaviour = json.loads((done / f"stages/seed-{seed}-behaviour.json").read_text())
        before = behaviour
        for nth in (0, 1):
            after = stage(done, seed, nth)
            assert after["served"] == before["value"]
            for name, other in (("realised", before), ("over_behaviour", behaviour)):
                gain = np.mean(np.subtract(after["returns"], other["returns"]))
                assert after[name]["value"] == pytest.approx(gain)
            if after["share"] > 0:
                assert after["verdict"] == "pass"
                assert 0 < after["bound"] < after["estimate"]
                assert after["ess"] >= TINY["min_ess"]
                steps += 1
            else:
                assert after["returns"] == before["returns"]
            before = after
    assert steps > 0


def test_a_killed_run_goes_on_to_the_same_bytes(done: Path, tmp_path: Path) -> None:
    before = contents(done)
    shutil.copytree(done, tmp_path / "run")
    for name in (
        "stages/seed-0-round-001.json", "stages/seed-1-round-000.json",
        "stages/seed-1-round-001.json", "climb.md", "climb.png", "rounds.csv",
    ):  # fmt: skip
        (tmp_path / "run" / name).unlink()
    kept = (tmp_path / "run/stages/seed-0-round-000.json").stat().st_mtime_ns
    assert run(settings(out=done.parent, resume=tmp_path / "run")) == 0
    assert contents(tmp_path / "run") == before
    assert (tmp_path / "run/stages/seed-0-round-000.json").stat().st_mtime_ns == kept


def keys(log: LoggedDataset) -> set[tuple[str, int]]:
    assert log.logger is not None
    return set(zip(log.logger.tolist(), log.session.tolist(), strict=True))


def test_no_judge_session_was_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s, seen, judged = settings(rounds=3), set[tuple[str, int]](), set[tuple[str, int]]()
    kind = type(Job(s, 0).untaught("target"))
    step, update = rounds.reached_step, kind.update

    def learn(self: Any, log: LoggedDataset) -> dict[str, float]:
        seen.update(keys(log))
        return update(self, log)

    def judge(held: LoggedDataset, *rest: Any, **more: Any) -> Any:
        assert not keys(held) & seen
        assert judged <= seen  # those of earlier rounds are learnt from by now
        judged.update(keys(held))
        return step(held, *rest, **more)

    monkeypatch.setattr(kind, "update", learn)
    monkeypatch.setattr(rounds, "reached_step", judge)
    (tmp_path / "stages").mkdir()
    assert climb(s, tmp_path, 0) == 4
    assert len(judged) == pytest.approx(3 * 0.75 * s.sessions, rel=0.1)


def test_a_worse_target_is_never_served(tmp_path: Path) -> None:
    job = Job(settings(sessions=4000), 5)
    good = job.untaught("target")
    good.update(job.log(job.behaviour(), 0))
    save(good, tmp_path / "good")
    s = settings(behaviour=str(tmp_path / "good"), target="uniform", out=tmp_path / "runs")
    assert run(s) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    for seed, nth in product((0, 1), (0, 1)):
        record = stage(folder, seed, nth)
        assert record["share"] == 0
        assert record["verdict"] != "pass"
        assert record["over_behaviour"]["value"] == 0


def test_a_saved_target_stays_as_it_is(tmp_path: Path) -> None:
    env = Job(settings(), 0).world.make(10)
    save(build("uniform", env), tmp_path / "target")
    s = settings(target=str(tmp_path / "target"), rounds=1, out=tmp_path / "runs")
    assert run(s) == 0
    (folder,) = (tmp_path / "runs").iterdir()
    assert stage(folder, 0, 0)["share"] == 0  # uniform towards uniform: no uplift


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"target": "nobody"}, "no policy 'nobody'"),
        ({"target": "ppo"}, "learns by acting"),
        ({"env": "recsim_env/Nowhere-v0"}, "cannot be made"),
        ({"target_set": ("epsilon=much",)}, "--target-set epsilon=much"),
    ],
)
def test_what_cannot_climb_is_refused_before_anything_is_written(
    changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        check(settings(**changes))


def test_a_target_that_shows_its_best_surely_is_refused(tmp_path: Path) -> None:
    save(build("one_step", Job(settings(), 0).world.make(10)), tmp_path / "greedy")
    with pytest.raises(ValueError, match="geometric path"):
        check(settings(target=str(tmp_path / "greedy")))


@pytest.mark.parametrize(
    "changes", [{"learner_share": 1.0}, {"seeds": 1}, {"confidence": 0.4}, {"sessions": 3}]
)
def test_settings_that_mean_nothing(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|lies|at least|too few"):
        settings(**changes)


def record(seed: int, nth: int, served: float, value: float, **more: Any) -> dict[str, Any]:
    """A round by hand; the behaviour is worth 10."""
    gain = value - served
    return {
        "seed": seed, "round": nth, "sessions": 100, "decisions": 900, "learner_sessions": 50,
        "judge_sessions": 50, "served": served, "value": value, "verdict": "pass",
        "realised": {"value": gain, "low": gain - 1, "high": gain + 1},
        "over_behaviour": {"value": value - 10, "low": 0.0, "high": 0.0},
    } | more  # fmt: skip


def by_hand() -> dict[int, list[dict[str, Any]]]:
    step = {"share": 0.5, "ess": 40.0, "estimate": 2.0, "bound": 1.0}
    stay = {"share": 0.0, "ess": 4.0, "estimate": 0.1, "bound": -3.0, "verdict": "cannot tell",
            "reason": "log more"}  # fmt: skip
    return {
        7: [record(7, 0, 10, 12, **step), record(7, 1, 12, 12.5, **step)],
        8: [record(8, 0, 10, 14, **step), record(8, 1, 14, 14, **stay)],
    }


def test_tables_are_those_worked_by_hand() -> None:
    s, climbs = settings(seeds=2, seed=7), by_hand()
    behaviours = np.array([10.0, 10.0])
    assert never_stepping(behaviours, climbs).tolist() == [200.0, 400.0]  # (12 - 10) x 100, ...
    text = page(s, "a world", behaviours, climbs)
    first, second = (x for x in text.splitlines() if x.startswith(("| 1 |", "| 2 |")))
    assert first == "| 1 | 10.00 ± 0.00 | 2 of 2 | 0.500 | 40 | +2.00 | +1.00 | +3.00 | 2 of 2 |"
    half = 12.7062 * np.std([12, 14], ddof=1) / 2**0.5  # t(1), 97.5 %
    assert second.startswith(f"| 2 | 13.00 ± {half:.2f} | 1 of 2 | 0.500 | 40 | +2.00 |")
    assert second.endswith("| +0.50 | 0 of 1 |")  # the step of seed 7 fell short of its bound
    assert f"| after | 13.25 ± {12.7062 * 0.75:.2f} |" in text
    assert "| steps taken | 3 of 4 |" in text
    assert "Rounds without a step:\n\n* seed 8, round 2: cannot tell: log more\n\n" in text
    assert "stated bound | 2 of 3 (9.4% to 99.2%) |" in text
    assert "| smallest value at the end of a round, less the behaviour's | +2.00 |" in text
    assert "| seeds that ended a round below the behaviour | 0 |" in text
    lines = list(csv.DictReader(to_csv(climbs).splitlines()))
    assert [x["seed"] for x in lines] == ["7", "7", "8", "8"]
    assert lines[1]["realised"] == "0.5"
    assert lines[3]["over_behaviour"] == "4"


def test_a_climb_without_a_step_has_a_table() -> None:
    stay = {"share": 0.0, "ess": 4.0, "estimate": None, "bound": None, "verdict": "cannot tell",
            "reason": "log more"}  # fmt: skip
    climbs = {n: [record(n, 0, 10, 10, **stay)] for n in (0, 1)}
    assert "and 2 more rounds" in halts({n: [record(n, 0, 10, 10, **stay)] for n in range(6)})[0]
    text = page(replace(settings(), rounds=1), "a world", np.array([10.0, 10.0]), climbs)
    assert "| 1 | 10.00 ± 0.00 | 0 of 2 | - | - | - | - | - | 0 of 0 |" in text
    assert counted(np.array([], dtype=bool), 0.95) == "0 of 0"


def test_seeds_and_rounds_meet_other_users() -> None:
    one, other = Job(settings(), 0), Job(settings(), 1)
    every = [job.seed_of("log", n) for job in (one, other) for n in range(3)]
    assert len({*every, one.seed_of("truth"), other.seed_of("truth")}) == 8


def test_the_parts_of_a_round_share_no_session() -> None:
    job = Job(settings(learner_share=0.3), 0)
    log = job.log(job.behaviour(), 0)
    learner, judge = job.parted(log, 0)
    assert learner.n_sessions == pytest.approx(600, rel=0.1)
    assert not set(learner.session) & set(judge.session)
    assert len(learner) + len(judge) == len(log)
