"""Targets of agents: the rule they are held against, a row's line, and a run at small size."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest

import recsim_env  # noqa: F401
from experiments.benchmark import agents
from experiments.benchmark.agent_learning import nearest
from experiments.benchmark.agent_targets import TARGETS, name_of
from experiments.benchmark.agents import Settings, line, run
from policies import act, observation_of, serving_of


def test_the_fixed_level_takes_the_nearest_candidate() -> None:
    env = gymnasium.make_vec("recsim_env/LongTermSatisfaction-v0", num_envs=50)
    seen = observation_of(env.reset(seed=1)[0])
    serving = serving_of(env)
    shown = act(nearest(serving, 0.39), seen, np.random.default_rng(0)).slate[:, 0]
    assert seen.candidates is not None
    distance = np.abs(serving.item_features[seen.candidates, 0] - 0.39)
    taken = np.abs(serving.item_features[shown, 0] - 0.39)
    np.testing.assert_allclose(taken, distance.min(axis=1))


def test_a_row_says_reached_only_where_the_mean_and_every_seed_reach() -> None:
    target = TARGETS[0]  # goal 275, every seed 265

    def said(*values: float) -> str:
        seeds = [{"value": v, "low": v - 1, "high": v + 1, "cpu_seconds": 10.0} for v in values]
        return line(target, seeds)

    assert "reached" in said(280.0, 276.0, 270.0)
    assert "missed" in said(280.0, 270.0, 270.0)  # the mean
    assert "missed" in said(290.0, 290.0, 264.0)  # a seed


def test_every_world_has_its_rivals_and_they_have_no_goal() -> None:
    rivals = [t for t in TARGETS if t.goal is None]
    assert {t.world.name for t in rivals} == {t.world.name for t in TARGETS}
    seeds = [{"value": 9.0, "low": 8.0, "high": 10.0, "cpu_seconds": 1.0}]
    for rival in rivals:
        said = line(rival, seeds)
        assert "rival" in said
        assert "reached" not in said
        assert "missed" not in said


def test_names_of_rows_are_unique_and_unknown_ones_refused() -> None:
    names = [name_of(t) for t in TARGETS]
    assert len(set(names)) == len(names)
    with pytest.raises(ValueError, match="no row nobody"):
        Settings(only=("nobody",))


def test_a_row_runs_and_a_resumed_one_is_not_learnt_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    target = next(t for t in TARGETS if t.against)
    small = replace(target, steps=512, rounds=1, users=16, against=(0.3, 0.6))
    monkeypatch.setattr(agents, "TARGETS", (small,))
    settings = {"seeds": 1, "sessions": 20, "test_sessions": 20, "workers": 1}
    assert run(Settings(**settings, out=tmp_path)) == 0  # type: ignore[arg-type]
    folder = next(tmp_path.iterdir())
    table = (folder / "table.txt").read_text()
    assert "LongTermSatisfaction" in table
    monkeypatch.setattr(agents, "learn", None)
    assert run(Settings(**settings, out=tmp_path, resume=folder)) == 0  # type: ignore[arg-type]
    assert (folder / "table.txt").read_text() == table
