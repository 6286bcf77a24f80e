"""Pages of the commands: what each one's own --help says."""

from __future__ import annotations

import io
import os
import re
from contextlib import redirect_stdout, suppress
from importlib import import_module
from typing import Any, get_args
from unittest.mock import patch

from experiments.commands import COMMANDS
from experiments.options.reading import read

WIDTH = "80"
HEAD = """# Commands

You need this page when you look for a command or for an option of one. `longplay COMMAND --help`
prints what its page shows: the pages are made of it.

{table}

Some options mean the same in every command that has them:

| option | meaning |
|---|---|
| `--seed`, `--seeds` | the first seed, and how many |
| `--out` | the folder that is written, or in which a run folder is made |
| `--resume FOLDER` | go on with a run folder, which knows its settings |
| `--workers N`, `--executor` | where the work runs, see [sweeps](../howto/sweeps.md) |
| `--columns` | what your columns are called, see [a log of your own](../howto/own-log.md) |
| `--data`, `--data-root` | a data set, and the folder of the public ones |
| `--env` | a world: a registered name, or the folder of a fitted one |
| `--policy` | a name, a saved folder, or `module:attribute` |
| `--settings FILE`, `--set KEY=VALUE` | settings of a file, and single ones, in every command |
| `--import MODULE` | Python of your own, whose policies then have names, in every command |

Exit status: 0 is done. 1 and 3 are verdicts: all candidates fail, and cannot tell. 2 is bad input,
explained in one paragraph. 130 and 143 are a stop by Ctrl-C and by SIGTERM.
"""


def help_of(name: str, words: tuple[str, ...] = (), settings: Any = None) -> str:
    """What `longplay NAME WORDS --help` prints, without colours, in lines of a fixed width."""
    settings = settings or import_module(COMMANDS[name].module).Settings
    said = io.StringIO()
    narrow = patch.dict(os.environ, {"COLUMNS": WIDTH, "NO_COLOR": "1"})
    with narrow, redirect_stdout(said), suppress(SystemExit):  # which ends the print
        read(name, settings, [*words, "--help"])
    return re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue()).rstrip()


def page_name(name: str) -> str:
    """`benchmark env` -> benchmark-env.md."""
    return name.replace(" ", "-") + ".md"


def page_of(name: str) -> str:
    """The page of a command; of one with several things to do, a section for each."""
    settings = import_module(COMMANDS[name].module).Settings
    purpose = COMMANDS[name].purpose
    parts = [f"# longplay {name}", f"{purpose[0].upper()}{purpose[1:]}.", _block(help_of(name))]
    for kind in get_args(settings):
        word = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", kind.__name__).lower()
        parts += [f"## {name} {word}", _block(help_of(name, (word,)))]
    return "\n\n".join(parts) + "\n"


def _block(text: str) -> str:
    return f"```text\n{text}\n```"


def command_pages() -> dict[str, str]:
    """The index, and a page for each command, by the path inside docs/."""
    rows = [
        f"| [{n}]({page_name(n)}) | {c.purpose.replace('|', '/')} |" for n, c in COMMANDS.items()
    ]
    table = "\n".join(["| command | what it does |", "|---|---|", *rows])
    pages = {f"commands/{page_name(n)}": page_of(n) for n in COMMANDS}
    return {"commands/index.md": HEAD.format(table=table)} | pages
