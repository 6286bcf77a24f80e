"""The recorded runs: each names a command that there is, with options that it takes."""

from __future__ import annotations

import shlex
from importlib import import_module
from pathlib import Path

import pytest
import tyro

from experiments import acceptance
from experiments.__main__ import COMMANDS, split
from experiments.acceptance import RUNS, Run


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_recorded_run_is_a_command_with_its_options(run: Run) -> None:
    name, rest = split(shlex.split(run.command))
    assert name is not None, run.command
    tyro.cli(import_module(COMMANDS[name].module).Settings, args=rest)


def test_records_are_written_under_names_of_their_own() -> None:
    assert len({run.name for run in RUNS}) == len(RUNS)


def test_a_table_of_figures_is_kept_beside_its_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "run").mkdir()
    figures = tmp_path / "run" / "figures.csv"
    figures.write_text("# command\nname,measured\n")

    def main(_: list[str]) -> int:
        print("run folder: somewhere\n| a |\n|---|\n| 1 |")
        print(f"written: {figures}")
        return 0

    monkeypatch.setattr(acceptance, "main", main)
    monkeypatch.setattr(acceptance, "RESULTS", tmp_path)
    assert acceptance.record(Run("some", "benchmark some")) == 0
    assert (tmp_path / "some.csv").read_text() == figures.read_text()
    page = (tmp_path / "some.md").read_text()
    assert page == "`longplay benchmark some`\n\n| a |\n|---|\n| 1 |\n"
