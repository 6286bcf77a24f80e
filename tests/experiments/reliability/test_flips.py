"""Damaged folders are refused or equal; a worker that dies or hangs is told and started again."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from experiments.__main__ import main
from experiments.reliability.flips import asking
from experiments.reliability.flips.asking import worker
from experiments.reliability.flips.damage import COLUMNS, DELETED, FLIPPED, cases, damage
from experiments.reliability.flips.kinds import KINDS, Kind
from experiments.reliability.flips.table import broken, page
from experiments.reliability.flips.worker import EQUAL, FOREIGN, OTHER, REFUSED, outcome


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    folder, other = tmp_path / "folder", tmp_path / "other"
    for one, what in ((folder, b"one"), (other, b"two")):
        one.mkdir()
        (one / "a").write_bytes(what)
        (one / "b").write_bytes(b"both")
    return folder, other


def test_a_flip_changes_one_bit_of_one_file_and_is_the_same_for_a_seed(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    def flipped(seed: int) -> bytes:
        damage(FLIPPED, 0, *folders, tmp_path / "to", np.random.default_rng(seed))
        return b"".join((tmp_path / "to" / name).read_bytes() for name in "ab")

    pairs = zip(flipped(3), b"oneboth", strict=True)
    assert sum((a ^ b).bit_count() for a, b in pairs) == 1
    assert flipped(3) == flipped(3)
    assert len({flipped(seed) for seed in range(20)}) > 5
    assert (folders[0] / "a").read_bytes() == b"one"


def test_every_file_is_deleted_and_exchanged_once(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    said = {
        damage(column, nth, *folders, tmp_path / "to", np.random.default_rng(0))
        for column in COLUMNS[3:]
        for nth in range(cases(column, *folders, 100))
    }
    assert said == {
        "a deleted", "b deleted", "a and b exchanged", "a of another folder"
    }  # fmt: skip
    assert [cases(c, *folders, 100) for c in COLUMNS] == [100, 5, 5, 2, 2]


def test_what_becomes_of_a_damage_is_told_apart(tmp_path: Path) -> None:
    def read(folder: Path) -> str:
        return str(json.loads((folder / "it").read_text())["value"])

    def checked(folder: Path) -> str:
        try:
            return read(folder)
        except ValueError as error:
            raise ValueError(f"{folder} is damaged") from error

    for content, reader, expected in (
        ('{"value": 1}', read, EQUAL), ('{"value": 2}', read, OTHER), ("{}", read, FOREIGN),
        ("{", read, FOREIGN), ("{", checked, REFUSED),
    ):  # fmt: skip
        (tmp_path / "it").write_text(content)
        assert outcome(Kind(lambda *_: None, reader, ""), tmp_path, "1")[0] == expected
    lone = Kind(lambda *_: None, read, "", ("it",))
    assert lone.judged(OTHER, DELETED, "it deleted") == "whole"
    assert lone.judged(OTHER, DELETED, "that deleted") == OTHER
    assert lone.judged(OTHER, FLIPPED, "it: bit 1 of byte 2") == OTHER


def test_a_worker_that_dies_or_hangs_is_told_and_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "worker.py").write_text(
        "import json, os, signal, sys, time\n"
        "print(json.dumps(['ready', '', '']), flush=True)\n"
        "for line in sys.stdin:\n"
        "    what = json.loads(line)[0]\n"
        "    if what == 'die': os.kill(os.getpid(), signal.SIGSEGV)\n"
        "    if what == 'hang': time.sleep(60)\n"
        "    print(json.dumps(['equal', what, '']), flush=True)\n"
    )
    monkeypatch.setattr(asking, "EACH", 2.0)
    with worker("world", tmp_path, tmp_path, tmp_path, 0) as one:
        one._command = [one._command[0], str(tmp_path / "worker.py")]
        answers = [one.ask(what, 0) for what in ("fine", "die", "fine", "hang", "fine")]
    assert [a.outcome for a in answers] == ["equal", "crash", "equal", "hang", "equal"]
    assert "SIGSEGV" in answers[1].said


@pytest.mark.parametrize("kind", [name for name in KINDS if "agent" not in name])
def test_contents_are_those_of_the_folder(kind: str, tmp_path: Path) -> None:
    for seed in (0, 1):
        KINDS[kind].make(tmp_path / str(seed), seed)
    contents = [KINDS[kind].contents(tmp_path / str(seed)) for seed in (0, 0, 1)]
    assert contents[0] == contents[1] != contents[2]


def test_the_command_holds_the_promise_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = [
        "benchmark",
        "flips",
        "--flips",
        "60",
        "--kinds",
        "log",
        "registry",
        "events",
        "--workers",
        "1",
        "--out",
    ]
    assert main([*options, str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "\n0 of " in out
    (folder,) = tmp_path.iterdir()
    written = (folder / "flips.md").read_bytes()
    assert main([*options, str(tmp_path), "--resume", str(folder)]) == 0
    assert (folder / "flips.md").read_bytes() == written
    assert main(["benchmark", "flips", "--kinds", "nothing"]) == 2


def test_a_broken_promise_is_counted_and_shown() -> None:
    columns = {FLIPPED: {REFUSED: 3, OTHER: 2}, DELETED: {REFUSED: 1}}
    records = {"log": {"digests": "none", "columns": columns, "broken": [[OTHER, "a: bit", ""]]}}
    assert broken(records) == 2
    assert "2 of 6 damages broke the promise" in page(records)
    assert "* log: other: a: bit" in page(records)
