"""`longplay calibrate` on a file: a world that loads, and a report that says what it measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.calibrate import fidelity
from experiments.calibrate.command import Settings, run
from recsim_env.calibration.world import FittedWorld


def written(path: Path, users: int) -> Path:
    rng = np.random.default_rng(0)
    rows = ["user,item,timestamp"]
    for u in range(users):
        items = rng.permutation(40)[: rng.integers(6, 16)]
        rows += [f"u{u},i{i},{t}" for t, i in enumerate(items)]
    path.write_text("\n".join(rows))
    return path


def test_a_file_becomes_a_world_and_a_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = written(tmp_path / "log.csv", 60)
    assert run(Settings(data=str(file), out=tmp_path / "world", dims=4)) == 0
    assert "30 held-out real users and 30 simulated" in capsys.readouterr().out
    world = FittedWorld.load(tmp_path / "world")
    assert len(world.population) == 60
    assert world.config.repeat == -50
    report = json.loads((tmp_path / "world" / "fidelity.json").read_text())
    assert [row["name"] for row in report["fidelity"]] == [row["name"] for row in report["floor"]]
    assert "data:image/png" in (tmp_path / "world" / "report.html").read_text()


def test_too_few_users_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "log.csv", 30)
    with pytest.raises(ValueError, match="30 users have 5 items or more"):
        run(Settings(data=str(file), out=tmp_path / "world"))


@pytest.mark.filterwarnings("error")
def test_a_catalogue_smaller_than_the_topics_is_calibrated(tmp_path: Path) -> None:
    rng, rows = np.random.default_rng(0), ["user,item,timestamp"]
    rows += [f"u{u},i{rng.integers(4)},{t}" for u in range(50) for t in range(8)]
    (tmp_path / "few.csv").write_text("\n".join(rows))
    assert run(Settings(data=str(tmp_path / "few.csv"), out=tmp_path / "world")) == 0
    report = json.loads((tmp_path / "world" / "fidelity.json").read_text())
    assert all(np.isfinite(row["simulated"]) for row in report["fidelity"])


def test_too_few_simulated_users_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path / "log.csv", 60)
    with pytest.raises(ValueError, match="--simulated 3: simulate 20 users at least"):
        run(Settings(data=str(file), out=tmp_path / "world", simulated=3))


def test_predictability_is_the_hit_rate_of_last_items() -> None:
    ring = [(np.arange(8) + start) % 30 for start in range(30)]
    assert fidelity.predictability(ring, 30) == 1.0
    rng = np.random.default_rng(0)
    noise = [rng.integers(100, size=8) for _ in range(500)]
    assert fidelity.predictability(noise, 100) == pytest.approx(0.1, abs=0.04)
    assert np.isnan(fidelity.predictability([np.arange(3)], 30))


def test_distances_by_hand() -> None:
    assert fidelity.tv(np.array([0.5, 0.5]), np.array([0.8, 0.2])) == pytest.approx(0.3)
    assert fidelity.gini(np.array([0.0, 0.0, 1.0])) == pytest.approx(2 / 3)
    lists = [np.array([0, 1, 0, 2]), np.array([1, 2])]
    assert fidelity.repeat_rate(lists) == pytest.approx((1 / 4 + 0) / 2)
    moves = fidelity.transitions(lists, np.array([0, 0, 1]), 2)
    assert moves == pytest.approx(np.array([[2, 2], [0, 0]]) / 4)


def test_a_log_is_not_told_from_itself_but_from_shorter_lists() -> None:
    rng = np.random.default_rng(0)
    real = [rng.permutation(40)[: rng.integers(10, 30)] for _ in range(200)]
    other = [rng.permutation(40)[: rng.integers(10, 30)] for _ in range(200)]
    short = [items[:6] for items in other]
    popularity, topics = np.ones(40), np.arange(40) % 4
    x, y, z = (fidelity.features(lists, popularity, topics) for lists in (real, other, short))
    assert fidelity.two_sample_auc(x, y, 0) < 0.6
    assert fidelity.two_sample_auc(x, z, 0) > 0.95
