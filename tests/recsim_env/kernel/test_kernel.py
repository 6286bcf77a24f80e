"""Compiled code is never stale: an edit of anything that a model's functions reach renames it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from recsim_env import RecVectorEnv
from recsim_env.kernel import kernel
from recsim_env.model import load_model
from recsim_env.oracles.oracle import appraise
from recsim_env.users.interest_exploration import MODEL

FILES = {
    "users.py": """
        import dataclasses

        from edited import helpers
        from edited.helpers import doubled
        from edited.constants import BONUS
        from recsim_env.jit import njit
        from recsim_env.users import interest_exploration

        @njit
        def score(user, world, item):
            return doubled(user.affinity[0]) + helpers.halved(1.0) + BONUS

        MODEL = dataclasses.replace(
            interest_exploration.MODEL, score=score, choice="independent"
        )
    """,
    "helpers.py": """
        from recsim_env.jit import njit
        from edited.far import added

        @njit
        def doubled(x):
            return added(x, x)

        @njit
        def halved(x):
            return x / 2
    """,
    "far.py": """
        from recsim_env.jit import njit

        @njit
        def added(a, b):
            return a + b
    """,
    "constants.py": """
        BONUS = 1.0
        OTHER = 1.0
    """,
    "stranger.py": """
        x = 1
    """,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package `edited` with a user model and what it calls."""
    package = tmp_path / "edited"
    package.mkdir()
    for name, source in FILES.items():
        (package / name).write_text(source.replace("\n        ", "\n"))
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield package
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.split(".")[0] == "edited"]:
        del sys.modules[name]


def stamp() -> str:
    """The name under which a fresh process keeps the model's machine code."""
    forget()
    importlib.invalidate_caches()
    return kernel.source_hash(load_model("edited.users").functions())


def edit(file: Path, old: str, new: str) -> None:
    source = file.read_text()
    assert old in source
    file.write_text(source.replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("users.py", "BONUS\n\n", "2 * BONUS\n\n"),
        ("helpers.py", "added(x, x)", "added(x, x + 1)"),
        ("helpers.py", "x / 2", "x / 3"),  # called as helpers.halved
        ("far.py", "a + b", "a - b"),  # called by what the model calls
        ("constants.py", "BONUS = 1.0", "BONUS = 2.0"),  # only its value is compiled in
    ],
)
def test_an_edit_of_a_model_or_of_what_it_reaches_gives_a_new_stamp(
    folder: Path, file: str, old: str, new: str
) -> None:
    before = stamp()
    assert stamp() == before
    edit(folder / file, old, new)
    assert stamp() != before


@pytest.mark.parametrize(("file", "old", "new"), [
    ("stranger.py", "x = 1", "x = 2"), ("constants.py", "OTHER = 1.0", "OTHER = 2.0")
])  # fmt: skip
def test_an_edit_elsewhere_leaves_compiled_code_in_use(
    folder: Path, file: str, old: str, new: str
) -> None:
    before = stamp()
    edit(folder / file, old, new)
    assert stamp() == before


def test_after_an_edit_the_new_score_is_served(folder: Path) -> None:
    def bonus() -> float:
        forget()
        importlib.invalidate_caches()
        env = RecVectorEnv(1, model="edited.users", slate_size=1)
        env.reset(seed=0)
        rest = 2 * env.live.users["affinity"][0, 0] + 0.5
        return float(appraise(env).weight[0, 0] - rest)

    assert bonus() == pytest.approx(1.0)
    edit(folder / "constants.py", "BONUS = 1.0", "BONUS = 3.0")
    assert bonus() == pytest.approx(3.0)


def test_the_stamp_is_part_of_the_name_on_disk() -> None:
    stamp = kernel.source_hash(MODEL.functions())
    for loop in kernel.compiled(MODEL):
        assert loop.py_func.__qualname__.endswith(stamp)
