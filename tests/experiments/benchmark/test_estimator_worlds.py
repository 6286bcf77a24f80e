"""The table of estimators over worlds: values that are those of the worlds, ratios by hand."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.benchmark.estimators.command import (
    Score,
    Settings,
    chosen,
    compared,
    report,
    run,
    world_scores,
)
from experiments.benchmark.estimators.worlds import WORLDS, bandit, linear


@pytest.mark.parametrize("name", ["linear", "rare rewards", "slates of 3 of 15", "sessions of 3"])
def test_a_worlds_values_are_what_its_logs_earn(name: str) -> None:
    """The mean reward of a log is the logging policy's value; weighted, it is the target's."""
    world = WORLDS[name](3)
    earned, weighted = [], []
    for k in range(12):
        log, scores = world.draw(np.random.default_rng(k))
        paid = np.bincount(log.sessions, log.reward)
        ratio = np.ones(log.n_sessions)
        np.multiply.at(ratio, log.sessions, scores.propensity / log.propensity)
        earned.append(paid.mean())
        weighted.append((ratio * paid).mean())
    for found, truth in ((earned, world.logged), (weighted, world.truth)):
        error = np.std(found, ddof=1) / np.sqrt(len(found))
        assert abs(np.mean(found) - truth) < 4.5 * error + 0.005 * abs(truth)


def test_errors_are_over_the_least_one_of_each_world() -> None:
    scores = {
        "a": {"dm": Score(0.4, 0.2, 0.5), "dr": Score(0.1, 0.1, 0.95)},
        "b": {"dm": Score(0.1, 0.1, 0.9), "dr": Score(0.1, 0.3, 0.93)},
    }
    lines = report(scores).splitlines()
    assert lines[1].split() == ["dr", "1.00", "1.00", "100%", "1.73", "3.00", "100%"]
    assert lines[2].split() == ["dm", "2.00", "4.00", "50%", "1.41", "2.00", "0%"]


def test_every_estimator_that_a_log_suffices_for_is_in_the_table() -> None:
    assert {"ips", "cr", "dr", "sndr", "dros"} <= set(compared("one_step"))
    assert "mips" not in compared("one_step")
    world = bandit("small", 300, linear(0, 3, 0.0))
    scores = world_scores(world, ["ips", "dr"], 5, 0)
    assert scores["dr"].error > 0
    assert 0 <= scores["dr"].coverage <= 1
    line = chosen(world, scores, 1, 0)
    error = scores[line["choices"]].error / min(s.error for s in scores.values())
    assert line["median error / least"] == line["worst"] == f"{error:.2f}"


def test_an_unknown_world_is_refused() -> None:
    with pytest.raises(ValueError, match="no world begins with moon; there are linear"):
        run(Settings(worlds=("moon",)))
