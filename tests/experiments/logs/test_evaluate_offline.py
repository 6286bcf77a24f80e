"""`longplay evaluate` finds what is known, writes it whole, and refuses what it cannot judge."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from experiments.logs.evaluate import Settings, mean_interval, run, write_run
from experiments.logs.log_files import read_scores
from experiments.logs.pages import Evaluated
from offpolicy import LoggedDataset, TargetScores, evaluate, write_log

ROOT = os.environ.get("LONGPLAY_DATA")
real = pytest.mark.skipif(not ROOT, reason="LONGPLAY_DATA does not name a folder of real data")


def uniform_log(rows: int = 4000, items: int = 4) -> LoggedDataset:
    """Item i pays 1 with probability i / 4; served uniformly."""
    rng = np.random.default_rng(0)
    item = rng.integers(items, size=rows)
    return LoggedDataset.from_columns(
        session=np.arange(rows),
        step=np.zeros(rows, int),
        slate=item,
        propensity=np.full(rows, 1 / items),
        reward=rng.random(rows) < item / items,
        n_items=items,
    )


@real
@pytest.mark.parametrize("target", ["bts", "random"])
def test_open_bandit_intervals_hold_the_on_policy_truth(
    target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(Settings(data="open-bandit", target=target, out=tmp_path / "it")) == 0  # type: ignore[arg-type]
    told = json.loads((tmp_path / "it" / "report.json").read_text())
    truth = {"bts": 0.0042, "random": 0.0038}[target]
    assert told["truth"]["value"] == pytest.approx(truth)
    dr = next(x for x in told["estimates"] if x["estimator"] == told["decided_by"])
    assert dr["low"] <= truth <= dr["high"]
    ess = {"bts": 2639, "random": 340}[target]
    assert told["diagnostics"]["ess"] == pytest.approx(ess, abs=1)
    printed = capsys.readouterr().out
    for part in ("CANNOT TELL", "Effective sample", "On-policy truth"):
        assert part in printed
    assert ("moved during the week" in printed) == (target == "bts")
    files = sorted(p.name for p in (tmp_path / "it").iterdir())
    assert files == ["report.html", "report.json", "settings.json"]


@pytest.mark.parametrize("kind", ["csv", "npy", "npz", "parquet"])
def test_a_saved_log_is_judged_from_scores_in_any_file(kind: str, tmp_path: Path) -> None:
    import pandas as pd

    log = uniform_log()
    write_log(log, tmp_path / "log.parquet")
    share = np.array([0.1, 0.2, 0.3, 0.4])[log.slate[:, 0]]
    path = tmp_path / f"scores.{kind}"
    if kind == "csv":
        pd.DataFrame({"propensity": share}).to_csv(path, index=False)
    elif kind == "parquet":
        pd.DataFrame({"propensity": share}).to_parquet(path)
    elif kind == "npy":
        np.save(path, share)
    else:
        np.savez(path, propensity=share)
    settings = Settings(
        log=tmp_path / "log.parquet", target_scores=path, horizon="one_step", out=tmp_path / "out"
    )
    assert run(settings) == 0
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    ips = next(x for x in told["estimates"] if x["estimator"] == "ips")
    assert ips["value"] == pytest.approx((0.2 + 0.6 + 1.2) / 4, abs=4 * ips["se"])
    assert told["verdict"]["outcome"] == "pass"  # .5 against the uniform policy's .375


def test_mean_interval_by_hand() -> None:
    got = mean_interval(np.array([0.0, 0.0, 1.0, 1.0]), 0.95)
    assert got.value == 0.5
    assert got.high - 0.5 == pytest.approx(1.959964 * np.sqrt(1 / 3 / 4))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (Settings(), "name one input"),
        (Settings(log=Path("a"), data="open-bandit"), "name one input"),
        (Settings(log=Path("a")), "needs --target-scores FILE and --horizon"),
    ],
)
def test_unclear_orders_are_refused(settings: Settings, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        run(settings)


def test_scores_that_do_not_fit_the_log_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", np.full(3, 0.5))
    with pytest.raises(ValueError, match="has 3 rows, the log 4000 decisions"):
        read_scores(tmp_path / "short.npy", uniform_log())
    (tmp_path / "bare.csv").write_text("score\n1\n")
    with pytest.raises(ValueError, match="needs a column `propensity`"):
        read_scores(tmp_path / "bare.csv", uniform_log())
    with pytest.raises(FileNotFoundError, match="name a file of scores"):
        read_scores(tmp_path / "none.csv", uniform_log())


@pytest.mark.parametrize("name", ["bad.npz", "bad.npy", "empty.npy", "pickled.npy"])
def test_scores_that_are_no_arrays_are_refused(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_bytes(b"" if name.startswith("empty") else b"PK no zip")
    if name.startswith("pickled"):
        np.save(file, np.array([{}], object), allow_pickle=True)
    with pytest.raises(ValueError, match=f"{name} holds no arrays that can be read"):
        read_scores(file, uniform_log(10))


def test_two_evaluations_of_one_second_have_a_folder_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("experiments.logs.evaluate.time.strftime", lambda form: "now")
    log = uniform_log(100)
    settings = Settings(log=Path("log"), target_scores=Path("x.npy"), horizon="one_step")
    scores = TargetScores(np.full(100, 0.25))
    read = Evaluated(evaluate(log, scores, horizon="one_step"), log, scores)
    folders = [write_run(settings, one, None) for one in (read, read.report)]
    assert [f.name for f in folders] == ["evaluate-log-now", "evaluate-log-now-2"]
    assert all((f / "report.json").exists() for f in folders)
