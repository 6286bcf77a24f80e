"""Interactions in columns and ids of their own, and what is said where they cannot be read."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from experiments.data.datasets import load, of_table
from experiments.data.guess import guess
from experiments.data.mapping import column_names, write_mapping
from offpolicy import LogError
from offpolicy.storage.tables import read_table

COLUMNS = ("user=user_id", "item=track_id", "timestamp=played_at", "reward=completed")


def plays() -> pd.DataFrame:
    """Three plays of two users, newest first, the stamps in zones of their own."""
    return pd.DataFrame(
        {
            "user_id": ["u_2", "u_17", "u_2"],
            "track_id": ["trk_9", "trk_9", "trk_10"],
            "played_at": [f"2024-03-01T{t}" for t in ("10:00:00Z", "09:00:00Z", "10:30:00+02:00")],
            "completed": [1, 0, 1],
        }
    )  # fmt: skip


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_names_of_users_and_items_are_kept(tmp_path: Path, form: str) -> None:
    file = tmp_path / f"plays.{form}"
    if form == "csv":
        plays().to_csv(file, index=False)
    elif form == "parquet":
        plays().to_parquet(file)
    else:
        plays().to_json(file, orient="records", lines=True)
    data = load(str(file), columns=COLUMNS)
    assert data.users is not None
    assert data.users.names == ("u_17", "u_2")
    assert data.items.names == ("trk_10", "trk_9")
    assert [s.tolist() for s in data.sequences] == [[1], [0, 1]]  # 8:30 in UTC before 10:00
    assert data.sequences.times is not None
    assert np.diff(data.sequences.times[1:]).tolist() == [5400]
    assert data.sequences.rewards is not None
    assert data.sequences.rewards.tolist() == [0, 1, 1]
    assert data.notes == ()


def test_ids_with_leading_zeros_stay_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "it.csv").write_text("user,item,timestamp\n007,010,1\n7,10,2\n")
    data = load(str(tmp_path / "it.csv"))
    assert data.users is not None
    assert (data.users.names, data.item_names) == (("007", "7"), ("010", "10"))


@pytest.mark.parametrize(("per", "name"), [(1, "s"), (1e3, "ms"), (1e6, "us"), (1e9, "ns")])
def test_epochs_of_any_unit_become_seconds(tmp_path: Path, per: float, name: str) -> None:
    stamps = [int((1_700_000_000 + 3600 * i) * per) for i in range(3)]
    table = pd.DataFrame({"user": 1, "item": [5, 6, 7], "timestamp": stamps})
    table.to_csv(tmp_path / f"{name}.csv", index=False)
    times = load(str(tmp_path / f"{name}.csv")).sequences.times
    assert times is not None
    np.testing.assert_allclose(times, 1_700_000_000 + 3600 * np.arange(3))


def test_a_file_in_other_columns_is_refused_with_the_options_that_read_it(tmp_path: Path) -> None:
    plays().to_csv(tmp_path / "plays.csv", index=False)
    with pytest.raises(
        ValueError, match="--columns user=user_id item=track_id timestamp=played_at"
    ):
        load(str(tmp_path / "plays.csv"))


def test_what_is_not_used_is_said_and_a_likely_reward_is_named(tmp_path: Path) -> None:
    plays().assign(device="tv").to_csv(tmp_path / "plays.csv", index=False)
    (note,) = load(str(tmp_path / "plays.csv"), columns=COLUMNS[:3]).notes
    assert note == (
        "columns that are not used: completed, device (completed looks like a reward: --columns "
        "reward=completed)"
    )


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("completed", r"row 1: completed \(reward\) is empty"),
        ("track_id", r"row 1: track_id \(item\) is empty"),
        ("played_at", r"row 1: played_at \(timestamp\) is empty"),
    ],
)
def test_a_missing_entry_is_named_by_row_and_both_names(
    tmp_path: Path, column: str, said: str
) -> None:
    table = plays().astype(object)
    table.loc[1, column] = None
    table.to_csv(tmp_path / "plays.csv", index=False)
    with pytest.raises(ValueError, match=said):
        load(str(tmp_path / "plays.csv"), columns=COLUMNS)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (("item=song",), "there is no song, which should be its item"),
        (("song=track_id",), "song=.*has user, item, timestamp, reward"),
        (("item=track_id,completed",), "a row has one item"),
        (("nowhere.yaml",), "longplay inspect FILE --out nowhere.yaml"),
    ],
)
def test_columns_that_do_not_fit_are_told(
    tmp_path: Path, columns: tuple[str, ...], said: str
) -> None:
    plays().to_csv(tmp_path / "plays.csv", index=False)
    with pytest.raises((ValueError, FileNotFoundError), match=said):
        load(str(tmp_path / "plays.csv"), columns=columns)


def test_a_saved_mapping_is_the_same_as_options_and_options_replace_it(tmp_path: Path) -> None:
    wanted = column_names((*COLUMNS, "slate=a,b"))
    write_mapping(tmp_path / "it.yaml", wanted, "made by a test")
    assert column_names((str(tmp_path / "it.yaml"),)) == wanted
    assert column_names((str(tmp_path / "it.yaml"), "item=song"))["item"] == "song"
    (tmp_path / "bad.yaml").write_text("columns: [1]\n")
    with pytest.raises(ValueError, match=r"bad.yaml names no columns"):
        column_names((str(tmp_path / "bad.yaml"),))


def test_a_guess_tells_plays_from_decisions(tmp_path: Path) -> None:
    plays().to_parquet(tmp_path / "plays.parquet")
    found = guess(read_table(tmp_path / "plays.parquet"))
    assert (found.kind, found.missing) == ("interactions", ())
    assert found.columns == dict(entry.split("=") for entry in COLUMNS)
    table = (
        plays().rename(columns={"user_id": "visit_id", "track_id": "rank_list"}).assign(prob=0.5)
    )
    table.drop(columns="completed").to_parquet(tmp_path / "log.parquet")
    found = guess(read_table(tmp_path / "log.parquet"))
    assert (found.kind, found.missing) == ("log", ("reward",))
    assert found.columns == {
        "session": "visit_id", "time": "played_at", "slate": "rank_list", "propensity": "prob",
    }  # fmt: skip


def test_a_column_that_is_not_used_may_miss_lists(tmp_path: Path) -> None:
    file = tmp_path / "plays.parquet"
    plays().assign(tags=[["a"], None, ["b", "c"]]).to_parquet(file)
    assert load(str(file), columns=COLUMNS).notes == ("columns that are not used: tags",)


def test_a_list_that_is_missing_leaves_the_guess_what_it_is() -> None:
    shown = [["a", "b"], None, ["c"]]
    table = pa.table({"shown": shown, "prob": [0.5, 0.2, 0.3], "reward": [1, 0, 1]})
    assert guess(table).columns == {"slate": "shown", "propensity": "prob", "reward": "reward"}


class Streamed:
    """What only speaks Arrow's stream protocol, as a polars frame or a DuckDB relation does."""

    def __init__(self, table: pa.Table) -> None:
        self.table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)


def frames() -> dict[str, object]:
    arrow = pa.Table.from_pandas(plays())
    return {
        "pandas": plays(), "arrow": arrow, "stream": Streamed(arrow),
        "mapping": plays().to_dict("list"),
    }  # fmt: skip


@pytest.mark.parametrize("kind", ["pandas", "arrow", "stream", "mapping"])
def test_frames_in_memory_are_read_as_files_are(tmp_path: Path, kind: str) -> None:
    plays().to_csv(tmp_path / "plays.csv", index=False)
    file = load(str(tmp_path / "plays.csv"), columns=COLUMNS)
    data = of_table(frames()[kind], column_names(COLUMNS), "plays")
    assert (data.name, data.item_names) == (file.name, file.item_names)
    assert data.users is not None
    assert file.users is not None
    assert data.users.names == file.users.names
    assert [s.tolist() for s in data.sequences] == [s.tolist() for s in file.sequences]
    with pytest.raises(ValueError, match="there is no sku, which should be its item"):
        of_table(frames()[kind], {"item": "sku"})


def test_polars_frames_and_duckdb_relations_speak_arrow() -> None:
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(plays().to_dict("list"))
    found = of_table(frame, column_names(COLUMNS))
    assert found.item_names == ("trk_10", "trk_9")
    duckdb = pytest.importorskip("duckdb")
    relation = duckdb.connect().from_arrow(frame.to_arrow())
    assert of_table(relation, column_names(COLUMNS)).item_names == found.item_names


def lying() -> dict[str, object]:
    """Streams that hold other things than they say, as memory of another program may."""
    ends = pa.py_buffer(np.array([0, 1_000, 2], np.int32))  # of two texts, in two bytes
    beyond = pa.Array.from_buffers(pa.string(), 2, [None, ends, pa.py_buffer(b"ab")])
    codes = pa.array([0, 7], pa.int32())
    unnamed = pa.DictionaryArray.from_arrays(codes, pa.array(["a", "b"]), safe=False)
    items = {"offsets": beyond, "codes": unnamed}
    said = {
        name: pa.table({"user": [1, 1], "item": item, "timestamp": [1, 2]})
        for name, item in items.items()
    }
    return said | {"no stream": SimpleNamespace(__arrow_c_stream__=lambda requested=None: 5)}


@pytest.mark.parametrize("kind", ["offsets", "codes", "no stream"])
def test_a_stream_that_lies_is_no_table(kind: str) -> None:
    table: Any = lying()[kind]
    with pytest.raises(LogError, match="the Streamed cannot be read as an Arrow table: "):
        of_table(Streamed(table))


@pytest.mark.parametrize("item", [["a"], ["a", 3], [["a"], 3], 3])
def test_columns_that_make_no_table_are_refused(item: object) -> None:
    with pytest.raises(ValueError, match=r"mine is no table: .* Give columns of one length"):
        of_table({"user": [1, 1], "item": item, "timestamp": [1, 2]}, name="mine")
