"""`longplay drift`: two logs or one that is split, its status and what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.logs.drift import Settings, run
from offpolicy import write_log
from tests.offpolicy.drift.logs import world

FOREIGN = ("session=visit", "user=who", "slate=item", "propensity=p", "reward=paid")


def table(path: Path, seed: int, *, users: int = 400, start: str = "2026-01-05", **settings: Any):
    """A log as another system has it: names, dates and a country beside its rows."""
    log, _ = world(seed, users, **settings)
    assert log.user is not None
    minute = pd.to_timedelta(log.user * 30.0 + log.step, unit="min")
    pd.DataFrame(
        {
            "visit": log.session, "who": log.user, "step": log.step, "item": log.slate[:, 0],
            "p": log.propensity, "paid": log.reward, "terminated": log.terminated,
            "at": pd.Timestamp(start) + minute,
            "country": np.array(["fr", "de", "it"])[log.user % 3],
        }
    ).to_parquet(path)  # fmt: skip
    return path


def test_two_tables_and_their_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    old = table(tmp_path / "old.parquet", 0)
    same = table(tmp_path / "same.parquet", 1, start="2026-02-05")
    fell = table(tmp_path / "fell.parquet", 2, start="2026-02-05", lost=0.4)
    given: dict[str, Any] = {"reference": old, "columns": FOREIGN, "n_items": 6, "time": "at",
                             "segments": ("country",), "inputs": ("country",)}  # fmt: skip
    assert run(Settings(recent=same, **given)) == 0
    assert "reward a session, country fr" in capsys.readouterr().out
    page, record = tmp_path / "drift.html", tmp_path / "drift.json"
    assert run(Settings(recent=fell, json=record, page=page, **given)) == 1
    assert "check the pipeline" in capsys.readouterr().out
    found = json.loads(record.read_text())
    assert found["verdict"] == "alarm"
    assert found["findings"][-1]["what"].startswith("reward a session, country")
    assert "<h1>Drift</h1>" in page.read_text()


def test_one_log_is_split_by_time_or_share(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = table(tmp_path / "one.parquet", 3, users=800, falls_at=480)
    given: dict[str, Any] = {"recent": one, "columns": FOREIGN, "n_items": 6, "time": "at"}
    assert run(Settings(split="0.6", **given)) == 1
    said = capsys.readouterr().out
    assert "480 sessions, 480 users; recent: 1,600 decisions, 320 sessions" in said
    assert run(Settings(split="2026-01-15", **given)) == 1  # 480 users at 30 minutes each
    assert "480 sessions" in capsys.readouterr().out
    calm = table(tmp_path / "calm.parquet", 4, users=800)
    assert run(Settings(recent=calm, split="0.5", columns=FOREIGN, n_items=6)) == 0


def test_too_few_cannot_tell(tmp_path: Path) -> None:
    log, _ = world(5, 30)
    write_log(log, tmp_path / "log")
    assert run(Settings(recent=tmp_path / "log", split="0.5")) == 3


def test_the_policy_that_should_serve(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, seed, wrong in (("old", 6, False), ("new", 7, True)):
        log, scores = world(seed, wrong=wrong)
        write_log(log, tmp_path / name)
        np.save(tmp_path / f"{name}.npy", scores.propensity)
    given = {"recent": tmp_path / "new", "reference": tmp_path / "old"}
    assert run(Settings(target=str(tmp_path / "new.npy"), **given)) == 1
    assert "mean weight, target (T1)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, "name one"),
        ({"split": "0.5", "reference": Path("x")}, "name one"),
        ({"split": "2026-01-01"}, "--time names the column"),
        ({"split": "-5", "time": "step"}, "leaves 0 of 40 sessions"),
    ],
)
def test_unclear_orders_are_refused(tmp_path: Path, given: dict[str, Any], said: str) -> None:
    write_log(world(8, 40)[0], tmp_path / "log")
    with pytest.raises(ValueError, match=said):
        run(Settings(recent=tmp_path / "log", **given))
