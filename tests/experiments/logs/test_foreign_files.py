"""Commands read tables of any format by the same column names, and what the doctor asks for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.__main__ import main
from experiments.logs import check, evaluate
from experiments.logs.log_files import any_column, open_log, read_scores, scores_of
from offpolicy import LoggedDataset, write_log

N = 400
COLUMNS = ("slate=item", "propensity=p", "reward=r")


@pytest.fixture(params=["parquet", "csv", "jsonl"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return written(tmp_path / f"table.{request.param}")


def written(path: Path, **more: Any) -> Path:
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"item": rng.integers(0, 4, N), "p": 0.25, "r": rng.random(N), "ts": np.arange(N) * 1e3,
         "event": "one", "arm": np.where(np.arange(N) % 4, "b", "a")} | more
    )  # fmt: skip
    if path.suffix == ".csv":
        table.to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        table.to_json(path, orient="records", lines=True)
    else:
        table.to_parquet(path)
    return path


def test_every_command_reads_every_format(path: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "target.npy", np.full(N, 0.25))
    assert len(open_log(path, COLUMNS, None)) == N
    settings = evaluate.Settings(
        log=path, columns=COLUMNS, n_items=4, target_scores=tmp_path / "target.npy",
        horizon="one_step", out=tmp_path / "out",
    )  # fmt: skip
    assert evaluate.run(settings) == 0
    assert (tmp_path / "out" / "report.json").exists()


def test_check_reads_times_events_ages_and_shares(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base: dict[str, Any] = {"log": path, "columns": (*COLUMNS, "logger=arm")}
    assert check.run(check.Settings(**base, event_id="event")) == 1
    assert "399 rows repeat an earlier event id" in capsys.readouterr().out
    assert check.run(check.Settings(**base, reward_age="ts", mature_after=1500.0)) == 0
    assert "0.5% of rows are younger than 1500" in capsys.readouterr().out
    assert check.run(check.Settings(**base, time="ts")) == 0
    assert "over 5 days" in capsys.readouterr().out
    assert check.run(check.Settings(**base, expected_shares=("a=0.5", "b=0.5"))) == 1
    assert "a: 100 of 200, b: 300 of 200" in capsys.readouterr().out
    with pytest.raises(ValueError, match="write logger=share"):
        check.run(check.Settings(**base, expected_shares=("a",)))
    with pytest.raises(ValueError, match="the log has no column when"):
        check.run(check.Settings(**base, time="when"))


def test_columns_of_a_stored_log_may_be_times(tmp_path: Path) -> None:
    n = 6
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n, int), slate=np.zeros(n, int), reward=np.ones(n),
        propensity=np.ones(n), n_items=1, context=np.arange(2.0 * n).reshape(n, 2),
    )  # fmt: skip
    write_log(log, tmp_path / "log")
    np.testing.assert_array_equal(any_column("context.1", tmp_path / "log", log), log.context[:, 1])  # type: ignore[index]
    np.testing.assert_array_equal(any_column("reward", tmp_path / "log", log), log.reward)


def test_dates_are_seconds(tmp_path: Path) -> None:
    days = pd.date_range("2026-01-01", periods=N, freq="h", tz="UTC")
    path = written(tmp_path / "table.parquet", ts=days)
    seconds = any_column("ts", path, open_log(path, COLUMNS, None))
    assert seconds[0] == 1_767_225_600
    np.testing.assert_array_equal(np.diff(seconds), np.full(N - 1, 3600.0))


def test_sessions_called_by_digits_keep_their_zeros(tmp_path: Path) -> None:
    names = [f"{i:04d}" for i in range(N)]
    path = written(tmp_path / "table.parquet", session=names, step=0)
    log = open_log(path, COLUMNS, None)
    table = pd.DataFrame({"session": names[::-1], "step": 0, "propensity": np.arange(N)[::-1] / N})
    table.to_csv(tmp_path / "scores.csv", index=False)
    scores = read_scores(tmp_path / "scores.csv", log)
    np.testing.assert_array_equal(scores.propensity, np.arange(N) / N)


def test_uniform_over_slates_that_may_repeat_items() -> None:
    log = LoggedDataset.from_columns(
        session=[0, 1], step=[0, 0], slate=[[1, 1], [0, 2]], propensity=[1 / 9, 1 / 9],
        reward=[0, 1], n_items=3, repeats=True,
    )  # fmt: skip
    np.testing.assert_allclose(scores_of("uniform", log).propensity, 1 / 9)


def test_output_that_nobody_reads_ends_nothing(tmp_path: Path) -> None:
    """A command whose reader leaves does its work, writes its record and keeps its status."""
    path, record = written(tmp_path / "table.parquet"), tmp_path / "record.json"
    order = [sys.executable, "-m", "experiments", "check", str(path), "--columns", *COLUMNS,
             "--event-id", "event", "--json", str(record)]  # fmt: skip
    nobody, closed = os.pipe()
    os.close(nobody)  # who writes into `closed` finds no reader
    done = subprocess.run(order, stdout=closed, stderr=subprocess.PIPE, text=True, check=False)
    os.close(closed)
    assert (done.returncode, done.stderr) == (1, "")
    assert record.exists()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [("x.csv", "", "cannot be read as csv"), ("x.jsonl", "{", "cannot be read as jsonl"),
     ("x.txt", "a", "cannot be read as Parquet")],
)  # fmt: skip
def test_damaged_tables_are_refused_by_format(
    name: str, content: str, said: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=said):
        open_log(tmp_path / name, COLUMNS, None)


def test_a_foreign_table_is_compacted_by_its_own_names(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    visits = {"visit": ["b", "a", "b", "a"], "at": [2, 4, 1, 3], "shown": [1, 2, 3, 4]}
    pq.write_table(pa.table(visits), tmp_path / "it.parquet")
    given = [str(tmp_path / "it.parquet"), str(tmp_path / "out"), "--columns", "session=visit"]
    assert main(["compact", *given, "time=at"]) == 0
    (part,) = (tmp_path / "out").glob("*.parquet")
    assert pq.read_table(part)["shown"].to_pylist() == [4, 2, 3, 1]
    assert main(["compact", *given, "--session", "shown"]) == 2
