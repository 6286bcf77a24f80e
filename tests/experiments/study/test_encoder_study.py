"""The encoder study: pairs of cells, its tables, and a run at small size."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from experiments.common.workers import JobsError
from experiments.study import cells as study_cells
from experiments.study.cells import agent, check, compute, make, seed_of, without_repeats
from experiments.study.command import run
from experiments.study.settings import Cell, Settings, cells
from experiments.study.tables import tables
from policies import build, collect, observation_of


def settings(**changes: object) -> Settings:
    few = {"worlds": ("Longplay",), "encoders": ("none", "markov"), "agents": ("linucb",)}
    return Settings(**few | {"seeds": 3} | changes)  # type: ignore[arg-type]


def test_cells_of_a_world_and_seed_meet_the_same_users() -> None:
    every = cells(settings())
    assert len(every) == 6
    assert seed_of(every[0], "test") == seed_of(every[1], "test")  # another encoder
    assert seed_of(every[0], "test") != seed_of(every[2], "test")  # another seed
    assert seed_of(every[0], "test") != seed_of(every[0], "learn")


def test_cells_that_mean_nothing_are_left_out() -> None:
    s = settings(
        encoders=("none", "markov", "end to end"), agents=("greedy_encoder", "ppo"), seeds=2
    )
    pairs = {(cell.encoder, cell.agent) for cell in cells(s)}
    assert pairs == {
        ("markov", "greedy_encoder"),
        ("none", "ppo"),
        ("markov", "ppo"),
        ("end to end", "ppo"),
    }


def test_tables_hold_the_paired_gain_and_the_chance_to_beat_no_encoder() -> None:
    s = settings()
    luck = np.random.default_rng(0).normal(10, 3, size=(3, 200))  # shared by both cells of a seed
    results = {
        Cell("Longplay", encoder, "linucb", seed): {
            "returns": (luck[seed] + (0.5 if encoder == "markov" else 0.0)).tolist(),
            "coverage": 0.25,
            "no_repeat": {"returns": (luck[seed] - 2.0).tolist(), "coverage": 0.75},
        }
        for encoder in s.encoders
        for seed in range(3)
    }
    text = tables(s, results)
    assert "(+0.50 [+0.50, +0.50])" in text  # the shared luck cancels
    assert text.count("| Longplay: linucb over markov, less | paired difference |") == 1
    assert "| linucb over none | +0.50 [+0.50, +0.50] |" in text
    mean, half = luck.mean(), 4.3027 * luck.mean(axis=1).std(ddof=1) / 3**0.5  # t(2), 97.5 %
    assert f"| linucb | {mean:.2f} ± {half:.2f} |" in text
    strict = (
        f"| linucb over none | {mean - 2:.2f} ± {half:.2f} | -2.00 [-2.00, -2.00] | 25% -> 75% |"
    )
    assert strict in text
    row = next(x for x in text.splitlines() if x.startswith("| markov, linucb"))
    wins = (luck.mean(axis=1)[:, None] + 0.5 > luck.mean(axis=1)[None]).mean()
    assert f"{wins:.0%}" in row
    assert row.endswith("25% |")


def test_the_best_over_a_supervised_encoder_has_its_own_table() -> None:
    s = settings(encoders=("none", "markov"), agents=("linucb", "ppo"), seeds=2)
    means = {("none", "ppo"): 9.0, ("markov", "linucb"): 4.0, ("markov", "ppo"): 7.0}
    results = {
        cell: {
            "returns": [means.get((cell.encoder, cell.agent), 1.0)] * 5,
            "coverage": 0.5,
            "no_repeat": {"returns": [0.0] * 5, "coverage": 0.5},
        }
        for cell in cells(s)
    }
    first, second = tables(s, results).split("Longplay: ppo over ")[1:3]
    assert first.startswith("none, less")
    assert "| ppo over markov | +2.00" in first
    assert second.startswith("markov, less")
    assert "| ppo over none | -2.00" in second
    assert "| linucb over markov | +3.00" in second


SMALL = {"seeds": 2, "steps": 400, "warm_sessions": 40, "sessions": 20, "users": 20}


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study that one process computed."""
    out = tmp_path_factory.mktemp("alone")
    assert run(settings(**SMALL, workers=1, out=out)) == 0
    (folder,) = out.iterdir()
    return folder


def test_a_study_runs_and_is_not_done_twice(
    alone: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = shutil.copytree(alone, tmp_path / "copy")
    first = (folder / "tables.md").read_text()
    stages = sorted((folder / "stages").iterdir())
    assert len(stages) == 4
    written = [stage.stat().st_mtime_ns for stage in stages]
    assert run(settings(**SMALL, workers=1, out=tmp_path, resume=folder)) == 0
    assert [stage.stat().st_mtime_ns for stage in stages] == written
    assert (folder / "tables.md").read_text() == first
    assert "Longplay" in capsys.readouterr().out


def test_a_cell_that_dies_loses_nothing_of_its_column_and_no_other_column(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    s = settings(**SMALL, agents=("linucb", "greedy_reward"), workers=1, out=tmp_path)
    whole = study_cells.compute

    def dies(settings: Settings, cell: Cell) -> dict[str, Any]:
        if cell.agent == "greedy_reward":
            raise RuntimeError("killed")
        return whole(settings, cell)

    monkeypatch.setattr(study_cells, "compute", dies)
    with pytest.raises(JobsError, match="4 of 4 jobs failed, the first with: killed"):
        run(s)
    folder = next(tmp_path.iterdir())
    stages = [*(folder / "stages").iterdir()]
    assert len(stages) == 4
    assert all("linucb" in stage.stem for stage in stages)
    kept = stages[0]
    monkeypatch.setattr(study_cells, "compute", whole)
    written = kept.stat().st_mtime_ns
    assert run(replace(s, resume=folder)) == 0
    assert kept.stat().st_mtime_ns == written
    assert len(list((folder / "stages").iterdir())) == 8


def test_two_processes_compute_what_one_does(alone: Path, tmp_path: Path) -> None:
    assert run(settings(**SMALL, workers=2, out=tmp_path)) == 0
    (folder,) = tmp_path.iterdir()
    assert (folder / "tables.md").read_text() == (alone / "tables.md").read_text()


def test_encoders_and_agents_learn_from_other_users() -> None:
    s = settings(**SMALL)
    cell = Cell("Longplay", "", "", 0)
    warm, learn = (study_cells.uniform_log(s, cell, purpose) for purpose in ("warm", "learn"))
    assert warm.n_sessions == 40
    assert len(learn) == 400
    n = min(len(warm), len(learn))
    assert not np.array_equal(warm.slate[:n], learn.slate[:n])


def test_without_repeats_nothing_is_shown_that_a_history_holds() -> None:
    sizes = {"n_items": 30, "slate_size": 2, "n_candidates": 12, "history_length": 5}
    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=20, **sizes)
    policy = build("uniform", env)
    for one, repeats in ((policy, True), (without_repeats(policy), False)):
        log = collect(env, one, n_steps=12, seed=0)
        past, _ = log.histories(5)
        assert (past[:, :, None] == log.slate[:, None, :]).any() == repeats
    few = sizes | {"n_items": 6, "n_candidates": 4}  # a history of 5 may hold all 4 candidates
    env = gymnasium.make_vec("recsim_env/Longplay-v0", num_envs=20, **few)
    log = collect(env, without_repeats(build("uniform", env)), n_steps=12, seed=0)
    assert (log.slate >= 0).all()
    past, _ = log.histories(5)
    again = (past[:, :, None] == log.slate[:, None, :]).any(axis=1)
    fresh = (log.candidates[:, :, None] != past[:, None, :]).all(axis=2) & (log.candidates >= 0)
    assert (again.sum(axis=1) == np.maximum(2 - fresh.sum(axis=1), 0)).all()
    assert again.any()


@pytest.mark.parametrize("world", ["Boredom", "InterestExploration"])
def test_sessions_end_where_their_world_ends_them(world: str) -> None:
    s = settings(
        worlds=(world,), seeds=2, steps=200, warm_sessions=20, sessions=20, users=20
    )  # nobody leaves these worlds: without their own end a cell would never be done
    assert make(s, world, 1).max_steps == 100
    assert make(settings(worlds=(world,), max_steps=7), world, 1).max_steps == 7
    result = compute(s, cells(s)[0])
    assert len(result["returns"]) == len(result["no_repeat"]["returns"]) == 20


def test_slateq_looks_twice_at_every_decision() -> None:
    s = settings(agents=("slateq",))
    env = make(s, "Longplay", 30)
    warm = collect(env, build("uniform", env), n_sessions=20, seed=0)
    made: Any = agent(env, Cell("Longplay", "none", "slateq", 2), None, warm, 300)
    assert (made.config.batch_size, made.config.seed) == (60, 2)


def test_an_agent_over_a_planner_starts_as_it() -> None:
    s = settings(agents=("ppo over one_step",))
    check(s)
    assert cells(s)[0].stage == "Longplay-none-ppo-over-one_step-0"
    env = make(s, "Longplay", 30)
    warm = collect(env, build("uniform", env), n_sessions=60, seed=0)
    made = agent(env, cells(s)[0], None, warm, 300)
    planner = build("one_step", env)
    planner.update(warm)
    obs = observation_of(env.reset(seed=1)[0])
    start, best = made.distribution(obs), planner.distribution(obs)
    np.testing.assert_array_equal(start.ranking(3), best.ranking(3))
    assert start.first_place().max(axis=1).min() == 1, "a greedy planner until it learns"


@pytest.mark.parametrize("name", ["linucb over one_step", "ppo over one_step over ppo"])
def test_only_agents_that_take_a_prior_stand_over_one(name: str) -> None:
    with pytest.raises(ValueError, match="cannot start as"):
        check(settings(agents=(name,)))


def test_unknown_names_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match="no agent magic"):
        check(settings(agents=("ppo over magic",)))
    with pytest.raises(ValueError, match="no encoder magic"):
        check(settings(encoders=("magic",)))
    with pytest.raises(ValueError, match="Nowhere-v0 cannot be made"):
        check(settings(worlds=("Nowhere",)))
    with pytest.raises(ValueError, match="at least 2 seeds"):
        settings(seeds=1)
