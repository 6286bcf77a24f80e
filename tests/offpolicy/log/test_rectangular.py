"""Slates and candidates of different length: padded by one rule, or refused by it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from offpolicy import LogError, LoggedDataset, TargetScores, read_log

RAGGED = [[3, 1, 2], [0], [4, 2]]
PADDED = [[3, 1, 2], [0, -1, -1], [4, 2, -1]]


def columns(**more: Any) -> dict[str, Any]:
    return {
        "session": [0, 1, 2], "step": [0, 0, 0], "slate": [3, 0, 4], "propensity": [0.1, 0.2, 0.3],
        "reward": [0.0, 1.0, 0.0], "n_items": 5,
    } | more  # fmt: skip


def objects(rows: list[Any]) -> Any:
    out = np.empty(len(rows), object)
    out[:] = rows
    return out


@pytest.mark.parametrize("make", [list, objects, pd.Series], ids=["lists", "objects", "series"])
def test_short_rows_are_padded_with_what_an_empty_place_carries(make: Any) -> None:
    log = LoggedDataset.from_columns(
        **columns(
            slate=make(RAGGED), candidates=make(RAGGED), prior_items=make([[1], [], [0, 3]]),
            position_propensity=make([[0.2, 1, 0.5], [0.2], [0.5, 0.6]]),
            position_reward=make([[1, 0, 0], [2], [0, 3]]),
            candidate_propensity=make([[0.2, 0.3, 0.5], [1.0], [0.5, 0.5]]),
        )
    )  # fmt: skip
    assert log.slate.tolist() == PADDED
    assert log.candidates is not None
    assert log.candidates.tolist() == PADDED
    for got, last in (
        (log.position_propensity, 1), (log.position_reward, 0), (log.candidate_propensity, 0)
    ):  # fmt: skip
        assert got is not None
        assert got[1, 1:].tolist() == [last, last]
        assert got[2, 2] == last
    assert log.prior_items is not None
    assert log.prior_items.tolist() == [[1, -1], [-1, -1], [0, 3]]


def test_lists_of_one_length_are_a_table() -> None:
    log = LoggedDataset.from_columns(**columns(slate=objects([[1, 2], [3, 4], [0, 1]])))
    assert log.slate.tolist() == [[1, 2], [3, 4], [0, 1]]


@pytest.mark.parametrize("kind", ["mapping", "frame", "arrow"])
def test_foreign_tables_are_padded_the_same(kind: str) -> None:
    table = {"slate": RAGGED, "propensity": [0.1, 0.2, 0.3], "reward": [0, 1, 0]}
    source: Any = {"mapping": table, "frame": pd.DataFrame(table), "arrow": pa.table(table)}[kind]
    assert read_log(source).slate.tolist() == PADDED


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"candidate_propensity": [[0.5, 0.5], [1.0], [1.0]]},
         r"candidate_propensity differ in length.*Give candidates too, or n_items entries"),
        ({"context": [[1.0, 2.0], [1.0], [1.0]]}, "context differ in length: 1 entries in row 1"),
        ({"slate": objects([[1], None, [2]])}, r"slate\[1\] = None is no list"),
        ({"slate": RAGGED, "position_propensity": [[0.2, 1, 0.5], [0.2], [0.5]]},
         r"position_propensity\[2\] has 1 entries, slate\[2\] 2"),
        ({"candidates": RAGGED, "candidate_propensity": [[0.2, 0.3, 0.5], [0.5, 0.5], [1.0]]},
         r"candidate_propensity\[1\] has 2 entries, candidates\[1\] 1"),
    ],
)  # fmt: skip
def test_what_no_padding_can_mean_is_refused(more: dict[str, Any], said: str) -> None:
    with pytest.raises(LogError, match=said):
        LoggedDataset.from_columns(**columns(**more))


def test_a_missing_list_of_a_frame_is_refused() -> None:
    table = {"slate": [[1, 2], None, [3]], "propensity": [0.1, 0.2, 0.3], "reward": [0, 1, 0]}
    with pytest.raises(LogError, match=r"slate\[1\] is missing; write an empty list"):
        read_log(pa.table(table))


def test_target_scores_of_ragged_slates() -> None:
    scores = TargetScores(np.array([0.1, 0.2]), position_propensity=[[0.2, 0.5], [0.2]])  # type: ignore[arg-type]
    assert scores.position_propensity is not None
    assert scores.position_propensity.tolist() == [[0.2, 0.5], [0.2, 1.0]]
    with pytest.raises(LogError, match="slates differ in length"):
        TargetScores(np.array([0.1, 0.2]), slates=[[[0], [1]], [[0]]])  # type: ignore[arg-type]


def test_a_slate_repeats_an_item_only_where_that_is_said() -> None:
    with pytest.raises(LogError, match="repeats=True where the world does show"):
        LoggedDataset.from_columns(**columns(slate=[[1, 1], [2, 3], [4, 4]]))
    log = LoggedDataset.from_columns(**columns(slate=[[1, 1], [2, 3], [4, 4]], repeats=True))
    assert log.take([0, 2]).repeats
    assert LoggedDataset.concat([log, log]).repeats
    with pytest.raises(LogError, match=r"candidates\[0\] = .* repeats an item"):
        LoggedDataset.from_columns(
            **columns(slate=[[1, 1]] * 3, candidates=[[1, 1]] * 3, repeats=True)
        )
