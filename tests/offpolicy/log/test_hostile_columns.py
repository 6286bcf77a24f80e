"""Columns of the wrong shape or kind, and files that other writers leave: told, not guessed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from offpolicy import (
    LogError,
    LoggedDataset,
    StreamSpec,
    TargetScores,
    check_log,
    marginal_terms,
    read_log,
    stream_estimates,
)
from tests.offpolicy.factories import log_of

N = 40


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("propensity", np.full((N, 1), 0.25), r"propensity has shape \(40, 1\); it is \(N,\)"),
        ("reward", np.ones((N, 1)), r"reward has shape \(40, 1\)"),
        ("session", np.arange(N)[:, None], r"session has shape \(40, 1\)"),
        ("session", 3, r"session has shape \(\)"),
        ("step", np.zeros((N, 1), int), r"step has shape \(40, 1\)"),
        ("user", np.zeros((N, 1), int), r"user has shape \(40, 1\)"),
        ("consumed", np.zeros((N, 1), int), r"consumed has shape \(40, 1\)"),
        ("logger", [["a", "b"]] * N, r"logger has shape \(40, 2\)"),
        ("candidates", np.arange(N) % 4, r"candidates has shape \(40,\); it is \(N, width\)"),
        ("context", np.zeros((N, 2, 2)), r"context has shape \(40, 2, 2\)"),
        ("terminated", ["False"] * N, r"terminated\[0\] = False is neither true nor false"),
        ("terminated", [True, None] * (N // 2), r"terminated\[1\] = None is neither"),
        ("truncated", np.r_[0, 1, np.nan, np.ones(N - 3)], r"truncated\[2\] = nan is neither"),
        ("terminated", np.full(N, 2), r"terminated\[0\] = 2 is neither"),
        ("logger", [None, "a"] * (N // 2), r"logger\[0\] is missing"),
        ("logger", [1.0, np.nan] * (N // 2), r"logger\[1\] is missing"),
        ("reward", np.full(N, 1 + 2j), "reward holds complex128, no real numbers"),
        ("reward", np.arange(N).astype("M8[s]"), r"reward holds datetime64\[s\]"),
        ("context", np.full((N, 2), 1e39), r"context\[0\] = \[inf, inf\] is not a finite number"),
    ],
)
def test_columns_of_another_shape_or_kind_are_refused(column: str, value: Any, said: str) -> None:
    """The word 'False' read as true, (N, 1) broadcast against (N,), a missing logger as 'None'."""
    with pytest.raises(LogError, match=said):
        log_of(N, **{column: value})


def test_flags_may_be_numbers() -> None:
    for kind in (bool, int, float, object):
        ended = np.array([True, False] * 20).astype(kind)
        assert log_of(N, terminated=ended).terminated.tolist() == [True, False] * 20


def test_a_missing_state_is_no_state() -> None:
    log, scores = log_of(N), TargetScores(np.full(N, 0.25))
    for state in (np.full(N, np.nan), np.array(["a", None] * 20, object)):
        with pytest.raises(LogError, match=r"state\[[01]\] is missing"):
            marginal_terms(log, scores, state=state)


def test_the_doctor_refuses_missing_ids_and_numbers_that_are_not_seconds() -> None:
    """Nanoseconds since 1970 would have made each row a day of its own."""
    with pytest.raises(LogError, match=r"event_id\[0\] is missing"):
        check_log(log_of(N), event_id=np.array([None] * N, object))
    with pytest.raises(LogError, match=r"look like nanoseconds. Divide time by 1e\+09"):
        check_log(log_of(N), time=np.arange(N) + 1_700_000_000_000_000_000)
    two, shares = log_of(N, logger=["a", "b"] * 20), {"a": 0.5, "c": 0.5}
    with pytest.raises(ValueError, match="the log's loggers are a, b; give each of them"):
        check_log(two, expected_shares=shares)


def test_an_empty_first_place_has_no_entry_of_its_own() -> None:
    """Item -1 is not the last item of the catalogue."""
    table = np.tile([0.1, 0.2, 0.3, 0.4], (N, 1))
    log = log_of(N, slate=np.full(N, -1), propensity=np.full(N, 0.4), candidate_propensity=table)
    assert check_log(log)["structure"].row == 0


def rows(sessions: range, **more: Any) -> pa.Table:
    """Two steps a session."""
    n = 2 * len(sessions)
    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {
        "session": np.repeat(np.array(sessions, np.int64), 2), "step": np.tile([0, 1], n // 2),
        "propensity": np.full(n, 0.25), "target": np.full(n, 0.3), "reward": rng.random(n),
    }  # fmt: skip
    return pa.table(columns | more)


def streamed(folder: Path, parts: list[pa.Table], spec: StreamSpec | None = None) -> list[float]:
    folder.mkdir()
    for k, part in enumerate(parts):
        pq.write_table(part, folder / f"part-{k}.parquet")
    spec = spec or StreamSpec(horizon="per_decision", estimators=("pdis", "snpdis"))
    _, lines = stream_estimates(folder, spec)
    return [x for line in lines for x in (line.value.value, line.value.low, line.uplift.high)]


def test_parts_without_rows_change_nothing(tmp_path: Path) -> None:
    full = rows(range(20))
    plain = streamed(tmp_path / "a", [full])
    assert streamed(tmp_path / "b", [full[:0], full, full[:0]]) == plain
    with pytest.raises(LogError, match=r"no file at .* has a row"):
        streamed(tmp_path / "c", [full[:0]])
    (tmp_path / "d").mkdir()
    with pytest.raises(LogError, match=r"holds no \.parquet files"):
        read_log(tmp_path / "d", columns={"slate": "item"})


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"reward": np.r_[1.0, np.nan, np.ones(38)]}, "part-0.parquet: reward of session 0 is nan"),
        ({"step": np.tile([0, 1.5], 20)}, "step of session 0 is 1.5; steps are whole numbers"),
    ],
)
def test_streams_name_the_file_and_the_session(
    more: dict[str, Any], said: str, tmp_path: Path
) -> None:
    with pytest.raises(LogError, match=said):
        streamed(tmp_path / "a", [rows(range(20), **more)])


def test_streams_weigh_embeddings_by_their_own_weights_only(tmp_path: Path) -> None:
    """The ratio of two probabilities under the name of mips was plain ips."""
    spec = StreamSpec(horizon="one_step", estimators=("mips",))
    with pytest.raises(LogError, match="mips need weights of their own"):
        streamed(tmp_path / "a", [rows(range(20))], spec)
    weight = np.linspace(0.5, 1.5, 40)
    part = rows(range(20), weight=weight)
    value = streamed(tmp_path / "b", [part], spec)[0]
    assert value == pytest.approx((weight * part["reward"].to_numpy()).mean())
    with pytest.raises(ValueError, match="estimators = cr: a stream holds no model"):
        StreamSpec(horizon="one_step", estimators=("cr",))


def test_a_log_of_plain_lists_is_still_a_log() -> None:
    log = LoggedDataset.from_columns(
        session=["a", "a", "b"], step=[0, 1, 0], slate=[0, 1, 2], propensity=[0.5, 0.5, 1],
        reward=[1, 0, True], n_items=3, terminated=[False, True, True], logger=["x", "x", "y"],
    )  # fmt: skip
    assert log.reward.tolist() == [1.0, 0.0, 1.0]


def test_names_mean_the_same_in_every_log() -> None:
    """Numbered as they appeared, the second log's only user, b, was the first log's a."""
    first = log_of(4, user=["a", "a", "b", "c"], session=["p", "q", "r", "s"])
    second = log_of(2, user=["b", "b"], session=["t", "u"])
    user = LoggedDataset.concat([first, second]).user
    assert user is not None
    assert user[4] == user[5] == user[2] != user[0]
    assert len(np.unique(user)) == 3
