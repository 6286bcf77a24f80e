"""The log: what it refuses, what it derives, what it keeps."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from offpolicy import LogError, LoggedDataset


def columns(**changes: Any) -> dict[str, Any]:
    """Three sessions of 3, 2 and 1 rows over 6 items, slates of 2, interleaved in time."""
    base: dict[str, Any] = {
        "session": [10, 20, 10, 30, 20, 10],
        "step": [0, 0, 1, 0, 1, 2],
        "slate": [[0, 1], [2, 3], [1, 4], [5, 0], [3, 1], [2, 5]],
        "position_propensity": np.full((6, 2), 0.5),
        "propensity": np.full(6, 0.25),
        "reward": [1.0, 0.0, 2.0, 0.5, 0.0, 1.0],
        "n_items": 6,
        "consumed": [1, -1, 4, 5, 3, 2],
        "responses": np.arange(12.0).reshape(6, 2),
        "user": [1, 2, 1, 1, 2, 1],
        "terminated": [False, False, False, True, True, False],
        "truncated": [False] * 5 + [True],
    }
    return base | changes


def build(**changes: Any) -> LoggedDataset:
    return LoggedDataset.from_columns(**columns(**changes))


def changed(name: str, row: int, value: Any) -> Any:
    x = np.array(columns()[name], dtype=float if name in ("reward", "propensity") else None)
    x[row] = value
    return x


BAD = {
    "propensity missing": ({"propensity": None}, "no propensity"),
    "propensity None in a row": ({"propensity": [0.25, None, 1, 1, 1, 1]}, r"propensity\[1\]"),
    "propensity zero": ({"propensity": changed("propensity", 2, 0.0)}, r"propensity\[2\] = 0"),
    "propensity NaN": ({"propensity": changed("propensity", 3, np.nan)}, r"propensity\[3\] = nan"),
    "propensity above 1": ({"propensity": changed("propensity", 4, 1.2)}, r"\[4\] = 1.2 .*\(0, 1"),
    "places do not multiply": ({"propensity": np.full(6, 0.3)}, "multiplies to 0.25"),
    "reward NaN": ({"reward": changed("reward", 5, np.nan)}, r"reward\[5\] = nan"),
    "row out of order": ({"step": [0, 0, 2, 0, 1, 1]}, "row 5 is out of order: session 10"),
    "row twice": ({"step": [0, 0, 1, 0, 1, 1]}, "row 5 is out of order"),
    "unknown item": ({"slate": changed("slate", 1, [2, 6])}, r"slate\[1\] = \[2, 6\].*unknown"),
    "repeated item": ({"slate": changed("slate", 3, [5, 5])}, r"slate\[3\] = \[5, 5\] repeats"),
    "fractional item": ({"consumed": [1, -1, 4, 5, 2.5, 2]}, r"consumed\[4\] = 2.5"),
    "after the end": ({"terminated": [True] + [False] * 5}, "row 2 follows the end"),
    "two users": ({"user": [1, 2, 3, 1, 2, 1]}, "row 2 gives session 10 a second user"),
    "other length": ({"reward": [1.0]}, "differ in length"),
    "not offered": ({"candidates": np.tile([0, 1, 2, 3], (6, 1))}, r"slate\[2\].*did not offer"),
    "prior rows": ({"prior_items": np.zeros((2, 3), int)}, "one row per session"),
    "no rows": ({k: np.asarray(v)[:0] for k, v in columns().items() if k != "n_items"}, "no rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_with_row_rule_and_mend(case: str) -> None:
    change, words = BAD[case]
    with pytest.raises(LogError, match=words):
        build(**change)


def test_string_ids_are_numbered_as_they_appear() -> None:
    log = build(session=["b", "a", "b", "c", "a", "b"])
    assert log.sessions.tolist() == [0, 1, 0, 2, 1, 0]


def test_a_slate_of_one_place_may_be_flat() -> None:
    log = LoggedDataset.from_columns(
        session=[0, 1], step=[0, 0], slate=[3, 1], propensity=[0.5, 1], reward=[0, 1], n_items=4
    )
    assert log.slate.shape == (2, 1)


def test_histories_by_hand() -> None:
    log = build(prior_items=[[-1, 0], [-1, -1], [4, 5]], prior_responses=np.ones((3, 2, 2)))
    items, responses = log.histories(3)
    assert items.tolist() == [
        [-1, -1, 0],
        [-1, -1, -1],
        [-1, 0, 1],
        [-1, 4, 5],
        [-1, -1, -1],  # session 20 consumed nothing at its first step
        [0, 1, 4],
    ]
    assert items.dtype == np.int32
    assert responses.dtype == np.float32
    assert responses[5].tolist() == [[1, 1], [0, 1], [4, 5]]
    assert responses[3].tolist() == [[0, 0], [1, 1], [1, 1]]
    assert log.histories(1)[0].tolist() == [[0], [-1], [1], [5], [-1], [4]]


def test_histories_equal_a_slow_twin() -> None:
    rng = np.random.default_rng(0)
    log = random_log(rng, n_sessions=40, longest=9, prior=4)
    items, responses = log.histories(5)
    assert log.prior_items is not None
    assert log.prior_responses is not None
    assert log.consumed is not None
    assert log.responses is not None
    seen: dict[int, list[tuple[int, list[float]]]] = {}
    for s, (row, told) in enumerate(zip(log.prior_items, log.prior_responses, strict=True)):
        seen[s] = [(int(i), r.tolist()) for i, r in zip(row, told, strict=True) if i >= 0]
    for i, s in enumerate(log.sessions):
        last = ([(-1, [0.0, 0.0])] * 5 + seen[int(s)])[-5:]
        assert items[i].tolist() == [a for a, _ in last]
        assert responses[i].tolist() == [r for _, r in last]
        if log.consumed[i] >= 0:
            seen[int(s)].append((int(log.consumed[i]), log.responses[i].tolist()))


def test_a_log_without_all_steps_has_no_histories() -> None:
    log = build().take([0, 1, 3, 4, 5])
    with pytest.raises(LogError, match=r"session 10 has missing steps before row 4 \(step 2\)"):
        log.histories(2)


def test_take_keeps_the_prior_of_the_sessions_it_keeps() -> None:
    log = build(prior_items=[[0], [1], [2]], prior_responses=np.zeros((3, 1, 2)))
    part = log.take(np.asarray(log.session) != 20)
    assert part.prior_items is not None
    assert part.prior_items.tolist() == [[0], [2]]
    assert part.sessions.tolist() == [0, 0, 1, 0]
    np.testing.assert_array_equal(
        part.histories(4)[0], log.histories(4)[0][np.asarray(log.session) != 20]
    )


def test_concat_keeps_sessions_of_different_logs_apart_and_pads_priors() -> None:
    a = build(prior_items=[[0], [1], [2]], prior_responses=np.zeros((3, 1, 2)))
    both = LoggedDataset.concat([a, build()])
    assert both.n_sessions == 6
    assert both.prior_items is not None
    assert both.prior_items.tolist() == [[0], [1], [2], [-1], [-1], [-1]]
    np.testing.assert_array_equal(both.histories(3)[0][6:], build().histories(3)[0])
    disjoint = LoggedDataset.concat([build(), build(session=[1, 2, 1, 3, 2, 1])])
    assert disjoint.session.tolist() == [10, 20, 10, 30, 20, 10, 1, 2, 1, 3, 2, 1]


def test_concat_names_the_column_that_one_log_lacks() -> None:
    with pytest.raises(LogError, match="do not both carry consumed"):
        LoggedDataset.concat([build(), build(consumed=None)])


def test_hash_is_of_the_contents() -> None:
    assert build().hash() == build().hash()
    assert build().hash() != build(reward=changed("reward", 0, 1.5)).hash()


def test_a_million_histories_of_twenty_in_seconds() -> None:
    rng = np.random.default_rng(1)
    n = 300_000
    log = LoggedDataset.from_columns(
        session=np.repeat(np.arange(n // 30), 30), step=np.tile(np.arange(30), n // 30),
        slate=rng.integers(0, 1000, n), propensity=np.full(n, 0.1), reward=np.zeros(n),
        n_items=1000, consumed=rng.integers(-1, 1000, n), responses=rng.random((n, 2)),
    )  # fmt: skip
    start = time.process_time()
    log.histories(20)
    assert time.process_time() - start < 2.0


def random_log(
    rng: np.random.Generator, *, n_sessions: int, longest: int, prior: int
) -> LoggedDataset:
    """Sessions of random length whose rows are interleaved at random, two responses."""
    length = rng.integers(1, longest + 1, n_sessions)
    session = rng.permutation(np.repeat(np.arange(n_sessions), length))
    step = np.zeros(len(session), int)
    counts: dict[int, int] = {}
    for i, s in enumerate(session):
        step[i] = counts.get(int(s), 0)
        counts[int(s)] = step[i] + 1
    n = len(session)
    items = np.where(rng.random((n_sessions, prior)) < 0.3, -1, 3)
    return LoggedDataset.from_columns(
        session=session, step=step, slate=rng.integers(0, 9, n), propensity=rng.uniform(0.1, 1, n),
        reward=rng.random(n), n_items=9, consumed=rng.integers(-1, 9, n),
        responses=rng.random((n, 2)), prior_items=items,
        prior_responses=rng.random((n_sessions, prior, 2)),
    )  # fmt: skip
