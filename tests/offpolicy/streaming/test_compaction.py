"""Compacted logs can be streamed: users whole, their sessions whole, steps in order."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offpolicy import LogError, LoggedDataset, TargetScores, evaluate, read_log, write_log
from offpolicy.storage import claims
from offpolicy.streaming import compaction
from offpolicy.streaming.compaction import compact
from offpolicy.streaming.stream import StreamSpec, stream_estimates
from tests.offpolicy.storage.kills import killed_at_every_step

PDIS = StreamSpec(horizon="per_decision", estimators=("pdis",))


def users_of_several_sessions(folder: Path, **more: Any) -> tuple[dict[str, Any], float]:
    """Interleaved rows of users with several sessions, in three files; the value in memory."""
    rng = np.random.default_rng(0)
    length = rng.integers(1, 6, 300)
    s = np.repeat(rng.permutation(300), length)
    step = np.concatenate([np.arange(k) for k in length])
    user = rng.integers(0, 70, 300)[s]
    p = rng.uniform(0.2, 0.9, len(s))
    columns = {
        "session": s, "step": step, "user": user, "reward": rng.normal(size=len(s)),
        "propensity": p, "target": np.clip(p * rng.uniform(0.8, 1.2, len(s)), 0, 1),
    } | more  # fmt: skip
    order = np.argsort(step, kind="stable")
    columns = {k: v[order] for k, v in columns.items()}
    folder.mkdir()
    for k in range(3):
        pq.write_table(pa.table({n: v[k::3] for n, v in columns.items()}), folder / f"{k}.parquet")
    target = TargetScores(columns["target"])
    log = log_of_rows(columns)
    found = evaluate(
        log, target, horizon="per_decision", estimators=("pdis",), model=None, check=False
    )
    return columns, found["pdis"].value.value


def log_of_rows(columns: dict[str, Any]) -> LoggedDataset:
    """The rows as a log of one item."""
    names = ("session", "step", "user", "reward", "propensity")
    slate = np.zeros(len(columns["step"]), int)
    return LoggedDataset.from_columns(**{k: columns[k] for k in names}, slate=slate, n_items=1)


@pytest.mark.parametrize("by", ["session", "user"])
@pytest.mark.parametrize("rows", [50, 400, 10_000])
@pytest.mark.parametrize("names", [False, True])
def test_users_of_several_sessions_are_streamed(
    tmp_path: Path, by: str, rows: int, names: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "FAN", 4)  # so that parts are split more than once
    columns, value = users_of_several_sessions(tmp_path / "raw")
    if names:
        for k in range(3):
            file = tmp_path / "raw" / f"{k}.parquet"
            table = pq.read_table(file)
            called = pa.array([f"u{u}" for u in table.column("user").to_pylist()])
            pq.write_table(
                table.set_column(table.schema.get_field_index("user"), "user", called), file
            )
    compact(tmp_path / "raw", tmp_path / "tidy", session=by, rows_per_part=rows)
    files = sorted((tmp_path / "tidy").iterdir())
    assert len(files) >= min(len(columns["step"]) // rows, 10)
    total, (line,) = stream_estimates(tmp_path / "tidy", PDIS)
    assert line.value.value == pytest.approx(value)
    assert total.units == len(np.unique(columns["user"]))
    assert total.sessions == 300
    written = pa.concat_tables([pq.read_table(f) for f in files])
    assert sorted(written.column("reward").to_pylist()) == sorted(columns["reward"].tolist())
    users = [pq.read_table(f).column("user").to_pylist() for f in files]
    assert all(a[-1] < b[0] for a, b in pairwise(users))


def test_a_compacted_log_of_users_is_a_log_and_is_verified(tmp_path: Path) -> None:
    columns, _ = users_of_several_sessions(tmp_path / "raw")
    log = log_of_rows(columns)
    write_log(log, tmp_path / "log")
    compact(tmp_path / "log", tmp_path / "tidy", rows_per_part=200)
    again = read_log(tmp_path / "tidy")
    assert (len(again), again.n_sessions) == (len(log), 300)
    part = tmp_path / "tidy" / "part-00001.parquet"
    raw = bytearray(part.read_bytes())
    raw[len(raw) // 3] ^= 4
    part.write_bytes(raw)
    for reader in (
        read_log,
        lambda path: stream_estimates(
            path,
            StreamSpec(horizon="one_step", estimators=("ips",), columns={"target": "propensity"}),
        ),
        lambda path: compact(path, tmp_path / "more"),
    ):
        with pytest.raises(LogError, match=r"part-00001.parquet .*Copy"):
            reader(tmp_path / "tidy")
    assert not (tmp_path / "more").exists()


def test_what_cannot_be_compacted_is_named(tmp_path: Path) -> None:
    users_of_several_sessions(tmp_path / "raw")
    for rows in (0, -5):
        with pytest.raises(ValueError, match="a part has at least one row"):
            compact(tmp_path / "raw", tmp_path / "tidy", rows_per_part=rows)
    with pytest.raises(LogError, match="has no column visit"):
        compact(tmp_path / "raw", tmp_path / "tidy", session="visit")
    table = pa.table({"session": [1, None], "step": [0, 0]})
    pq.write_table(table, tmp_path / "odd.parquet")
    with pytest.raises(LogError, match="session misses entries"):
        compact(tmp_path / "odd.parquet", tmp_path / "tidy")
    assert not (tmp_path / "tidy").exists()


def test_killed_compactions_leave_no_copies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "before").mkdir()
    users_of_several_sessions(tmp_path / "before" / "raw")
    killed = killed_at_every_step(
        tmp_path,
        "import pyarrow.parquet\n"
        "from offpolicy import compact\n"
        "def act(path): compact(path.parent / 'raw', path, rows_per_part=400)\n",
    )
    monkeypatch.setattr(claims, "JUST", 0.0)
    left = [w for w in killed if not w.exists() and len(list(w.parent.iterdir())) > 1]
    assert len(left) > 3
    for where in left:
        compact(where.parent / "raw", where)
        assert {p.name for p in where.parent.iterdir()} == {"raw", "it"}
