"""Run folders: how a run ended, side by side, and what may be removed."""

from __future__ import annotations

import fcntl
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.common.run_folder import RunFolder, begin, ended, open_run


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Settings of a command that is none."""

    seed: int = 0
    agents: tuple[str, ...] = ("linucb",)
    workers: int = 2
    out: Path = Path("results")


def made(root: Path, name: str, asked: Asked, state: str | None, days: float = 0) -> Path:
    path = root / name
    path.mkdir(parents=True)
    begin(path, "study", asked)
    ended("stopped")
    record = json.loads((path / "settings.json").read_text())
    at = datetime.now(UTC) - timedelta(days=days)
    record["made"]["at"] = at.isoformat(timespec="seconds")
    (path / "settings.json").write_text(json.dumps(record))
    if state is not None:
        (path / "state.json").write_text(json.dumps({"state": state}))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    made(root, "first", Asked(), "done", days=40)
    made(root, "second", Asked(seed=3, workers=8), "failed", days=2)
    made(root, "third", Asked(agents=("ppo", "lints")), "stopped", days=1)
    (root / "notes").mkdir()
    (root / "notes" / "settings.json").write_text("{}")
    return root


def runs(*words: object) -> int:
    return main(["runs", *map(str, words)])


def test_the_list_says_what_when_and_how_it_ended(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Workers say how a run is done: they are no difference. The oldest stands first."""
    assert runs("list", root) == 0
    _, *lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["first", "second", "third"]
    assert [line.split()[4] for line in lines] == ["done", "failed", "stopped"]
    assert lines[2].endswith("seed=0 agents=ppo,lints")
    assert "workers" not in "".join(lines)
    assert runs("list", root, "--state", "failed") == 0
    assert "second" in (told := capsys.readouterr().out)
    assert "first" not in told


def test_a_run_that_a_process_works_in_is_running_and_stays(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (root / "third" / ".lock").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as another process would hold it
        assert runs("list", root, "--state", "running") == 0
        assert "third" in capsys.readouterr().out
        assert runs("prune", root / "third", "--yes") == 2
        assert "a process works in" in capsys.readouterr().err
        with pytest.raises(ValueError, match="another process works in"):
            open_run(root, "study", Asked(agents=("ppo", "lints")), root / "third")
    assert runs("list", root, "--state", "running") == 0
    assert "no run folder" in capsys.readouterr().out


def test_runs_are_set_side_by_side(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs("compare", root / "first", root / "second") == 0
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert told[0] == ["setting", "first", "second"]
    assert ["seed", "0", "3"] in told
    assert ["state", "done", "failed"] in told
    assert runs("compare", root / "first") == 2


def test_what_came_of_runs_stands_beside_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in (("a", 3.25), ("b", 4.5)):
        folder = made(tmp_path, name, Asked(), "done")
        record = json.loads((folder / "settings.json").read_text())
        record |= {"command": "train-policy", "settings": {"policy": "ppo", "users": name}}
        (folder / "settings.json").write_text(json.dumps(record))
        test = {"value": {"value": value}, "gain": {"value": 0.1}, "coverage": 0.5}
        RunFolder(folder).write_json("report.json", {"test": test})
    assert runs("compare", tmp_path / "a", tmp_path / "b") == 0
    told = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["ppo", "3.25", "4.5"] in told


def test_nothing_goes_without_yes(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert runs("prune", "--root", root, "--state", "failed", "stopped") == 0
    assert "2 run folders would be removed: give --yes" in capsys.readouterr().out
    assert sorted(p.name for p in root.iterdir()) == ["first", "notes", "second", "third"]
    assert runs("prune", "--root", root, "--older-than", "30d", "--yes") == 0
    assert sorted(p.name for p in root.iterdir()) == ["notes", "second", "third"]
    assert runs("prune", root / "second", "--yes") == 0
    assert sorted(p.name for p in root.iterdir()) == ["notes", "third"]


def test_what_is_no_run_folder_is_not_removed(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor is anything else, where one of several names is none."""
    for folder in (root, root / "notes", root / "nowhere"):
        assert runs("prune", root / "first", folder, "--yes") == 2
        assert "longplay runs: " in capsys.readouterr().err
    assert len(list(root.iterdir())) == 4


@pytest.mark.parametrize(
    "words",
    [["prune"], ["prune", "--root", "."], ["prune", "x", "--state", "done"], ["join", "x"]],
)
def test_a_wrong_choice_is_refused(words: list[str]) -> None:
    assert runs(*words) == 2


@pytest.mark.parametrize("folder", ["second", "third"])
def test_only_shards_of_one_run_are_joined(
    folder: str, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runs("join", root / "first", root / folder, "--out", root / "all") == 2
    assert "other settings" in capsys.readouterr().err
    assert not (root / "all").exists()


def test_files_that_contradict_are_not_joined(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = made(root, "fourth", Asked(), "done")
    for folder, value in ((root / "first", 1), (other, 2)):
        RunFolder(folder).write_json("stages/a.json", value)
    assert runs("join", root / "first", other, "--out", root / "all") == 2
    assert "are not the same" in capsys.readouterr().err
    RunFolder(other).write_json("stages/a.json", 1)
    RunFolder(other).write_json("stages/b.json", 2)
    assert runs("join", root / "first", other, "--out", root / "all") == 0
    (joined,) = (root / "all").iterdir()
    assert sorted(p.name for p in (joined / "stages").iterdir()) == ["a.json", "b.json"]


@pytest.mark.parametrize("nth", [0, 1])
def test_a_folder_that_a_process_works_in_is_not_joined(
    nth: int, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whichever of the folders it is."""
    folders = [root / "first", made(root, "fourth", Asked(), "done")]
    with (folders[nth] / ".lock").open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        assert runs("join", *folders, "--out", root / "all") == 2
    assert f"a process works in {folders[nth]}" in capsys.readouterr().err
    assert not (root / "all").exists()
