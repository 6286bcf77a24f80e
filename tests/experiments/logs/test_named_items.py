"""Every command that reads a log takes items by name, and a saved policy's ids stay its own."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.logs.item_names import items_beside, open_named_log
from policies import build, save
from policies.observation import serving_of_log
from tests.experiments.logs.factories import COLUMNS, SONGS, foreign

ORDER = sorted(SONGS, reverse=True)  # of a catalogue that is not sorted by name


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return foreign(tmp_path / "visits.csv", seed=7)


def saved(folder: Path, log: Path, order: list[str]) -> Path:
    """A policy that has learnt which song pays, its catalogue in this order, beside its names."""
    folder.mkdir()
    (folder / "items.txt").write_text("\n".join(order) + "\n", encoding="utf-8")
    named = open_named_log(log, COLUMNS, None, items=str(folder / "items.txt"))
    sizes = serving_of_log(named, response_names=("minutes",))
    policy = build("top_rated", sizes, response="minutes", temperature=4.0)
    policy.update(named)
    save(policy, folder / "policy")
    return folder / "policy"


def test_items_of_a_table_may_be_names_in_every_command(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ("--columns", *COLUMNS)
    assert main(["check", str(log), *columns]) == 0
    assert "slates of 2 of 6 items" in capsys.readouterr().out
    gate = ["gate", str(log), "--target", "uniform", "--horizon", "per_decision", *columns]
    assert main(gate) == 3
    redraw = ["which-estimator", str(log), "--rows", "300", "--redraws", "3", *columns]
    assert main(redraw) == 0


def test_ids_of_a_saved_policy_are_those_of_the_names_beside_it(log: Path, tmp_path: Path) -> None:
    uplift = {}
    for name, order in (("sorted", sorted(SONGS)), ("reversed", ORDER)):
        policy = saved(tmp_path / name, log, order)
        out = tmp_path / f"{name}.json"
        told = ("--horizon", "per_decision", "--columns", *COLUMNS)
        gate = ["gate", str(log), "--target", str(policy), "--out", str(out), *told]
        assert main(gate) == 0
        uplift[name] = json.loads(out.read_text())["candidates"][0]["uplift"]["value"]
        run = tmp_path / f"{name}-evaluate"
        evaluate = ["evaluate", str(log), "--target-scores", str(policy), "--out", str(run)]
        assert main([*evaluate, *told]) == 0
        plan = ["plan", str(log), "--target", str(policy), "--out", str(out), *told]
        assert main(plan) == 0
        uplift[name + " plan"] = json.loads(out.read_text())["steps"][0]["uplift"]["value"]
        check = ["check", str(log), "--target-scores", str(policy), "--columns", *COLUMNS]
        assert main(check) == 0
    np.testing.assert_allclose(uplift["sorted"], uplift["reversed"], rtol=0.05)
    np.testing.assert_allclose(uplift["sorted plan"], uplift["reversed plan"], rtol=1e-9)


def test_policies_of_two_catalogues_are_not_judged_by_one(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    both = [str(saved(tmp_path / "a", log, sorted(SONGS))), str(saved(tmp_path / "b", log, ORDER))]
    horizon = ("--horizon", "per_decision", "--columns", *COLUMNS)
    assert main(["gate", str(log), "--target", *both, *horizon]) == 2
    assert "differ, so that ids of these policies mean other items" in capsys.readouterr().err
    assert items_beside(both, "log") == "log"
    assert items_beside(["uniform", None], None) is None


def test_several_items_in_one_cell_are_a_list(
    log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = log.read_text(encoding="utf-8").splitlines()
    pools = ["pool", *("|".join(SONGS) for _ in lines[1:])]
    both = [f"{line},{pool}" for line, pool in zip(lines, pools, strict=True)]
    (tmp_path / "pool.csv").write_text("\n".join(both), encoding="utf-8")
    columns = ("--columns", *COLUMNS, "candidates=pool")
    assert main(["check", str(tmp_path / "pool.csv"), *columns]) == 0
    assert "candidates" in capsys.readouterr().out.splitlines()[0]
    pooled = open_named_log(tmp_path / "pool.csv", (*COLUMNS, "candidates=pool"), None)
    assert pooled.candidates is not None
    assert pooled.names_of("item", pooled.candidates[0]) == SONGS


def test_a_catalogue_smaller_than_its_names_is_refused(
    log: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(log), "--n-items", "5", "--columns", *COLUMNS]) == 2
    assert "--n-items 5: the log names 6 items" in capsys.readouterr().err
