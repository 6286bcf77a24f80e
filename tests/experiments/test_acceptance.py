"""The recorded runs: each names a command that there is, with options that it takes."""

from __future__ import annotations

import shlex
from importlib import import_module

import pytest
import tyro

from experiments.__main__ import COMMANDS, split
from experiments.acceptance import RUNS, Run


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_recorded_run_is_a_command_with_its_options(run: Run) -> None:
    name, rest = split(shlex.split(run.command))
    assert name is not None, run.command
    tyro.cli(import_module(COMMANDS[name].module).Settings, args=rest)


def test_records_are_written_under_names_of_their_own() -> None:
    assert len({run.name for run in RUNS}) == len(RUNS)
