"""The loop in small: a drift is seen, learnt from and rolled out; a killed run goes on the same."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from experiments.common.run_folder import RunFolder
from experiments.common.truth import ratio
from experiments.live.against import total_difference
from experiments.live.lines import play, records, stage_of
from experiments.live.settings import Settings
from experiments.live.telling import happenings, short_names
from experiments.live.watching import REFERENCE, Watched, bounds, values_by_version
from policies import build, collect
from tests.experiments.live.worlds import make

SMALL = Settings(
    users=240, daily=0.5, max_steps=4, slate_size=2, n_candidates=8, history_length=6,
    warm_sessions=100, new_sessions=150, min_ess=5, shadow_decisions=40, look_hours=6, days=4,
    event_day=2, seed=5,
)  # fmt: skip
MEASURED = {"serve_cpu", "cpu"}


def played(folder: Path, settings: Settings = SMALL) -> list[dict[str, Any]]:
    run = RunFolder(folder)
    play(settings, folder, "loop")
    return [
        {k: v for k, v in r.items() if k not in MEASURED} for r in records(settings, run, "loop")
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("live")
    return folder, played(folder)


def test_a_run_that_was_killed_in_a_day_goes_on_as_if_it_had_not_been(
    whole: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    folder, days = whole
    copied = tmp_path / "run"
    shutil.copytree(folder, copied)
    for day in (2, 3):  # the folder of day 2 is there, its stage is not: killed between the two
        (copied / "stages" / f"{stage_of('loop', day)}.json").unlink()
    shutil.rmtree(copied / "lines" / "loop" / "day-003")
    assert played(copied) == days


def test_over_http_the_same_users_are_served_the_same(
    whole: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    [day] = played(tmp_path, replace(SMALL, http=True, days=1, event_day=0))
    first = whole[1][0]
    assert day["value"] == pytest.approx(first["value"])
    for name in ("sessions", "decisions", "live"):
        assert day[name] == first[name]


def test_it_learns_rolls_out_and_says_so(whole: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, days = whole
    learnt = [r["learnt"] for r in days if r["learnt"]]
    steps = [step for r in days for step in r["steps"]]
    assert learnt
    assert learnt[0]["version"] in {step["version"] for step in steps}
    assert {"shadow", "canary"} <= {step["phase"] for step in steps}
    registry = folder / "lines" / "loop" / "registry"
    changes = [json.loads(line) for line in (registry / "history.jsonl").read_text().splitlines()]
    assert [one["time"] for one in changes] == sorted(one["time"] for one in changes)
    assert changes[-1]["time"] <= 4 * 86_400.0
    told = happenings(days, "drift", 2)
    assert {"learnt", "weigh"} <= {one["kind"] for one in told}
    assert short_names(days)[days[0]["live"]] == "v1"


def test_days_add_up(whole: tuple[Path, list[dict[str, Any]]]) -> None:
    for record in whole[1]:
        of_versions = [v["sessions"] for v in record["versions"].values()]
        assert sum(of_versions) == record["sessions"]
        assert record["total"] == pytest.approx(record["value"] * record["sessions"])
        assert record["low"] < record["value"] < record["high"]


def test_the_detector_sees_a_fall_and_says_when_it_began() -> None:
    rng = np.random.default_rng(0)
    watched = Watched()
    for day in range(9):
        values = rng.gamma(2.0, 10.0 if day < 6 else 7.0, size=REFERENCE)
        again = Watched.from_dict(json.loads(json.dumps(watched.to_dict())))
        alarm = watched.see(day, "v1", {"v1": values})
        assert again.see(day, "v1", {"v1": values}) == alarm
        if alarm is not None:
            break
    assert alarm is not None
    assert day in (6, 7)
    assert alarm[0] == 6
    assert watched.detector is None  # what comes now is the new normal


def test_a_new_version_has_a_reference_of_its_own() -> None:
    watched, rng = Watched(), np.random.default_rng(1)
    for day, version, mean in ((0, "v1", 20.0), (1, "v1", 20.0), (2, "v2", 10.0), (3, "v2", 10.0)):
        values = {version: rng.gamma(2.0, mean / 2, size=REFERENCE)}
        assert watched.see(day, version, values) is None


def test_values_are_those_of_whole_sessions() -> None:
    env = make(4)
    log = collect(env, build("uniform", env), n_sessions=30, seed=1)
    log = replace(log, logger=np.where(log.sessions % 2 == 0, "a", "b"))
    of = values_by_version(log)
    assert sum(map(len, of.values())) == log.n_sessions
    assert sum(v.sum() for v in of.values()) == pytest.approx(log.reward.sum())
    assert bounds(np.array([1.0]), 0.95)["low"] is None


def test_ratios_and_differences_are_of_the_same_users() -> None:
    rng = np.random.default_rng(2)
    user = rng.gamma(2.0, 5.0, size=4000)
    a, b = 0.9 * user + rng.normal(size=4000), user + rng.normal(size=4000)
    share = ratio(a, b, 0.95)
    assert share.low < 0.9 < share.high
    assert share.high - share.low < 0.02  # alone, each mean is known to 2 %
    lost = total_difference(a, b, 0.95)
    assert lost["low"] < -0.1 * user.sum() < lost["high"]


def test_settings_that_cannot_be_are_named() -> None:
    with pytest.raises(ValueError, match="event_day is 9"):
        Settings(days=5, event_day=9)
    with pytest.raises(ValueError, match="stage_days"):
        Settings(stage_days=0)
