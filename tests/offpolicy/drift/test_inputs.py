"""Inputs: indexes worked by hand, slow twins, thresholds that know n, levels with clusters."""

import numpy as np
import pytest
from scipy import stats

from offpolicy.drift.inputs import Column, compared
from offpolicy.drift.stability import design_effect, stability
from offpolicy.errors import LogError


def test_an_index_by_hand():
    """With half a row more: p = .5, .5 and q = 25.5 / 101, 75.5 / 101, so that the index is
    -.247525 log .50495 + .247525 log 1.49505; chi-square of 1 degree passes 3.8415 in 5 %."""
    found = stability([50, 50], [25, 75])
    assert found.value == pytest.approx(0.16913 + 0.09954, abs=1e-4)
    assert found.threshold == pytest.approx(3.8415 * (1 / 100 + 1 / 100), rel=1e-4)
    assert found.p_value == pytest.approx(stats.chi2.sf(found.value * 50, 1))
    clustered = stability([50, 50], [25, 75], clustering=4.0)
    assert clustered.threshold == pytest.approx(4 * found.threshold)


def test_the_usual_threshold_knows_no_n():
    """Of 40 rows in 10 classes an index above .25 is common without any change; of 100,000 rows an
    index of .01 is not chance."""
    rng = np.random.default_rng(0)
    p = np.full(10, 0.1)
    small = [stability(rng.multinomial(40, p), rng.multinomial(40, p)) for _ in range(200)]
    assert np.mean([s.value > 0.25 for s in small]) > 0.3
    assert np.mean([s.value > s.threshold for s in small]) < 0.09
    moved = p + 0.02 * np.tile([1, -1], 5)
    large = stability(rng.multinomial(100_000, p), rng.multinomial(100_000, moved))
    assert large.value < 0.1
    assert large.p_value < 1e-6


def test_copies_of_a_row_are_one_row():
    rng = np.random.default_rng(1)
    counts = np.eye(5)[rng.integers(0, 5, 3_000)]
    assert design_effect(counts) == pytest.approx(1.0, abs=0.05)
    assert design_effect(counts * 7) == pytest.approx(7.0, rel=0.05)


def rows(rng, users, kind, steps=6, shift=0.0):
    """Rows of users that are alike inside a user."""
    unit = np.arange(users).repeat(steps)
    own = rng.normal(shift, 1, users)[unit]
    if kind == "category":
        return np.clip(np.round(own + 2 + 0.2 * rng.normal(size=len(unit))), 0, 4).astype(int), unit
    if kind == "number":
        return np.round(own, 1), unit
    return np.column_stack([own, rng.normal(size=len(unit))]), unit


def column(rng, kind, users=60, shift=0.0, name=""):
    a, u = rows(rng, users, kind)
    b, v = rows(rng, users, kind, shift=shift)
    return Column(name or kind, kind, (a, b), (u, v))


def test_statistics_are_those_of_the_rows():
    """PSI from plain counts, Kolmogorov-Smirnov as scipy has it where values are few."""
    rng = np.random.default_rng(2)
    category, number = column(rng, "category"), column(rng, "number", shift=0.5)
    number = Column(
        "number", "number", tuple(np.round(x) for x in number.values), number.unit
    )  # few values
    found = compared([category, number], permutations=19)
    counts = [np.bincount(x, minlength=5) for x in category.values]
    assert found[0].value == pytest.approx(stability(*counts).value, rel=1e-4)
    assert found[1].value == pytest.approx(stats.ks_2samp(*number.values).statistic, rel=1e-4)


def test_thresholds_are_those_of_slow_permutations():
    """Users change places one permutation after another, rows are counted anew each time."""
    rng = np.random.default_rng(3)
    one = column(rng, "category")
    (found,) = compared([one], permutations=999, seed=5)
    values, unit = np.concatenate(one.values), np.r_[one.unit[0], one.unit[1] + 60]
    slow = []
    for _ in range(400):
        first = rng.permutation(120)[:60]
        inside = np.isin(unit, first)
        a, b = (np.bincount(values[mask], minlength=5) for mask in (inside, ~inside))
        slow.append(stability(a, b).value)
    assert found.threshold == pytest.approx(np.quantile(slow, 0.95), rel=0.15)
    p = np.mean([s >= found.value for s in slow])
    assert found.p_value == pytest.approx(p, abs=0.06)
    independent = stability(*(np.bincount(x, minlength=5) for x in one.values))
    assert found.threshold > 2 * independent.threshold  # six rows of a user are not six


def test_level_over_all_columns_of_clustered_rows():
    rng, false = np.random.default_rng(4), 0
    for seed in range(120):
        kinds = ("category", "number", "vector", "number")
        columns = [column(rng, kind, users=30, name=f"{i}") for i, kind in enumerate(kinds)]
        found = compared(columns, permutations=99, level=0.9, seed=seed)
        false += any(t.changed for t in found)
    assert 2 <= false <= 120 * 0.1 + 2.5 * (120 * 0.09) ** 0.5


@pytest.mark.parametrize("kind", ["category", "number", "vector"])
def test_a_change_is_seen_and_the_quiet_column_stays_quiet(kind):
    rng = np.random.default_rng(6)
    columns = [column(rng, kind, 200, shift=0.6, name="moved"), column(rng, kind, 200, name="calm")]
    moved, calm = compared(columns)
    assert moved.changed
    assert moved.p_value < 0.05
    assert not calm.changed


def test_a_column_without_rows_is_named():
    empty = Column("x", "number", (np.zeros(0), np.zeros(2)), (np.zeros(0, int), np.arange(2)))
    with pytest.raises(LogError, match="column x has 0 rows of the reference log"):
        compared([empty])
    with pytest.raises(LogError, match="give two or more"):
        stability([3], [4])
