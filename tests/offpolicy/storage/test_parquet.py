"""Logs on disk come back as they were, or a clear refusal does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offpolicy import LogError, LoggedDataset, append_log, read_log, write_log


def build(seed: int = 0, **changes: Any) -> LoggedDataset:
    rng = np.random.default_rng(seed)
    n, s = 60, 20
    every: dict[str, Any] = {
        "session": np.tile(np.arange(s) + 100 * seed, 3), "step": np.repeat(np.arange(3), s),
        "slate": np.column_stack([rng.integers(0, 5, n), rng.integers(5, 9, n)]),
        "position_propensity": np.full((n, 2), 0.5), "propensity": np.full(n, 0.25),
        "position_reward": rng.random((n, 2)), "reward": rng.random(n), "n_items": 9,
        "user": np.tile(np.arange(s) // 2, 3), "terminated": np.repeat([0, 0, 1], s),
        "truncated": np.zeros(n), "logger": np.tile(["a", "b"], n // 2),
        "candidates": np.tile(np.arange(9), (n, 1)), "candidate_propensity": np.full((n, 9), 1 / 9),
        "consumed": rng.integers(-1, 9, n), "responses": rng.random((n, 3)),
        "context": rng.random((n, 4)), "prior_items": rng.integers(-1, 9, (s, 5)),
        "prior_responses": rng.random((s, 5, 3)),
    }  # fmt: skip
    return LoggedDataset.from_columns(**(every | changes))


@pytest.mark.parametrize("name", ["log", "log.parquet"])
def test_every_column_comes_back(tmp_path: Path, name: str) -> None:
    log = build()
    write_log(log, tmp_path / name)
    again = read_log(tmp_path / name)
    assert again.hash() == log.hash()
    assert set(again.columns()) == set(log.columns())
    np.testing.assert_array_equal(again.histories(4)[1], log.histories(4)[1])
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_bare_log_and_a_log_without_responses_come_back(tmp_path: Path) -> None:
    bare = LoggedDataset.from_columns(
        session=[0], step=[0], slate=[1], propensity=[1.0], reward=[0.0], n_items=3,
        consumed=[1], responses=np.zeros((1, 0)), prior_items=np.zeros((1, 0), int),
    )  # fmt: skip
    write_log(bare, tmp_path / "log")
    assert read_log(tmp_path / "log").hash() == bare.hash()


def test_parts_are_appended_and_writing_replaces(tmp_path: Path) -> None:
    write_log(build(0), tmp_path / "log")
    append_log(build(1), tmp_path / "log")
    both = read_log(tmp_path / "log")
    assert both.hash() == LoggedDataset.concat([build(0), build(1)]).hash()
    write_log(build(2), tmp_path / "log")
    assert read_log(tmp_path / "log").hash() == build(2).hash()
    with pytest.raises(LogError, match="over 9 items, the new part over 12"):
        append_log(
            build(3, n_items=12, candidates=None, candidate_propensity=None), tmp_path / "log"
        )


def test_nothing_there() -> None:
    with pytest.raises(LogError, match="there is no log at"):
        read_log("nowhere")


def test_a_folder_without_manifest_is_half_written(tmp_path: Path) -> None:
    (tmp_path / "part-00000.parquet").write_bytes(b"PAR1")
    with pytest.raises(LogError, match="half-written or no Longplay log"):
        read_log(tmp_path)
    with pytest.raises(LogError, match="not overwritten"):
        write_log(build(), tmp_path)


def test_a_cut_part_is_named(tmp_path: Path) -> None:
    write_log(build(), tmp_path / "log")
    part = tmp_path / "log" / "part-00000.parquet"
    part.write_bytes(part.read_bytes()[:-200])
    with pytest.raises(LogError, match=r"part-00000.parquet cannot be read"):
        read_log(tmp_path / "log")
    part.unlink()
    with pytest.raises(LogError, match="misses its part"):
        read_log(tmp_path / "log")


def test_foreign_parquet_is_refused_by_name(tmp_path: Path) -> None:
    pq.write_table(pa.table({"a": [1], "b": [2]}), tmp_path / "x.parquet")
    with pytest.raises(LogError, match=r"no Longplay log \(columns a, b\)"):
        read_log(tmp_path / "x.parquet")
    (tmp_path / "y.parquet").write_text("hello")
    with pytest.raises(LogError, match=r"y.parquet cannot be read"):
        read_log(tmp_path / "y.parquet")


def test_another_schema_is_refused_by_number(tmp_path: Path) -> None:
    write_log(build(), tmp_path / "log")
    manifest = tmp_path / "log" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"schema_version": 99}))
    with pytest.raises(LogError, match="log schema 99"):
        read_log(tmp_path / "log")


def test_a_failed_write_leaves_the_old_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_log(build(0), tmp_path / "log")

    def no_space(*_: object, **__: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(pq, "write_table", no_space)
    with pytest.raises(OSError, match="No space"):
        write_log(build(1), tmp_path / "log")
    assert read_log(tmp_path / "log").hash() == build(0).hash()
    assert [p.name for p in tmp_path.iterdir()] == ["log"]
