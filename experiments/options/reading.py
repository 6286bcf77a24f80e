"""The settings of a command from everything that names them, the command line last."""

from __future__ import annotations

import dataclasses
import re
from inspect import cleandoc
from pathlib import Path
from typing import Any, NamedTuple, get_args

import tyro

from experiments.options.changes import OPTION as SET
from experiments.options.changes import changed, settings_of
from experiments.options.files import settings_in, settings_of_run
from experiments.options.values import default_of, typed

FILE, RESUME = "--settings", "--resume"
PAIR = re.compile(r"[A-Za-z_][\w.-]*=.*", re.DOTALL)
EVERYWHERE = (
    f"Every command also takes {FILE} FILE (YAML with these names, or a run folder: defaults that "
    f"options override) and {SET} KEY=VALUE (users=64; policy.gamma=0.99 where an option holds "
    "settings of what it names)."
)


class Given(NamedTuple):
    """A command line, with what is read before its options taken out."""

    files: list[Path]
    changes: list[str]
    resume: Path | None
    options: list[str]


def taken(args: list[str]) -> Given:
    """Part a command line. ValueError for an option that lacks its value."""
    files, changes, options = list[Path](), list[str](), list[str]()
    resume: Path | None = None
    rest = [*args]
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            options += [word, *rest]
            break
        if name == SET:
            pairs = [value] if equals else []
            while not equals and rest and PAIR.fullmatch(rest[0]):
                pairs.append(rest.pop(0))
            if not pairs:
                following = rest[0] if rest else ""
                raise ValueError(f"{SET} {following}: write key=value, such as {SET} users=64")
            changes += pairs
        elif name in (FILE, RESUME):
            if not equals and (not rest or rest[0].startswith("--")):
                raise ValueError(f"{name} needs a path")
            path = Path(value if equals else rest.pop(0))
            if name == FILE:
                files.append(path)
                continue
            resume = path
            options += [RESUME, str(path)]
        else:
            options.append(word)
    return Given(files, changes, resume, options)


def read(command: str, settings: Any, args: list[str]) -> Any:
    """The settings of a command: its defaults, then a run folder that is gone on with, files of
    settings, `--set`, and the options of the command line, each over what is before it.

    Raises:
        ValueError: a setting that is not there, or a value of another type.
        OSError: a file or folder that is not there.
        SystemExit: --help, or options that do not fit: tyro has explained them.
    """
    prog, (files, changes, resume, options) = f"longplay {command}", taken(args)
    if "-h" in options or "--help" in options:
        resume = None
    kinds = get_args(settings)  # of a command with several: `release add`
    if kinds and options and (files or changes):
        by_name = {_kebab(kind.__name__): kind for kind in kinds}
        if options[0] in by_name:
            settings, prog, options = by_name[options[0]], f"{prog} {options[0]}", options[1:]
            kinds = ()
    if kinds or not dataclasses.is_dataclass(settings):
        if files or changes:
            raise ValueError(f"{FILE} and {SET} stand after the name of what {prog} does")
        return tyro.cli(settings, args=options, prog=prog)
    assert isinstance(settings, type)
    values = dict[str, Any]()
    if resume is not None and any(f.name == "resume" for f in dataclasses.fields(settings)):
        before = settings_of_run(resume, command)
        values |= typed(settings, before, f"{resume}/settings.json")
    for file in files:
        values |= settings_of(settings, settings_in(file, command), str(file))
    values = typed(settings, changed(settings, values, changes), SET) if changes else values
    return tyro.cli(
        settings,
        args=options,
        prog=prog,
        default=default_of(settings, values),
        description=f"{cleandoc(settings.__doc__ or '')}\n\n{EVERYWHERE}",
    )


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()
