"""Commands: every one of `longplay`, called in this process with odd options and files."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import tempfile
import typing
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import MISSING, fields, is_dataclass
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import tyro
from numpy.random import Generator

from experiments.__main__ import main
from experiments.commands import COMMANDS
from experiments.reliability.fuzz.calls import Target
from experiments.reliability.fuzz.odd import Arguments, pick
from experiments.reliability.fuzz.parts.files import FILES, make_files
from experiments.reliability.fuzz.parts.option_values import GIVEN, LEFT, LONG, SMALL, WORDS

WORKED = frozenset({0, 1, 3})  # done, and verdicts

KEPT = "What was done is kept"  # said of runs in which some jobs failed and the others did not


class Option(NamedTuple):
    """A field of settings as the command line knows it."""

    name: str
    flag: str | None  # None: it is given by its place
    switch: bool
    many: bool
    path: bool
    amount: bool
    needed: bool


def targets() -> list[Target]:
    """Every form of every command."""
    return [
        Target(
            name=" ".join(words),
            given=partial(line, words[0], kind),
            call=partial(called, words),
            check=_told,
            spared=frozenset({"args"}),
        )
        for words, kind in forms()
    ]


@cache
def forms() -> tuple[tuple[tuple[str, ...], type[Any]], ...]:
    """A command, or a command and its subcommand, and the settings that it takes."""
    found = list[tuple[tuple[str, ...], type[Any]]]()
    for name, command in COMMANDS.items():
        settings = import_module(command.module).Settings
        if is_dataclass(settings):
            found.append(((name,), settings))  # type: ignore[arg-type]
        else:
            found += [((name, _dashed(kind.__name__)), kind) for kind in typing.get_args(settings)]
    return tuple(found)


@cache
def options(kind: Any) -> tuple[Option, ...]:
    """The options of settings."""
    hints, found = typing.get_type_hints(kind, include_extras=True), list[Option]()
    for field in fields(kind):
        hint = hints[field.name]
        by_place = "Positional" in repr(hint) or tyro.conf.Positional in _marks(hint)
        text = str(hint)
        if is_dataclass(hint):
            continue
        found.append(
            Option(
                field.name,
                None if by_place else f"--{field.name.replace('_', '-')}",
                hint is bool,
                "tuple[" in text,
                "Path" in text,
                "int" in text or "float" in text,
                field.default is MISSING and field.default_factory is MISSING,
            )
        )
    return tuple(found)


def line(command: str, kind: Any, rng: Generator) -> Arguments:
    """A command line of which a few options are odd, or missing, or given twice."""
    every: tuple[Option, ...] = options(kind)
    free = [o for o in every if o.name not in LEFT]
    count = int(rng.choice(4, p=(0.05, 0.55, 0.25, 0.15)))
    names = rng.choice([o.name for o in free], size=min(count, len(free)), replace=False).tolist()
    args = list[str]()
    for option in every:
        if option.name in names:
            args += _odd(option, rng)
        elif option.needed or option.name in SMALL or (rng.random() < 0.1 and option.name in GIVEN):
            args += _said(option, [SMALL.get(option.name, GIVEN.get(option.name, "1"))])
    if command in LONG:
        args += ["--seed-of-nothing", "1"]
    elif rng.random() < 0.05:
        args += [pick(("--no-such", "--help", "-", "--seed=", "--out="), rng)]
    return {"args": args}


def _said(option: Option, values: list[str]) -> list[str]:
    if option.flag is None:
        return values
    if option.switch:
        return [option.flag]
    return [option.flag, *values]


def _odd(option: Option, rng: Generator) -> list[str]:
    if rng.random() < 0.1:
        return []  # it is missing
    if option.switch:
        return [pick((option.flag, f"--no-{(option.flag or '')[2:]}"), rng)]
    words = (*FILES, *WORDS) if option.path or (not option.amount and rng.random() < 0.5) else WORDS
    if option.amount:  # a large amount would be honest, and take for ever
        words = tuple(w for w in words if not w.isdigit() or len(w) < 2)
    values = [pick(words, rng)]
    if option.many and rng.random() < 0.5:
        values = pick((values * 2, [*values, pick(words, rng)], []), rng)
    twice = rng.random() < 0.05
    return _said(option, values) * (2 if twice else 1)


def called(words: tuple[str, ...], args: list[str]) -> tuple[int, str, set[str]]:
    """Status, what it said on stderr, and what it wrote, in a folder of its own."""
    told = io.StringIO()
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        shutil.copytree(_known(), folder, dirs_exist_ok=True, symlinks=True)
        before = _names(Path(folder))
        with redirect_stderr(told), redirect_stdout(io.StringIO()):
            try:
                status = main([*words[0].split(), *words[1:], *args])
            except SystemExit as stop:
                raise RuntimeError(f"main raised SystemExit({stop.code})") from stop
        return status, told.getvalue(), _names(Path(folder)) - before


@cache
def _known() -> str:
    folder = tempfile.mkdtemp(prefix="longplay-fuzz-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    make_files(Path(folder))
    return folder


def _names(folder: Path) -> set[str]:
    """What may be lost or half written: locks, and the records of learning, are neither."""
    return {
        f"{at}/{name}"
        for at, _, files in os.walk(folder)
        for name in files
        if not name.endswith((".lock", ".controller"))
        and not name.startswith(("cut-", "relearning."))
    }


def _told(answer: tuple[int, str, set[str]]) -> str | None:
    status, told, written = answer
    if "Traceback" in told:
        return f"a traceback on stderr: {told.strip().splitlines()[-1][:160]}"
    if status in WORKED:
        return None
    if status != 2:
        return f"status {status}: {told.strip()[-160:]}"
    if not told.strip():
        return "status 2 without a word"
    if written and KEPT not in told:
        kept = sorted(Path(name).name for name in written)
        return f"status 2, and wrote {', '.join(kept[:4])}: {told.strip()[-120:]}"
    return None


def _marks(hint: Any) -> tuple[Any, ...]:
    return getattr(hint, "__metadata__", ())


def _dashed(name: str) -> str:
    return "".join(f"-{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
