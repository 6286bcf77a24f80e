"""Ids given by name keep their names, whatever is done with the log."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offpolicy import LogError, LoggedDataset, append_log, check_log, compact, read_log, write_log


def named_log(visits: tuple[str, ...] = ("monday", "tuesday"), **more: Any) -> LoggedDataset:
    """Two decisions a visit; every visit by a user of its own initial."""
    n = len(visits)
    columns: dict[str, Any] = {
        "session": np.repeat(visits, 2), "step": np.tile([0, 1], n), "slate": np.tile([0, 1], n),
        "propensity": np.full(2 * n, 0.5), "reward": np.zeros(2 * n), "n_items": 2,
        "user": np.repeat([f"user {v[0]}" for v in visits], 2),
    }  # fmt: skip
    return LoggedDataset.from_columns(**(columns | more))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"step": [0, 0, 0, 1]}, "session monday comes to step 0"),
        ({"terminated": [1, 1, 0, 0]}, "follows the end of its session monday"),
        ({"user": ["ann", "bob", "cid", "cid"]}, r"session monday a second user \(bob\)"),
    ],
)
def test_refusals_call_sessions_and_users_by_name(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(LogError, match=said):
        named_log(**changes)


def test_missing_steps_are_told_by_the_sessions_name() -> None:
    with pytest.raises(LogError, match="session tuesday has missing steps"):
        named_log().take([0, 1, 3]).require_whole_sessions("it is a test.")


def test_names_survive_files_parts_compaction_and_selection(tmp_path: Path) -> None:
    log = named_log()
    write_log(log, tmp_path / "log")
    append_log(named_log(("wednesday",)), tmp_path / "log")
    days = ["monday", "monday", "tuesday", "tuesday", "wednesday", "wednesday"]
    again = read_log(tmp_path / "log")
    assert again.names_of("session", again.session) == days
    assert again.unit_names(again.unit[[0, 2, 4]]) == ["user m", "user t", "user w"]
    compact(tmp_path / "log", tmp_path / "compacted", rows_per_part=2)
    moved = read_log(tmp_path / "compacted")
    assert sorted(moved.names_of("session", moved.session)) == days
    part = moved.take(np.isin(moved.names_of("session", moved.session), ["tuesday"]))
    assert part.names_of("session", part.session) == ["tuesday", "tuesday"]
    write_log(log, tmp_path / "one.parquet")
    assert read_log(tmp_path / "one.parquet").names_of("session", log.session) == days[:4]


def test_joined_logs_keep_names_also_where_sessions_are_numbered_anew() -> None:
    both = LoggedDataset.concat([named_log(), named_log(("tuesday", "friday"))])
    assert both.n_sessions == 4  # two visits called tuesday, of different logs, stay apart
    names = both.names_of("session", both.session[both.groups.first])
    assert names == ["monday", "tuesday", "tuesday", "friday"]
    assert both.unit_names(both.user[[0, 7]]) == ["user m", "user f"]  # type: ignore[index]


def test_ids_that_are_numbers_are_printed_as_numbers() -> None:
    log = named_log(session=[7, 7, 9, 9], user=None)
    assert log.unit_names([9, 7]) == ["9", "7"]
    assert log.names == {}


def test_the_doctor_calls_heavy_users_by_name() -> None:
    n = 2000
    user = np.array([f"user {i % 200}" for i in range(n)])
    user[:100], reward = "bot", np.random.default_rng(0).random(n)
    reward[:100] = 40
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n, int), slate=np.arange(n) % 4, reward=reward,
        propensity=np.full(n, 0.25), n_items=4, user=user,
    )  # fmt: skip
    assert "(bot, user " in check_log(log)["heavy units"].found


def test_items_by_name_where_the_catalogue_is_named(tmp_path: Path) -> None:
    log = named_log(
        slate=[["tea", "milk"], ["cake"], [], ["milk"]], item_names=["milk", "tea", "cake"],
        n_items=3, candidates=[["tea", "milk"], ["cake"], ["tea"], ["milk", "cake"]],
        consumed=["tea", "", "", "milk"], propensity=[0.5, 1, 1, 0.5],
    )  # fmt: skip
    assert log.slate.tolist() == [[1, 0], [2, -1], [-1, -1], [0, -1]]
    assert log.consumed is not None
    assert log.consumed.tolist() == [1, -1, -1, 0]
    write_log(log, tmp_path / "log")
    again = read_log(tmp_path / "log")
    assert again.names_of("item", [0, 2]) == ["milk", "cake"]
    assert again.hash() == log.hash() != named_log().hash()
    with pytest.raises(LogError, match=r"slate\[0\] holds 'beer', which item_names does not name"):
        named_log(slate=["beer", "tea", "tea", "tea"], item_names=["milk", "tea"])
    with pytest.raises(LogError, match="'tea' stands there twice"):
        named_log(item_names=["tea", "tea"])
    with pytest.raises(LogError, match="give items different names"):
        LoggedDataset.concat([named_log(item_names=["a", "b"]), named_log(item_names=["b", "a"])])


def test_a_file_without_names_still_reads(tmp_path: Path) -> None:
    write_log(named_log(), tmp_path / "x.parquet")
    table = pq.read_table(tmp_path / "x.parquet").drop_columns(["session_name", "user_name"])
    pq.write_table(table, tmp_path / "y.parquet")
    assert read_log(tmp_path / "y.parquet").names == {}


@pytest.mark.parametrize("column", ["session", "user"])
@pytest.mark.parametrize(
    "ids",
    [
        np.array([2**53 + 2, 2**53 + 3, 5, 6], np.float64),
        np.array([2**24, 2**24 + 1, 5, 6], np.float32),
        np.array([2.0**53, 3, 5, 6], object),
        pa.array([2**60, None, 5, 6]).to_numpy(zero_copy_only=False),
    ],
    ids=["float64", "float32", "objects", "a missing entry"],
)
def test_ids_that_a_float_may_have_merged_are_refused(column: str, ids: Any) -> None:
    with pytest.raises(LogError, match=rf"{column}\[\d\] = .*(have become one number|not a whole)"):
        named_log(**{"session": np.arange(4), "step": np.zeros(4, int)} | {column: ids})


def test_ids_of_any_size_are_kept_where_they_are_whole() -> None:
    ids = [2**53 + 1, 2**53 + 1, 2**62, 2**62]
    assert named_log(session=ids).session.tolist() == ids
    assert named_log(session=[3.0, 3.0, 4.0, 4.0]).session.tolist() == [3, 3, 4, 4]


def test_items_written_as_digits_are_numbers() -> None:
    assert named_log(slate=["0", "1", "1", "0"]).slate.ravel().tolist() == [0, 1, 1, 0]


def test_the_doctor_calls_items_by_name() -> None:
    """Item b is shown half as often as its logged probability says."""
    n = 3000
    rng = np.random.default_rng(0)
    item = rng.choice(3, n, p=[0.4, 0.2, 0.4])
    log = LoggedDataset.from_columns(
        session=np.arange(n), step=np.zeros(n, int), slate=item, reward=np.ones(n), n_items=3,
        propensity=np.array([0.3, 0.4, 0.3])[item], item_names=["a", "b", "c"],
        candidate_propensity=np.tile([0.3, 0.4, 0.3], (n, 1)),
    )  # fmt: skip
    assert "at item b" in check_log(log)["calibration per item (T3)"].found
