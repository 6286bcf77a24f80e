"""A run goes on with what it began with: its folder knows the files that its settings name."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from experiments.common.run_folder import RunFolder, ended, open_run


@dataclass(frozen=True, kw_only=True)
class Settings:
    data: str = "ml-100k"
    columns: tuple[str, ...] = ()
    world: Path | None = None
    out: Path | None = None


@pytest.fixture(autouse=True)
def let_go() -> Iterator[None]:
    yield
    ended("done")


def begun(root: Path, settings: Settings) -> RunFolder:
    run = open_run(root / "runs", "some", settings, None)
    ended("stopped")
    return run


def test_a_run_does_not_go_on_with_a_file_that_changed(tmp_path: Path) -> None:
    plays = tmp_path / "plays.csv"
    plays.write_text("user,item\na,1\n")
    settings = Settings(data=str(plays))
    run = begun(tmp_path, settings)
    open_run(tmp_path, "some", settings, run.path)  # as it was
    ended("stopped")
    plays.write_text("user,item\na,2\n")
    with pytest.raises(ValueError, match=r"plays\.csv is not what it was when .* start a new run"):
        open_run(tmp_path, "some", settings, run.path)


@pytest.mark.parametrize("file", ["config.json", "arrays.npz", "manifest.json"])
def test_nor_with_a_folder_that_changed(tmp_path: Path, file: str) -> None:
    world = tmp_path / "world"
    world.mkdir()
    (world / file).write_text("1")
    settings = Settings(world=world)
    run = begun(tmp_path, settings)
    (world / "unrelated").write_text("")
    open_run(tmp_path, "some", settings, run.path)
    ended("stopped")
    (world / file).write_text("2")
    with pytest.raises(ValueError, match="world is not what it was"):
        open_run(tmp_path, "some", settings, run.path)


@pytest.mark.parametrize("text", ["{}", "mine={}", "other,encoder={},alpha=0.5"])
@pytest.mark.parametrize("inside", ["", "policy", "checkpoint"])
def test_nor_with_a_model_that_a_text_names(tmp_path: Path, text: str, inside: str) -> None:
    """Of its own folder, or of the run folder that it was learnt in."""
    model = tmp_path / "learnt" / inside
    model.mkdir(parents=True)
    (model / "config.json").write_text("1")
    settings = Settings(columns=("uniform", text.format(tmp_path / "learnt")))
    run = begun(tmp_path, settings)
    (model / "config.json").write_text("2")
    with pytest.raises(ValueError, match="learnt is not what it was"):
        open_run(tmp_path, "some", settings, run.path)


def test_texts_that_no_path_can_be(tmp_path: Path) -> None:
    run = begun(tmp_path, Settings(columns=("linucb,alpha=0.5," * 400, "a.\0b", "=,")))
    assert run.read_json("settings.json")["inputs"] == {}


def test_what_is_no_file_or_of_an_older_run_is_not_asked_for(tmp_path: Path) -> None:
    out = tmp_path / "out.md"
    out.write_text("a result")
    settings = Settings(columns=("item=track.id",), out=out)
    run = begun(tmp_path, settings)
    record = run.read_json("settings.json")
    assert record.pop("inputs") == {}
    run.write_json("settings.json", record)
    assert open_run(tmp_path, "some", settings, run.path).path == run.path
    assert "inputs" not in json.loads((run.path / "settings.json").read_text())
