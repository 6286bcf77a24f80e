"""Logs larger than memory, foreign tables, compaction: the same numbers, or a clear refusal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offpolicy import (
    LogError,
    LoggedDataset,
    TargetScores,
    estimate,
    interval,
    read_log,
    terms,
    write_log,
)
from offpolicy.executors.running import run_on
from offpolicy.streaming.compaction import compact
from offpolicy.streaming.stream import StreamSpec, stream_estimates
from tests.offpolicy.factories import STREAM, raw_files, sessions_log, target

LOG_NAMES = {"session": "sid", "step": "t", "propensity": "p", "reward": "pay", "slate": "item"}


@pytest.mark.parametrize("executor", ["threads:1", "threads:2", "processes:2"])
def test_every_executor_gives_the_numbers_of_one_reading(tmp_path: Path, executor: str) -> None:
    table = raw_files(tmp_path / "raw")
    log = read_log(table, columns=LOG_NAMES)
    t = terms(log, TargetScores(table.column("q").to_numpy()), horizon="per_decision")
    total, lines = stream_estimates(tmp_path / "raw", STREAM, executor=executor)
    for line in lines:
        here = interval(estimate(t, line.estimator))
        assert line.value.value == pytest.approx(here.value, abs=1e-9)
        assert line.value.low == pytest.approx(here.low, abs=1e-9)
    assert total.sessions == 2000


def test_weights_alone_suffice(tmp_path: Path) -> None:
    table = raw_files(tmp_path / "raw")
    w = table.column("q").to_numpy() / table.column("p").to_numpy()
    bare = pa.table({"session": np.arange(len(w)), "reward": table.column("pay"), "weight": w})
    pq.write_table(bare, tmp_path / "w.parquet")
    spec = StreamSpec(horizon="one_step", estimators=("ips", "snips"))
    _, lines = stream_estimates(tmp_path / "w.parquet", spec, executor="threads:1")
    assert lines[0].value.value == pytest.approx(float((w * bare["reward"].to_numpy()).mean()))


def test_users_are_the_units_where_the_file_names_them(tmp_path: Path) -> None:
    table = raw_files(tmp_path / "raw", files=1)
    with_users = table.append_column("user", pa.array(table.column("sid").to_numpy() // 5))
    pq.write_table(with_users, tmp_path / "u.parquet")
    total, _ = stream_estimates(tmp_path / "u.parquet", STREAM, executor="threads:1")
    assert (total.units, total.sessions) == (100, 500)


def test_split_and_scattered_sessions_are_refused_and_compacted(tmp_path: Path) -> None:
    table = raw_files(tmp_path / "raw")
    whole, _ = stream_estimates(tmp_path / "raw", STREAM, executor="threads:1")
    mixed = table.take(pa.array(np.random.default_rng(1).permutation(table.num_rows)))
    (tmp_path / "mixed").mkdir()
    half = table.num_rows // 2
    pq.write_table(mixed.slice(0, half), tmp_path / "mixed" / "a.parquet")
    pq.write_table(mixed.slice(half), tmp_path / "mixed" / "b.parquet")
    with pytest.raises(LogError, match="longplay compact"):
        stream_estimates(tmp_path / "mixed", STREAM, executor="threads:1")
    compact(tmp_path / "mixed", tmp_path / "tidy", rows_per_part=1500, session="sid", step="t")
    assert len(list((tmp_path / "tidy").glob("*.parquet"))) > 1
    again, _ = stream_estimates(tmp_path / "tidy", STREAM, executor="threads:2")
    assert again.value("snpdis") == pytest.approx(whole.value("snpdis"), abs=1e-9)
    with pytest.raises(LogError, match="exists"):
        compact(tmp_path / "mixed", tmp_path / "tidy", session="sid", step="t")


def test_a_compacted_log_is_still_a_log(tmp_path: Path) -> None:
    log = sessions_log(50)
    mixed = LoggedDataset.concat([log.take(np.asarray(log.step) == k) for k in range(3)])
    assert mixed.n_sessions == 150  # concat keeps logs apart …
    order = np.argsort(log.step, kind="stable")
    write_log(log.take(order), tmp_path / "log")  # … so interleave one log
    compact(tmp_path / "log", tmp_path / "tidy", rows_per_part=60)
    again = read_log(tmp_path / "tidy")
    assert len(again) == 150
    assert again.groups.contiguous
    here = estimate(terms(log, target(log), horizon="per_decision"), "pdis").value
    there = estimate(terms(again, target(again), horizon="per_decision"), "pdis").value
    assert there == pytest.approx(here)


def test_missing_and_bad_columns_are_named(tmp_path: Path) -> None:
    raw_files(tmp_path / "raw")
    with pytest.raises(LogError, match="has no column propensity, target"):
        stream_estimates(
            tmp_path / "raw",
            StreamSpec(
                horizon="one_step", estimators=("ips",), columns={"session": "sid", "reward": "pay"}
            ),
        )
    bad = pa.table(
        {"session": [1, 2], "reward": [0.0, 1.0], "propensity": [0.5, 0.0], "target": [0.5, 0.5]}
    )
    pq.write_table(bad, tmp_path / "bad.parquet")
    with pytest.raises(LogError, match="session 2 is 0"):
        stream_estimates(
            tmp_path / "bad.parquet", StreamSpec(horizon="one_step", estimators=("ips",))
        )
    whole = {"session": [1, 2], "reward": [0.0, 1.0], "propensity": [0.5, 0.5], "target": [0.5, 0]}
    spec = StreamSpec(horizon="one_step", estimators=("snips",))
    for column, values, said in (
        ("target", [5.0, 0.5], "target of session 1 is 5"),
        ("reward", [0.0, None], "reward misses entries"),
        ("reward", ["a", "b"], "reward holds string, no numbers"),
        ("target", [0.0, 0.0], "snips has no value"),
    ):
        pq.write_table(pa.table(whole | {column: values}), tmp_path / "odd.parquet")
        with pytest.raises(LogError, match=said):
            stream_estimates(tmp_path / "odd.parquet", spec, executor="threads:1")
    with pytest.raises(ValueError, match="a stream holds no model, so that of per_decision"):
        StreamSpec(horizon="per_decision", estimators=("seq_dr",))
    with pytest.raises(ValueError, match="needs a number of workers"):
        run_on("threads:many", len, [])
    with pytest.raises(ValueError, match="no executor 'boats'"):
        run_on("boats", len, [])


@pytest.mark.parametrize("make", [lambda t: t, lambda t: t.to_pandas(), lambda t: t.to_pydict()])
def test_tables_of_any_make_become_logs(make: object) -> None:
    table = pa.table(
        {
            "who": ["a", "a", "b"], "step": [0, 1, 0], "first": [0, 1, 2], "second": [3, 4, 0],
            "p": [0.5, 0.25, 1.0], "reward": [1.0, 0.0, 2.0], "context": [[1.0, 2.0]] * 3,
        }
    )  # fmt: skip
    names = {"session": "who", "slate": ["first", "second"], "propensity": "p"}
    log = read_log(make(table), columns=names, n_items=6)  # type: ignore[operator]
    assert log.slate.tolist() == [[0, 3], [1, 4], [2, 0]]
    assert log.sessions.tolist() == [0, 0, 1]
    if not isinstance(make(table), pd.DataFrame):  # type: ignore[operator]
        assert log.context is not None
        assert log.context.shape == (3, 2)


def test_a_bandit_table_needs_no_sessions(tmp_path: Path) -> None:
    frame = pd.DataFrame({"item": [0, 1], "p": [0.5, 0.5], "click": [0, 1]})
    names = {"slate": "item", "propensity": "p", "reward": "click"}
    log = read_log(frame, columns=names)
    assert (log.n_sessions, log.n_items) == (2, 2)
    frame.to_parquet(tmp_path / "x.parquet")
    assert read_log(tmp_path / "x.parquet", columns=names).hash() == log.hash()
    with pytest.raises(LogError, match="propensity should come from odds"):
        read_log(frame, columns=names | {"propensity": "odds"})
    with pytest.raises(LogError, match="no propensity"):
        read_log(frame, columns={"slate": "item", "reward": "click"})
    with pytest.raises(LogError, match="cannot read a log from int"):
        read_log(7)
