"""What `longplay benchmark rollout` plays, and what it refuses before it plays anything."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.faults.catalogue import BY_NAME
from experiments.rollout.command import PARTS, Settings
from experiments.rollout.scenarios import BY_ID


@pytest.mark.parametrize("given", [{"parts": ("faults",)}, {"only": ("F3",)}, {}])
def test_one_run_of_a_fault_is_refused_at_once(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="runs is 1; faults need 2"):
        Settings(runs=1, **given)


@pytest.mark.parametrize("given", [{"parts": ("rollouts", "clean")}, {"only": tuple(BY_ID)}])
def test_one_run_is_enough_where_no_fault_is_played(given: dict[str, Any]) -> None:
    assert Settings(runs=1, **given).chosen("rollouts") == [*BY_ID]


def test_all_rows_are_played_by_default() -> None:
    assert [Settings().chosen(part) for part in PARTS] == [[*BY_ID], [*BY_NAME], []]


@pytest.mark.parametrize(
    ("word", "faults"),
    [
        ("f3-drift", ["f3-drift"]),
        ("preference drift", ["f3-drift"]),
        ("a full disk", ["log-fills"]),
    ],
)
def test_words_of_a_faults_name_or_title_choose_it(word: str, faults: list[str]) -> None:
    assert Settings(parts=("faults",), only=(word,)).chosen("faults") == faults


def test_words_of_rows_that_are_not_played_are_refused() -> None:
    for part, word in (("faults", next(iter(BY_ID))), ("rollouts", "preference drift")):
        with pytest.raises(ValueError, match="no row holds"):
            Settings(parts=(part,), only=(word,))
