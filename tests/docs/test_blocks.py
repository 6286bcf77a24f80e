"""Every block of Python and of the command line in the pages runs, page by page."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium
import pytest

import recsim_env  # noqa: F401  (registers the worlds, before a page may register its own)
from experiments.__main__ import main
from policies import POLICIES
from policies.adapters import named
from tests.docs.pages import ROOT, Block, blocks, written

OF_A_SERVICE = "operations/"  # the runbook: its commands need a service that is in trouble
RUN = {
    page: list(blocks(page, text))
    for page, text in written().items()
    if not page.startswith(OF_A_SERVICE)
}
FILES = ("python", "csv", "yaml", "json", "text")  # kinds of block that a title makes a file of
RUNS = ("python", "sh")
STATUS = re.compile(r"\s+# status (\d)(?: or (\d))?\b.*$")  # a verdict of a small log may differ


def runs(block: Block) -> bool:
    return block.kind in RUNS and block.why_not is None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for the blocks of a page; what they register is forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(named.VARIABLE, "")
    monkeypatch.setenv("PATH", f"{_shim(tmp_path / '.bin')}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    stores: tuple[Any, ...] = (named.IMPORTED, POLICIES, gymnasium.registry)
    own = {Path(str(b.title)).parts[0].removesuffix(".py") for p in RUN.values() for b in p}
    before, path = [dict(store) for store in stores], list(sys.path)
    sys.path.insert(0, str(tmp_path))
    yield tmp_path
    sys.path[:] = path
    for store, held in zip(stores, before, strict=True):
        store.clear()
        store.update(held)
    for name in [n for n in sys.modules if n.split(".")[0] in own]:
        del sys.modules[name]


def _shim(folder: Path) -> Path:
    """A folder with a `longplay` that runs this checkout, and a `python`."""
    folder.mkdir()
    for name, module in (("longplay", "-m experiments"), ("python", "")):
        script = folder / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {module} "$@"\n')
        script.chmod(0o755)
    return folder


@pytest.mark.parametrize("page", [p for p, found in RUN.items() if any(map(runs, found))])
def test_the_blocks_of_a_page_run(page: str, folder: Path) -> None:
    names: dict[str, object] = {"__name__": "__main__"}
    for block in RUN[page]:
        where = f"docs/{page}:{block.line}"
        if block.why_not is not None:
            continue
        if block.title is not None and block.kind in FILES:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.text, encoding="utf-8")
        elif block.kind == "python":
            exec(compile(block.text, where, "exec"), names)
        elif block.kind == "sh":
            run_shell(block, where)


def run_shell(block: Block, where: str) -> None:
    """Lines of longplay alone run in this process, which is quicker; others in a shell."""
    joined = block.text.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line.strip() and not line.startswith("#")]
    if all(line.startswith("longplay ") and not line.endswith("&") for line in lines):
        for line in lines:
            found = STATUS.search(line)
            expected = {int(s) for s in found.groups() if s} if found else {0}
            assert main(shlex.split(line, comments=True)[1:]) in expected, f"{where}: {line}"
        return
    script = joined.replace("8080", str(free_port()))
    done = subprocess.run(["bash", "-euc", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{where}: {done.stdout}\n{done.stderr}"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def test_a_block_that_is_not_run_says_why_and_few_are_not() -> None:
    code = [b for found in RUN.values() for b in found if b.kind in RUNS]
    skipped = [b for b in code if b.why_not is not None]
    assert all(len(str(b.why_not)) > 10 for b in skipped)
    assert len(skipped) < len(code) / 4
    for page in RUN:
        text = written()[page]
        assert text.count("<!-- not run:") == sum(b.why_not is not None for b in RUN[page]), page
        assert not re.search(r"^```(bash|shell|console|py)\b", text, flags=re.M), page
