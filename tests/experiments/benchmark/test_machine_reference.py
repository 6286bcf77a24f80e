"""The figures that make two records of a benchmark comparable."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

import experiments.__main__ as command
from experiments.benchmark.machine_reference import measure


def test_the_machine_reference_is_finite_and_positive() -> None:
    figures_measured = np.array(measure())
    assert np.isfinite(figures_measured).all()
    assert (figures_measured > 0).all()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Of a benchmark that fails or not."""

    status: int = 0


@pytest.mark.parametrize(("name", "measured"), [("benchmark env", True), ("check", False)])
def test_every_benchmark_ends_with_the_machine_reference(
    name: str, measured: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever it prints, the machine's speed is its last line; a failed one has none."""

    def run(settings: Settings) -> int:
        print("a figure")
        return settings.status

    module, real = SimpleNamespace(Settings=Settings, run=run), command.import_module
    wanted = command.COMMANDS[name].module
    monkeypatch.setattr(command, "import_module", lambda m: module if m == wanted else real(m))
    assert command.main(name.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    figures = [float(x) for x in re.findall(r"\d+\.\d+", lines[-1])]
    assert (len(figures) == 3 and min(figures) > 0) == measured
    assert lines[0] == "a figure"
    assert command.main([*name.split(), "--status", "3"]) == 3
    assert capsys.readouterr().out.splitlines() == ["a figure"]
