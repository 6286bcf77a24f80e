"""A file or folder appears whole or not at all; an old one is lost neither by error nor by kill."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from offpolicy.storage.atomic import atomic_file, atomic_folder, write_bytes, write_text


def contents(folder: Path) -> dict[str, str]:
    """Every file below a folder, by its path."""
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def test_a_file_is_replaced_and_its_folder_made(tmp_path: Path) -> None:
    write_text(tmp_path / "deep/it.txt", "one")
    write_bytes(tmp_path / "deep/it.txt", b"two")
    assert contents(tmp_path) == {"deep/it.txt": "two"}
    plain = tmp_path / "plain"
    plain.write_text("")
    assert (tmp_path / "deep/it.txt").stat().st_mode == plain.stat().st_mode  # the umask's


def test_an_error_leaves_the_old_file_and_folder(tmp_path: Path) -> None:
    write_text(tmp_path / "it.txt", "old")
    write_text(tmp_path / "it/a", "old")
    with pytest.raises(TypeError, match="refused"):
        _fill_and_fail(atomic_file(tmp_path / "it.txt"))
    with pytest.raises(TypeError, match="refused"):
        _fill_and_fail(atomic_folder(tmp_path / "it"))
    assert contents(tmp_path) == {"it.txt": "old", "it/a": "old"}


def _fill_and_fail(writing: AbstractContextManager[Path]) -> None:
    with writing as fresh:
        (fresh / "half" if fresh.is_dir() else fresh).write_text("half")
        raise TypeError("refused by the writer")


def test_a_folder_is_replaced_whole(tmp_path: Path) -> None:
    for name in ("a", "b"):
        with atomic_folder(tmp_path / "it") as folder:
            (folder / name).write_text(name)
    assert contents(tmp_path) == {"it/b": "b"}
    assert [p.name for p in tmp_path.iterdir()] == ["it"]


@pytest.mark.parametrize("renames", [0, 1])
def test_a_kill_loses_neither_the_old_folder_nor_the_new_one(tmp_path: Path, renames: int) -> None:
    """The process ends at once before its first, and before its second, rename of a folder."""
    write_text(tmp_path / "it/a", "old")
    code = (
        "import os, sys, pathlib\n"
        "from offpolicy.storage.atomic import atomic_folder\n"
        "rename, left = pathlib.Path.rename, [int(sys.argv[2])]\n"
        "def killed(self, target):\n"
        "    if not left[0]: os._exit(9)\n"
        "    left[0] -= 1\n"
        "    return rename(self, target)\n"
        "pathlib.Path.rename = killed\n"
        "with atomic_folder(sys.argv[1]) as folder:\n"
        "    (folder / 'a').write_text('new')\n"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path / "it"), str(renames)]
    assert subprocess.run(arguments, env=os.environ, check=False).returncode == 9
    assert sorted(contents(tmp_path).values()) == ["new", "old"]
    assert (tmp_path / "it").exists() == (renames == 0)
