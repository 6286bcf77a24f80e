"""Target scores belong to rows by session and step, not by where they stand in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from experiments.logs.log_files import read_scores
from offpolicy import LogError, LoggedDataset, compact, match_scores, read_log, write_log

N, STEPS = 40, 3


def interleaved(names: bool = False) -> LoggedDataset:
    """Sessions whose rows take turns, as production logs have them."""
    session = np.tile(np.arange(N), STEPS)
    rng = np.random.default_rng(0)
    return LoggedDataset.from_columns(
        session=[f"s{i:03d}" for i in session] if names else session,
        step=np.repeat(np.arange(STEPS), N), slate=rng.integers(0, 4, N * STEPS), n_items=4,
        propensity=np.full(N * STEPS, 0.25), reward=rng.random(N * STEPS),
    )  # fmt: skip


def scores_of(log: LoggedDataset) -> dict[str, Any]:
    """Probabilities that differ in every row, so that no other order fits."""
    return {
        "session": np.array(log.names_of("session", log.session))
        if log.names
        else log.session.copy(),
        "step": log.step.copy(),
        "propensity": (1 + log.session % 1000 + 1000 * log.step) / 4000,
    }


def right(log: LoggedDataset) -> Any:
    return (1 + log.session % 1000 + 1000 * log.step) / 4000


def save(table: dict[str, Any], path: Path) -> Path:
    if path.suffix == ".npz":
        np.savez(path, **table)
    elif path.suffix == ".npy":
        np.save(path, table["propensity"])
    elif path.suffix == ".csv":
        pd.DataFrame(table).to_csv(path, index=False)
    elif path.suffix == ".jsonl":
        pd.DataFrame(table).to_json(path, orient="records", lines=True)
    else:
        pd.DataFrame(table).to_parquet(path)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz", "jsonl"])
@pytest.mark.parametrize("names", [False, True], ids=["numbers", "names"])
def test_files_in_any_order_are_matched_before_and_after_compaction(
    kind: str, names: bool, tmp_path: Path
) -> None:
    log = interleaved(names)
    table = scores_of(log)
    shuffled = np.random.default_rng(1).permutation(len(log))
    path = save({k: v[shuffled] for k, v in table.items()}, tmp_path / f"scores.{kind}")
    write_log(log, tmp_path / "log")
    compact(tmp_path / "log", tmp_path / "compacted", rows_per_part=50)
    for where in ("log", "compacted"):
        one = read_log(tmp_path / where)
        np.testing.assert_array_equal(read_scores(path, one).propensity, right(one))


def test_other_columns_move_with_their_rows() -> None:
    log = interleaved()
    table = scores_of(log)
    slates = np.tile((log.session % 4)[:, None, None], (1, 2, 1))
    turned = {k: v[::-1] for k, v in (table | {"slates": slates}).items()}
    scores = match_scores(log, turned)
    assert scores.slates is not None
    np.testing.assert_array_equal(scores.slates[:, 1, 0], log.session % 4)


def test_a_session_alone_tells_rows_apart_where_each_has_one() -> None:
    log = interleaved().take(np.arange(N))
    turned = {k: v[::-1] for k, v in scores_of(log).items() if k != "step"}
    np.testing.assert_array_equal(match_scores(log, turned).propensity, right(log))
    with pytest.raises(LogError, match="names sessions but no step"):
        match_scores(
            interleaved(), {k: v for k, v in scores_of(interleaved()).items() if k != "step"}
        )


@pytest.mark.parametrize("names", [False, True], ids=["numbers", "names"])
def test_missing_surplus_and_repeated_rows_are_named(names: bool) -> None:
    log, called = interleaved(names), "s003" if names else "3"
    table = {k: list(v) for k, v in scores_of(log).items()}
    short = {k: [*v[:43], *v[44:]] for k, v in table.items()}
    with pytest.raises(LogError, match=f"no row for session {called}, step 1 .row 43 of"):
        match_scores(log, short)
    with pytest.raises(LogError, match=f"has session {called}, step 1 twice"):
        match_scores(log, {k: [*v, v[43]] for k, v in table.items()})
    part = log.take(np.isin(np.arange(len(log)) % N, [3], invert=True))
    with pytest.raises(LogError, match=f"has session {called}, step 0 .its row 3., which"):
        match_scores(part, table)
    other = table | {"session": ["who"] * 120 if names else [999] * 120, "step": range(120)}
    with pytest.raises(LogError, match=r"no row for .*; .* has session (who|999), step 0"):
        match_scores(log, other)


def test_row_numbers_mean_nothing_once_the_order_has_changed(tmp_path: Path) -> None:
    log = interleaved()
    write_log(log, tmp_path / "log")
    compact(tmp_path / "log", tmp_path / "compacted")
    path = save(scores_of(log), tmp_path / "scores.npy")
    np.testing.assert_array_equal(read_scores(path, log).propensity, right(log))
    moved = read_log(tmp_path / "compacted")
    write_log(moved, tmp_path / "again")
    for one in (
        moved,
        read_log(tmp_path / "again"),
        log.take(np.argsort(log.session, kind="stable")),
    ):
        with pytest.raises(LogError, match="put in another order since they were logged"):
            read_scores(path, one)


def test_compaction_of_an_ordered_log_changes_no_order(tmp_path: Path) -> None:
    log = interleaved().take(
        np.lexsort((np.repeat(np.arange(STEPS), N), np.tile(np.arange(N), STEPS)))
    )
    ordered = LoggedDataset.from_columns(n_items=4, **log.columns())
    write_log(ordered, tmp_path / "log")
    compact(tmp_path / "log", tmp_path / "compacted")
    path = save(scores_of(ordered), tmp_path / "scores.npy")
    read = read_scores(path, read_log(tmp_path / "compacted"))
    np.testing.assert_array_equal(read.propensity, right(ordered))


def test_names_of_the_logs_own_columns_are_understood(tmp_path: Path) -> None:
    log = interleaved()
    table = {"visit": log.session[::-1], "t": log.step[::-1], "propensity": right(log)[::-1]}
    path = save(table, tmp_path / "scores.csv")
    scores = read_scores(path, log, columns=["session=visit", "step=t", "propensity=p"])
    np.testing.assert_array_equal(scores.propensity, right(log))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"session": None}, "has steps but no session"),
        ({"propensity": None}, "needs a column `propensity`"),
        ({"session": None, "step": None, "propensity": [0.5]}, "has 1 rows, the log 120"),
    ],
)
def test_what_cannot_be_matched_is_refused(change: dict[str, Any], said: str) -> None:
    table = {k: v for k, v in (scores_of(interleaved()) | change).items() if v is not None}
    with pytest.raises(LogError, match=said):
        match_scores(interleaved(), table)


def test_a_log_without_sessions_cannot_be_matched_by_them() -> None:
    log = read_log({"slate": [0, 1], "propensity": [0.5, 0.5], "reward": [0, 1]})
    with pytest.raises(LogError, match="read from a table without them"):
        match_scores(log, {"session": [0, 1], "step": [0, 0], "propensity": [0.5, 0.5]})
    assert match_scores(log, {"propensity": [0.2, 0.3]}).propensity.tolist() == [0.2, 0.3]
