"""The table of policies in a fitted world and the true one, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from experiments.common.truth import rank_correlation
from experiments.improve.fitted_world import FITTED, TRUE, Row, Settings, lines, rows_of, values


def test_ranks_that_agree_and_that_do_not() -> None:
    a = np.array([1.0, 5.0, 2.0, 9.0])
    assert rank_correlation(a, a**3) == pytest.approx(1)
    assert rank_correlation(a, -a) == pytest.approx(-1)
    # ranks 1 3 2 4 against 2 1 3 4: 1 - 6 (1 + 4 + 1 + 0) / (4 * 15)
    assert rank_correlation(a, np.array([2.0, 1.0, 3.0, 4.0])) == pytest.approx(0.4)
    # ties at their mean rank: 1.5 1.5 3 against 1 2 3
    assert rank_correlation(np.array([7.0, 7.0, 8.0]), np.array([1.0, 2.0, 3.0])) == pytest.approx(
        0.75**0.5
    )


def test_a_line_says_by_how_much_the_fitted_world_is_too_kind() -> None:
    row = Row("x", np.array([3.0, 5.0]), np.array([1.0, 3.0]))
    (line,) = lines([row])
    # standard deviation sqrt(2), error 1: 1.96 each side, sqrt(2) times that of the difference
    assert line["in the fitted world"] == "4.00 [2.04, 5.96]"
    assert line["in the true world"] == "2.00 [0.04, 3.96]"
    assert line["fitted less true"] == "+2.00 ± 2.77"
    assert values([row])[0] == (row.fitted, row.true)


def test_both_agents_are_the_same_but_for_their_world() -> None:
    rows = rows_of(Settings())
    assert list(rows)[-2:] == [TRUE, FITTED]
    assert replace(rows[TRUE], name=FITTED) == rows[FITTED]
    assert sum(c.policy == "one_step" for c in rows.values()) == 1
    assert len(rows) >= 10
    with pytest.raises(ValueError, match="at least 2 sessions of each kind"):
        Settings(truth_sessions=1)
