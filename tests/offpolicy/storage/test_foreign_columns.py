"""Tables in columns and ids of their own: lists as text, times for steps, clicks for rewards."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from offpolicy import LogError, read_log
from offpolicy.storage.derived import order_by_time
from offpolicy.storage.instants import instants

COLUMNS = {
    "session": "visit", "time": "at", "slate": "rank_list", "clicked": "clicked_list",
    "propensity": "prob",
}  # fmt: skip


def visits() -> pd.DataFrame:
    """Two visits; the rows of the first stand in the wrong order of time."""
    return pd.DataFrame(
        {
            "visit": ["a", "b", "a"],
            "at": ["2024-01-02T00:00:00Z", "2024-01-01T00:00:00Z", "2024-01-01T01:00:00+02:00"],
            "rank_list": [["x", "y"], ["y", "z"], ["z"]],
            "clicked_list": [["y"], [], ["z"]],
            "prob": [0.5, 0.25, 0.125],
        }
    )


def written(folder: Path, form: str) -> Any:
    table = visits()
    if form == "arrow":
        return pa.Table.from_pandas(table)
    if form == "parquet":
        table.to_parquet(folder / "log.parquet")
        return folder / "log.parquet"
    if form == "jsonl":
        table.to_json(folder / "log.jsonl", orient="records", lines=True)
        return folder / "log.jsonl"
    if form != "pandas":
        mark = {"json cells": "[{}]", "bars": "{}"}[form]
        between = {"json cells": '", "', "bars": "|"}[form]
        quote = '"' if form == "json cells" else ""
        for name in ("rank_list", "clicked_list"):
            table[name] = [
                mark.format(quote + between.join(x) + quote if x else "") for x in table[name]
            ]
        table.to_csv(folder / "log.csv", index=False)
        return folder / "log.csv"
    return table


@pytest.mark.parametrize("form", ["pandas", "arrow", "parquet", "jsonl", "json cells", "bars"])
def test_one_log_whatever_holds_it(tmp_path: Path, form: str) -> None:
    log = read_log(written(tmp_path, form), columns=COLUMNS)
    assert log.names_of("session", log.session) == ["a", "b", "a"]
    assert log.step.tolist() == [0, 0, 1]
    assert log.names_of("item", np.arange(3)) == ["x", "y", "z"]
    assert log.slate.tolist() == [[2, -1], [1, 2], [0, 1]]
    assert log.propensity.tolist() == [0.125, 0.25, 0.5]
    assert log.consumed is not None
    assert log.position_reward is not None
    assert log.consumed.tolist() == [2, -1, 1]
    assert log.position_reward.tolist() == [[1, 0], [0, 0], [0, 1]]
    assert log.reward.tolist() == [1, 0, 1]
    assert log.provenance.reordered


def test_clicks_as_flags_are_those_as_items() -> None:
    table = visits().iloc[:2].assign(clicked_list=[[0, 1], [0, 0]])
    log = read_log(table, columns=COLUMNS)
    assert log.position_reward is not None
    assert log.position_reward.tolist() == [[0, 1], [0, 0]]


def test_a_click_on_what_was_not_shown_is_told() -> None:
    table = visits().assign(clicked_list=[["y"], [], ["x"]])
    with pytest.raises(LogError, match=r"clicked\[2\] holds 'x', which slate\[2\] does not show"):
        read_log(table, columns=COLUMNS)


def test_rows_in_order_of_time_stay_where_they_are() -> None:
    step, rows = order_by_time(np.array([7, 8, 7, 8, 7]), np.array([1, 1, 5, 2, 5]))
    assert step.tolist() == [0, 0, 1, 1, 2]
    assert rows.tolist() == [0, 1, 2, 3, 4]


def test_a_table_of_sessions_with_neither_steps_nor_times_is_told_what_to_say() -> None:
    with pytest.raises(LogError, match="or say which column holds the time"):
        read_log(
            visits().drop(columns="at"), columns={k: v for k, v in COLUMNS.items() if k != "time"}
        )


@pytest.mark.parametrize(
    "ids",
    [[uuid.UUID(int=4), uuid.UUID(int=5)], [2**70, 2**70 + 1], ["a", "b"], [2**40, 2**40 + 1]],
)
def test_ids_of_any_kind_stay_two_and_come_back(ids: list[Any]) -> None:
    for make in (pd.DataFrame, dict):
        named = {"session": ids, "slate": ids, "propensity": [0.5, 0.5], "reward": [1, 0]}
        log = read_log(make(named | {"step": [0, 0]}))
        assert log.names_of("session", log.session) == [str(x) for x in ids]
        assert log.names_of("item", log.slate[:, 0]) == [str(x) for x in ids]
        assert log.n_items == 2


NOON = 1_709_294_400  # 2024-03-01 12:00 in UTC, in seconds


@pytest.mark.parametrize(
    "times",
    [
        [NOON * 1_000, NOON * 1_000 + 500],
        [NOON * 10**6, NOON * 10**6 + 500_000],
        [NOON * 10**9, NOON * 10**9 + 500_000_000],
        ["2024-03-01T12:00:00Z", "2024-03-01T14:00:00.5+02:00"],
        ["2024-03-01 12:00:00", "2024-03-01 12:00:00.500"],
        [str(NOON * 1_000), str(NOON * 1_000 + 500)],
    ],
)
def test_times_in_any_unit_and_zone(times: list[Any]) -> None:
    got = instants("at", np.array(times)).astype("M8[ms]").astype(np.int64)
    assert got.tolist() == [NOON * 1_000, NOON * 1_000 + 500]


def test_seconds_and_orders_stay_numbers_and_what_is_no_time_is_named() -> None:
    assert instants("at", np.array([NOON, NOON + 1])).tolist() == [NOON, NOON + 1]
    with pytest.raises(LogError, match=r"at\[1\] = 'yesterday' is no time"):
        instants("at", np.array(["2024-03-01", "yesterday"]))
    with pytest.raises(LogError, match=r"at\[1\] is missing"):
        instants("at", np.array(["2024-03-01", None], object))


def test_nothing_taken_is_an_empty_cell_also_where_the_names_are_known(tmp_path: Path) -> None:
    """The catalogue's own order of names, short slates and choices of nothing, from one CSV."""
    (tmp_path / "log.csv").write_text(
        "session,step,slate,propensity,reward,consumed\n"
        "a,0,trk_2|trk_10,0.5,1.5,trk_10\n"
        "a,1,trk_10,0.25,0,\n"
        "b,0,trk_1|trk_2,0.5,0,\n"
    )
    log = read_log(tmp_path / "log.csv", item_names=["trk_1", "trk_2", "trk_10"])
    assert log.slate.tolist() == [[1, 2], [2, -1], [0, 1]]
    assert log.consumed is not None
    assert log.consumed.tolist() == [2, -1, -1]
    with pytest.raises(LogError, match="trk_10"):
        read_log(tmp_path / "log.csv", item_names=["trk_1", "trk_2"])
