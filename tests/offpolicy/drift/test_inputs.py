"""Inputs: indexes worked by hand, slow twins, thresholds that know n, levels with clusters."""

import numpy as np
import pytest
from scipy import stats

from offpolicy.drift.inputs import Column, compared
from offpolicy.drift.stability import stability_index
from offpolicy.errors import LogError


def index(*samples):
    return float(stability_index(*(np.bincount(x, minlength=5).astype(float) for x in samples)))


def threshold_of(n, m, classes):
    """Of independent rows: (1 / n + 1 / m) times a chi-square quantile (Yurdakul, 2018)."""
    return (1 / n + 1 / m) * stats.chi2.ppf(0.95, classes - 1)


def test_an_index_by_hand():
    """With half a row more: p = .5, .5 and q = 25.5 / 101, 75.5 / 101, so that the index is
    -.247525 log .50495 + .247525 log 1.49505."""
    found = stability_index(np.array([50.0, 50.0]), np.array([25.0, 75.0]))
    assert found == pytest.approx(0.16913 + 0.09954, abs=1e-4)


@pytest.mark.parametrize("users", [50, 1_000])
def test_a_threshold_knows_n(users):
    """A row a user: the usual .1 and .25 are chance among 50 rows, and a change among 1,000."""
    rng, unit = np.random.default_rng(0), np.arange(users)
    values = rng.integers(0, 5, users), rng.integers(0, 5, users)
    (found,) = compared([Column("x", "category", values, (unit, unit))], permutations=999)
    assert found.threshold == pytest.approx(threshold_of(users, users, 5), rel=0.15)
    assert (found.threshold > 0.25) == (users == 50)


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
    assert found[0].value == pytest.approx(index(*category.values), rel=1e-4)
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
        slow.append(index(values[inside], values[~inside]))
    assert found.threshold == pytest.approx(np.quantile(slow, 0.95), rel=0.15)
    p = np.mean([s >= found.value for s in slow])
    assert found.p_value == pytest.approx(p, abs=0.06)
    assert found.threshold > 2 * threshold_of(360, 360, 5)  # six rows of a user are not six


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
