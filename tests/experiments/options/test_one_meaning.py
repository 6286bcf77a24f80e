"""An option that several commands have means one thing: one type, one default, one line of help."""

from __future__ import annotations

import ast
import dataclasses
import inspect
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from textwrap import dedent
from typing import Any, get_args, get_type_hints

import pytest

from experiments.commands import COMMANDS

RUNS = "Where run folders are made."
SAME = {  # option -> its help, in all commands that have it
    "resume": "A run folder to go on with; it has the settings, and none is given again.",
    "workers": "Processes of this computer, one thread each; short for --executor processes:N.",
    "executor": "Where the work runs: serial, processes:N, ray[:ADDRESS] or dask[:ADDRESS], with "
    "equal results; by default so many processes of this computer as --workers says.",
    "seeds": "How many seeds, from --seed on; everything random is made anew with each.",
}
TYPED = ("resume", "workers", "executor", "seed", "seeds", "level", "columns")  # one type each
COMMAND_LINE = {"settings", "help"}  # read before a command's own options


def every() -> Iterator[tuple[str, type]]:
    """(command, Settings); of a command with several, each."""
    for name, command in COMMANDS.items():
        settings = import_module(command.module).Settings
        for kind in get_args(settings) or (settings,):
            yield name, kind


@cache
def fields() -> list[tuple[str, type, dataclasses.Field[Any], str]]:
    """(command, its settings, field, help) of all commands."""
    return [
        (name, kind, field, helps(kind).get(field.name, ""))
        for name, kind in every()
        for field in dataclasses.fields(kind)
    ]


@cache
def helps(kind: type) -> dict[str, str]:
    """Help by field: the text that stands below it, in the class or in one that it stands on."""
    bases = (base for base in reversed(kind.__mro__) if dataclasses.is_dataclass(base))
    return {name: text for base in bases for name, text in _own_helps(base).items()}


def _own_helps(kind: type) -> dict[str, str]:
    body = ast.parse(dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    out = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(below.value, ast.Constant)
            out[field.target.id] = " ".join(str(below.value.value).split())
    return out


@pytest.mark.parametrize("option", SAME)
def test_help_is_the_same_everywhere(option: str) -> None:
    said = {(name, text) for name, _, field, text in fields() if field.name == option}
    assert said
    assert {text for _, text in said} == {SAME[option]}, said


@pytest.mark.parametrize("option", TYPED)
def test_types_are_the_same_everywhere(option: str) -> None:
    hints = {
        name: get_type_hints(kind)[option] for name, kind, field, _ in fields()
        if field.name == option
    }  # fmt: skip
    assert len({str(hint) for hint in hints.values()}) == 1, hints


def test_every_seed_is_explained_and_several_begin_with_it() -> None:
    texts = {name: text for name, _, field, text in fields() if field.name == "seed"}
    assert all(texts.values()), [name for name, text in texts.items() if not text]
    several = {name for name, _, field, _ in fields() if field.name == "seeds"}
    assert {texts[name] for name in several} == {
        "Of the random numbers; the first of several seeds."
    }


def test_what_makes_run_folders_goes_on_with_them() -> None:
    """`out` and `resume` belong together, with one default; elsewhere `out` is what is written."""
    makers = {(name, kind) for name, kind, field, text in fields() if text == RUNS}
    resumed = {(name, kind) for name, kind, field, _ in fields() if field.name == "resume"}
    assert makers - resumed == {("runs", kind) for name, kind in makers if name == "runs"}
    assert resumed <= makers
    for name, kind in makers:
        (out,) = (field for field in dataclasses.fields(kind) if field.name == "out")
        assert str(out.default) == "results", name
    others = [
        (name, text) for name, kind, field, text in fields()
        if field.name == "out" and (name, kind) not in makers
    ]  # fmt: skip
    assert all(text for _, text in others), others


def test_whatever_has_workers_has_an_executor() -> None:
    by_kind = {kind: {f.name for f in dataclasses.fields(kind)} for _, kind in every()}
    for kind, names in by_kind.items():
        assert ("workers" in names) == ("executor" in names), kind


def test_no_option_has_a_name_that_every_command_reads() -> None:
    assert not [(name, f.name) for name, _, f, _ in fields() if f.name in COMMAND_LINE]
