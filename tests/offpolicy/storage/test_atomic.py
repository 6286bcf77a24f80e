"""A file or folder appears whole or not at all; an old one is lost neither by error nor by kill."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from offpolicy.storage import claims
from offpolicy.storage.atomic import atomic_file, atomic_folder, write_bytes, write_text
from offpolicy.storage.claims import standing
from tests.offpolicy.storage.kills import killed_at_every_step


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


ACT = """
from offpolicy.storage.atomic import atomic_folder
def act(path):
    with atomic_folder(path) as folder:
        (folder / "a").write_text("new")
"""
NO_EXCHANGE = "claims._renameat2 = lambda: None"


@pytest.mark.parametrize("system", ["", NO_EXCHANGE])
def test_a_kill_at_any_step_loses_neither_folder_and_the_next_writer_tidies_up(
    tmp_path: Path, system: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_text(tmp_path / "before/it/a", "old")
    killed = killed_at_every_step(tmp_path, ACT + system)
    monkeypatch.setattr(claims, "JUST", 0.0)
    assert [(standing(p) / "a").read_text() for p in killed[:2]] == ["old", "old"]
    assert (standing(killed[-1]) / "a").read_text() == "new"
    assert any(not p.exists() for p in killed) == bool(system)  # in one step where there is one
    for where in killed:
        assert (standing(where) / "a").read_text() in ("old", "new")
        with atomic_folder(where) as folder:
            (folder / "a").write_text("later")
        assert contents(where.parent) == {"it/a": "later"}
        assert [p.name for p in where.parent.iterdir()] == ["it"]


def test_what_a_living_writer_writes_is_not_swept(tmp_path: Path) -> None:
    with atomic_folder(tmp_path / "it") as first:
        (first / "a").write_text("first")
        with atomic_folder(tmp_path / "it") as second:
            (second / "a").write_text("second")
        assert contents(tmp_path / "it") == {"a": "second"}
        assert contents(first) == {"a": "first"}
    assert contents(tmp_path) == {"it/a": "first"}
    with atomic_file(tmp_path / "f") as one, atomic_file(tmp_path / "f") as two:
        one.write_text("one")
        two.write_text("two")
    assert (tmp_path / "f").read_text() == "one"


def test_links_are_followed_and_other_names_left_alone(tmp_path: Path) -> None:
    write_text(tmp_path / "real/it/a", "old")
    (tmp_path / "link").symlink_to(tmp_path / "real/it")
    (tmp_path / ".link.notes").write_text("mine")
    with atomic_folder(tmp_path / "link") as folder:
        (folder / "b").write_text("new")
    assert contents(tmp_path / "real") == {"it/b": "new"}
    assert (tmp_path / "link").is_symlink()
    (tmp_path / "file").symlink_to(tmp_path / "real/it/b")
    write_text(tmp_path / "file", "newer")
    assert contents(tmp_path / "real") == {"it/b": "newer"}
    assert (tmp_path / ".link.notes").read_text() == "mine"
