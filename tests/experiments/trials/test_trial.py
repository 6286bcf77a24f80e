"""`longplay trial`: a log of two policies, and the events of a rollout, from the options on."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from offpolicy import LoggedDataset, read_log, write_log
from policies import build
from serving import MemoryLog, SegmentLog
from serving.arms import Split
from serving.contracts.decisions import Decision
from serving.contracts.events import read_event
from tests.factories import make_env
from tests.serving.factories import make_engine, play


def _log(
    path: Path, uplift: float, n: int = 1_200, share: float = 0.3, seed: int = 0, first: int = 0
) -> Path:
    """Users of two sessions; the canary pays more by `uplift`; five rows are a fallback's."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(n), 2)
    own = rng.normal(1, 0.5, n)
    canary, slate = (rng.random(n) < share)[user], rng.integers(0, 3, 2 * n)
    logger = np.where(canary, "new@2", "old@1").astype("U16")
    logger[::480] = "the fallback"
    noise = np.random.default_rng(first).normal(0, 0.3, 2 * n)
    log = LoggedDataset.from_columns(
        session=np.arange(2 * n) + first, step=np.zeros(2 * n, int), slate=slate,
        propensity=np.full(2 * n, 1 / 3), n_items=3, user=user, logger=logger,
        context=(np.arange(2 * n)[:, None] // 2 % 3).astype(float),
        reward=own[user] + noise + uplift * canary,
    )  # fmt: skip
    write_log(log, path)
    return path


def test_a_trial_is_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, past = _log(tmp_path / "log", 0.3), _log(tmp_path / "past", 0.0, seed=0)
    told = tmp_path / "read.json"
    command = (
        f"trial read {log} --canary new --share 0.3 --segments context.0 --past {past} "
        f"--json {told}"
    )
    assert main(command.split()) == 0
    out = capsys.readouterr().out
    assert "canary new@2, control old@1" in out
    assert "5 decisions of other policies count for the arm of their user, 0 belong" in out
    assert "no segment differs from the others" in out
    record = json.loads(told.read_text())
    found = record["differences"]["reward per user"]
    assert found["low"] < 0.6 < found["high"]
    assert record["adjusted"]["saved"]["value"] > 0.5
    assert record["adjusted"]["se"] < found["se"]
    assert [s["claim"] for s in record["segments"]["segments"]] == ["better"] * 3
    assert record["differences"]["ended per session"]["low"] is None, "nobody left: no bounds"


def test_a_canary_that_is_paid_otherwise_disagrees_with_the_controls_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both arms show uniform slates, so the same value is estimated for both."""
    for uplift, verdict in ((0.0, "agree"), (0.3, "disagree")):
        log, told = _log(tmp_path / f"log{uplift}", uplift), tmp_path / "read.json"
        assert main(f"trial read {log} --canary new --policy uniform --json {told}".split()) == 0
        found = json.loads(told.read_text())["agreement"]
        assert found["verdict"] == verdict
        assert ("outcomes: whether both arms" in capsys.readouterr().out) == (verdict == "disagree")


def test_arms_that_lost_users_may_not_be_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = _log(tmp_path / "log", 0.0)
    assert main(f"trial read {log} --canary new@2 --share 0.5".split()) == 1
    assert "USERS ARE MISSING IN AN ARM" in capsys.readouterr().out


def test_a_trial_is_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log, told = _log(tmp_path / "log", 0.0), tmp_path / "plan.json"
    command = f"trial plan {log} --users-a-day 100 --share 0.1 --effect 0.2 --json {told}"
    assert main(command.split()) == 0
    out = capsys.readouterr().out
    record = json.loads(told.read_text())
    assert record["users"] == 1_200
    assert record["needed"]["days"] == pytest.approx(record["needed"]["users"] / 100)
    assert record["needed"]["users"] > record["needed"]["fixed"]
    assert f"--tuned-at {record['needed']['tuned_at']:.0f}" in out
    assert [one["days"] for one in record["lengths"]] == [7, 14, 28]
    assert "No covariate: the log's halves share fewer than 20 users" in out
    again = LoggedDataset.concat(
        [read_log(log), read_log(_log(tmp_path / "more", 0.0, first=9_999))]
    )
    write_log(again, tmp_path / "back")
    assert main(f"trial plan {tmp_path / 'back'} --log-days 14 --json {told}".split()) == 0
    assert "of the variance away; reckoned with" in capsys.readouterr().out
    assert json.loads(told.read_text())["saved"]["value"] > 0.5
    assert main(f"trial plan {log}".split()) == 2
    assert "--users-a-day" in capsys.readouterr().err
    assert main(f"trial read {log} --canary newest".split()) == 2
    assert "there are new@2, old@1, the fallback" in capsys.readouterr().err


def test_events_name_their_arms_and_stages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env, served, salt = make_env(16, max_steps=3), MemoryLog(), "salt"
    engine = make_engine(build("uniform", env), served)
    engine.announce()
    play(env, engine, sessions_per_slot=20, seed=0)
    folder, arms = tmp_path / "events", {}
    with closing(SegmentLog(folder)) as events:
        for entry in served.read(served.writers()[0]):
            event = read_event(entry.event)
            if isinstance(event, Decision):
                split = Split(weight=0.5 if event.time < 20 else 0.25, salt=salt, rollout="r")
                arm = "canary" if split.canary([event.user])[0] else "control"
                arms[event.user, split.stratum] = arm
                event = replace(event, arm=arm, rollout=split.stratum)
            events.append(event.to_json())
    told = tmp_path / "read.json"
    command = f"trial read {folder} --reward paid=1 --now end --json {told}"
    assert main(command.split()) == 0
    assert "control" in capsys.readouterr().out
    record = json.loads(told.read_text())
    assert record["users"] == len({user for user, _ in arms})
    for stage, ratio in record["sample_ratio"].items():
        mine = [arm for (_, s), arm in arms.items() if s == stage]
        assert ratio["share"] == float(stage.partition("@")[2])
        assert (ratio["canary"], ratio["control"]) == (mine.count("canary"), mine.count("control"))
    assert set(record["sample_ratio"]) == {"r@0.5", "r@0.25"}
    assert main(f"trial read {folder} --canary x".split()) == 2
    assert "is a folder of events: give --reward" in capsys.readouterr().err
    plan = f"trial plan {folder} --reward paid=1 --now end --json {told}"
    assert main(plan.split()) == 0
    sized = json.loads(told.read_text())
    assert sized["users"] == record["users"]
    days = max(
        event.time for event in map(read_event, served.events) if isinstance(event, Decision)
    )
    assert sized["users_a_day"] == pytest.approx(record["users"] / (days / 86_400))


def test_what_a_log_without_users_does_not_tell_is_not_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = read_log(_log(tmp_path / "log", 0.3)).columns()
    write_log(
        LoggedDataset.from_columns(n_items=3, **columns | {"user": None}), tmp_path / "nobody"
    )
    told = tmp_path / "read.json"
    command = f"trial read {tmp_path / 'nobody'} --canary new --json {told}"
    assert main(command.split()) == 0
    assert "both arms of a stratum: not known; the log names no users" in capsys.readouterr().out
    assert json.loads(told.read_text())["multiple_exposure"] is None
    for share in ("0", "1", "2", "nan"):
        assert main([*command.split(), "--share", share]) == 2
        assert "is outside (0, 1)" in capsys.readouterr().err
