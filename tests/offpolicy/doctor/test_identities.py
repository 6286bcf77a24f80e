"""Ids that start at 1 and users who are all the same are called by their name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offpolicy import (
    Health,
    LogError,
    LoggedDataset,
    check_log,
    estimate_propensity,
    evaluate,
    read_log,
    write_log,
)

N = 3000
ITEM = np.random.default_rng(0).integers(0, 10, N)


def table(first: int, **more: Any) -> dict[str, Any]:
    return {
        "slate": ITEM + first, "propensity": np.full(N, 0.1), "reward": np.ones(N) * (ITEM > 4)
    } | more  # fmt: skip


@pytest.mark.parametrize(
    ("first", "said"),
    [(1, "item 0 is never shown or offered: ids seem to start at 1"),
     (100, "items 0 to 99 are never shown or offered: ids seem to start at 100")],
)  # fmt: skip
def test_ids_that_do_not_start_at_0_are_the_reason(first: int, said: str, tmp_path: Any) -> None:
    log = read_log(table(first))
    write_log(log, tmp_path / "log")
    for one in (log, read_log(tmp_path / "log")):
        worst = check_log(one).troubles[0]
        assert (worst.check, worst.found) == ("item ids", said)
    report = evaluate(log, np.full(N, 1 / log.n_items), horizon="one_step", model=None)
    assert said in report.verdict.reason
    assert f"subtract {first}" in report.verdict.reason


@pytest.mark.parametrize(
    ("first", "more"),
    [(0, {}), (1, {"candidates": np.tile(np.arange(11), (N, 1))}), (1, {"consumed": ITEM})],
)
def test_ids_from_0_are_no_trouble(first: int, more: dict[str, Any]) -> None:
    assert check_log(read_log(table(first, **more)))["item ids"].level == 0


def test_a_catalogue_of_known_size_is_not_doubted() -> None:
    with pytest.raises(KeyError, match="item ids"):
        check_log(read_log(table(0), n_items=10))["item ids"]
    with pytest.raises(LogError, match="The ids seem to start at 1: subtract 1 from each"):
        read_log(table(1), n_items=10)


def test_one_user_for_all_sessions_is_named() -> None:
    base: dict[str, Any] = {
        "session": np.arange(N), "step": np.zeros(N, int), "slate": ITEM, "reward": np.ones(N),
        "propensity": np.full(N, 0.1), "n_items": 10,
    }  # fmt: skip
    log = LoggedDataset.from_columns(**base, user=["guest"] * N)
    with pytest.raises(LogError, match=r"column user has one value \(guest\) for all 3000"):
        evaluate(log, np.full(N, 0.1), horizon="one_step", model=None)
    check = check_log(log)
    assert check.verdict is Health.FAIL
    assert "Leave the column out" in check["users"].found
    alone = log.take([5])  # one session of one user says nothing wrong
    assert "users" not in [f.check for f in check_log(alone).findings]


@pytest.mark.parametrize(
    ("action", "said"),
    [(["buy", "skip"] * 50, "such as 'buy'; it must hold whole numbers"),
     ([0.0, 1.5] * 50, r"action\[1\] = 1.5 is not a whole number")],
)  # fmt: skip
def test_actions_to_be_estimated_are_numbers(action: list[Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        estimate_propensity(action, np.arange(100.0), n_items=2)
