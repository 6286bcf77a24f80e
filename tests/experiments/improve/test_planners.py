"""Rows of `longplay benchmark planners`."""

from __future__ import annotations

import pytest

from experiments.improve.planners import Row, Settings, parse


def test_a_row_says_its_policy_encoder_and_temperature() -> None:
    assert parse("one_step") == Row("one_step", False, None)
    assert parse("fitted_q + encoder @0.2") == Row("fitted_q", True, 0.2)
    assert parse("cql @2") == Row("cql", False, 2.0)


@pytest.mark.parametrize("row", ["one_step@0.2", "one_step @", "one_step + encoders", "no_policy"])
def test_another_row_is_refused(row: str) -> None:
    with pytest.raises(ValueError, match="row"):
        Settings(rows=(row,))
