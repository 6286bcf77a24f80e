"""The search of settings: what a file may say, and that a stopped search ends as one that was not
stopped."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.sweeps import swept
from experiments.sweeps.search import Range, read_search

TUNE = """\
settings: {policy: linucb, rounds: 1, users: 16, sessions: 10, test_sessions: 9, tensorboard: no}
search:
  policy.alpha: {low: 0.01, high: 2.0, log: true}
  steps: [64, 128]
  warm_sessions: {low: 20, high: 40, step: 10}
seeds: [0, 1]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "tune.yaml"
    path.write_text(TUNE)
    return path


def test_a_file_says_what_is_searched(file: Path) -> None:
    search = read_search(file)
    assert search.space == {
        "policy.alpha": Range(0.01, 2.0, log=True), "steps": (64, 128),
        "warm_sessions": Range(20, 40, step=10),
    }  # fmt: skip
    assert (search.command, search.measure, search.seeds) == ("train-policy", "value", (0, 1))
    found = search.run_settings({"policy.alpha": 0.5, "steps": 64}, 1, "f")
    assert (found.set, found.steps, found.seed) == (("alpha=0.5",), 64, 1)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("search:", "serach:", "no 'serach' in a tuning .did you mean 'search'"),
        ("low: 0.01", "low: 3.0", "low 3.0 must be below high 2.0"),
        ("low: 0.01", "low: 0.0", "true needs low above 0"),
        ("low: 0.01", "low: few", "low is 'few'; it takes a finite number"),
        ("low: 0.01, ", "", "write a list of choices, or"),
        ("step: 10", "step: 0", "step is 0; it must be above 0"),
        ("[64, 128]", "[64, many]", "steps is 'many'; it takes int"),
        ("[64, 128]", "64", "steps is 64; write a list of choices"),
        ("[0, 1]", "2", "seeds is 2; write a list of whole numbers"),
        ("rounds: 1", "steps: 64", "steps is in settings and in search"),
        ("rounds: 1", "seed: 1", "name several with seeds"),
        ("seeds: [0, 1]", "measure: worth", "measure is 'worth'; there are value"),
        ("steps:", "stpes:", "no setting 'stpes' .did you mean 'steps'"),
    ],
)
def test_a_wrong_file_says_what_is_wrong(before: str, after: str, says: str, file: Path) -> None:
    file.write_text(TUNE.replace(before, after, 1))
    with pytest.raises(ValueError, match=says):
        read_search(file)


def test_without_the_extra_it_says_what_to_install(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert main(["tune", str(file), "--out", str(file.parent / "runs")]) == 2
    assert "pip install 'longplay[tune]'" in capsys.readouterr().err
    assert not (file.parent / "runs").exists()


def tuned(file: Path, out: Path, *more: str) -> int:
    sizes = ["--trials", "4", "--together", "2", "--executor", "serial"]
    return main(["tune", str(file), *sizes, "--out", str(out), *more])


def test_a_stopped_search_ends_as_one_that_was_not(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="the extra `tune` is not installed")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    assert tuned(file, whole) == 0
    calls, real = [], swept.run_in

    def stopped(command: str, settings: object, path: Path) -> list[swept.Row]:
        calls.append(path)
        if len(calls) == 3:  # the second trial's first seed
            raise KeyboardInterrupt
        return real(command, settings, path)

    with monkeypatch.context() as patch:
        patch.setattr(swept, "run_in", stopped)
        assert tuned(file, cut) == 130
    (folder,), (other,) = cut.iterdir(), whole.iterdir()
    assert json.loads((folder / "state.json").read_text()) == {"state": "stopped"}
    assert main(["tune", "--resume", str(folder)]) == 0
    for name in ("trials.csv", "best.yaml"):
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    lines = (folder / "trials.csv").read_text().splitlines()
    assert len(lines) == 5
    assert all(line.endswith(",complete") for line in lines[1:])


def test_a_trial_that_fails_is_told_and_the_others_count(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna", reason="the extra `tune` is not installed")
    real = swept.run_in

    def failing(command: str, settings: object, path: Path) -> list[swept.Row]:
        if path.name == "0001-seed=1":
            raise ValueError("this one does not")
        return real(command, settings, path)

    monkeypatch.setattr(swept, "run_in", failing)
    assert tuned(file, tmp_path / "runs", "--trials", "3") == 1
    (folder,) = (tmp_path / "runs").iterdir()
    states = [r.split(",")[-1] for r in (folder / "trials.csv").read_text().splitlines()[1:]]
    assert states == ["complete", "fail", "complete"]
    assert "this one does not" in capsys.readouterr().err
