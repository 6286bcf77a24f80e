"""The table of the two-stage pattern: its numbers by hand, and what lists of everything do."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.common.truth import ratio
from experiments.rollout.hybrid import (
    FULL,
    Settings,
    chosen_of,
    hybrid_table,
    markdown,
)
from experiments.rollout.shares import cost_share

TINY = Settings(
    items=30, lengths=(5, 30), sessions=60, truth_sessions=30, users=10, max_steps=3,
    choice_seeds=(0,), seed=1, seeds=1, rounds=3,
)  # fmt: skip


def test_a_list_of_everything_is_the_full_model() -> None:
    table = hybrid_table(TINY)
    rows = {row.name: row for row in table.rows}
    assert rows[FULL].value == (1.0, 1.0, 1.0)
    assert rows[FULL].cost == (1.0, 1.0, 1.0)
    # the same draws over other columns are other slates: equal in distribution alone
    assert rows["30 by last item"].value.low < 1 < rows["30 by last item"].value.high
    assert table.chosen in table.choice
    assert table.chosen in table.verdict
    assert f"**{table.chosen}**" in markdown(table)


def test_shares_by_hand() -> None:
    share = ratio(np.array([1.0, 3.0]), np.array([2.0, 4.0]), 0.95)
    assert share.value == pytest.approx(2 / 3)
    psi = np.array([1 - 4 / 3, 3 - 8 / 3]) / 3  # -1/9 and 1/9: deviation sqrt(2) / 9
    assert share.high - share.value == pytest.approx(1.959964 * psi.std(ddof=1) / 2**0.5, rel=1e-5)
    cost = cost_share([1.0, 2.0, 3.0, 4.0, 5.0], [10.0] * 5, 0.95)
    assert cost == pytest.approx((0.3, 0.1, 0.5))


def test_the_shortest_list_that_is_good_enough_is_chosen() -> None:
    assert chosen_of({"25 a": 0.97, "50 a": 0.98, "100 a": 1.0}) == "50 a"
    assert chosen_of({"25 a": 0.5, "50 a": 0.7}) == "50 a"


def test_the_seeds_of_the_choice_are_others() -> None:
    with pytest.raises(ValueError, match="share one"):
        Settings(seed=0, seeds=2)
    with pytest.raises(ValueError, match="lengths"):
        Settings(items=20)
