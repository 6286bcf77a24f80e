"""The README is true: its screen of Python runs, its commands and files exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from experiments.__main__ import COMMANDS

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "README.md").read_text()


def test_the_screen_of_python_runs_and_says_what_the_readme_says(
    capsys: pytest.CaptureFixture[str],
) -> None:
    (screen,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    exec(compile(screen, "README.md", "exec"), {})
    out = capsys.readouterr().out
    assert re.match(r"\[ *\d+( +\d+){4}\]\n", out), "five items for one user"
    verdicts = re.findall(r"^(pass|fail|cannot tell): ", out, flags=re.MULTILINE)
    assert verdicts == ["pass", "cannot tell"]
    uniform, careful = map(float, out.splitlines()[-2:])
    assert careful > uniform


def test_commands_and_files_that_it_names_exist() -> None:
    named = set(re.findall(r"\.venv/bin/longplay (\w[\w-]*)", TEXT))
    assert named
    assert named <= {name.split()[0] for name in COMMANDS}
    prose = re.sub(r"```.*?```", "", TEXT, flags=re.DOTALL)
    for link in re.findall(r"\]\(([^)#]+)\)", prose):
        assert (ROOT / link).exists(), link
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", TEXT, flags=re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_command_offers_settings_and_run() -> None:
    from importlib import import_module

    for name, command in COMMANDS.items():
        module = import_module(command.module)
        assert callable(module.run), name
        assert module.Settings.__doc__, name
