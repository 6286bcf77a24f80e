"""Published figures, and the judge examined at a size that a test can afford."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from experiments.published import (
    digits as published_digits,
)
from experiments.published import (
    judge_figures,
)
from experiments.published import (
    mips as published_mips,
)
from experiments.published import (
    open_bandit as published_open_bandit,
)

DATA = Path(os.environ.get("LONGPLAY_DATA", "nowhere"))


def test_five_arm_intervals_cover_at_their_level_and_are_narrow() -> None:
    found = {c.estimator: c for c in judge_figures.five_arms(400)}
    assert 0.91 <= found["snips"].coverage <= 0.98
    assert found["snips"].width <= 0.09
    assert found["ips, Bernstein"].coverage == 1


@pytest.mark.slow
def test_coverage_with_dependent_rows_and_under_peeking() -> None:
    for c in judge_figures.dependent_rows(1000):
        assert 0.93 <= c.coverage <= 0.97
    alarms, naive = judge_figures.peeking(400)
    assert alarms <= 0.05
    assert naive > 0.25


@pytest.mark.slow
def test_the_gate_passes_what_is_better_and_seldom_what_is_not() -> None:
    better, worse = judge_figures.gate_power(1.03, 30), judge_figures.gate_power(0.97, 20)
    assert better["pass"] >= 0.55
    assert better["fail"] <= 0.05
    assert worse["pass"] == 0


@pytest.mark.slow
def test_mips_beats_ips_as_actions_grow() -> None:
    """With ten actions the weights of IPS are wild enough for 20 seeds to mislead."""
    for n_actions, times in ((10, 8), (100, 80)):
        ips, mips = published_mips.squared_errors(n_actions, 60).mean(0)
        assert mips < ips / times


def test_expected_errors_are_those_of_many_logs() -> None:
    """Sums over actions and embeddings against drawn logs, of MIPS, whose weights allow it."""
    w, seed = published_mips.make_world(10, 3), 3
    rng = np.random.default_rng(0)
    found = [published_mips.one_log(w, rng)[1] for _ in range(40)]
    _, expected = published_mips.expected_errors(10, seed, contexts=4000)
    assert np.var(found, ddof=1) == pytest.approx(expected, rel=0.75)  # chi-square of 39: +- 23 %


@pytest.mark.slow
def test_digits_errors_are_near_the_published() -> None:
    found = published_digits.relative_errors(6)
    assert found["dm"].mean() == pytest.approx(published_digits.PRINTED["dm"], abs=0.02)
    for name in ("ips", "snips", "dr", "sndr", "dros"):
        assert found[name].mean() < 0.05


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "open-bandit").is_dir(), reason="LONGPLAY_DATA has no open-bandit")
def test_open_bandit_errors_are_near_the_published() -> None:
    found = published_open_bandit.relative_errors(DATA, samples=4)
    assert set(found) == set(published_open_bandit.PRINTED)
    assert np.mean(list(found.values())) < 0.5
