"""`--import MODULE` and `--trust` of every command: modules of one's own, with their policies and
worlds, and saved policies that hold pickled code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

OPTION = "--import"
TRUST = "--trust"
TRUSTED = "LONGPLAY_TRUST"  # policies.adapters.trust reads it


def taken(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without `--import MODULE` and `--import=MODULE`, and the modules, in order.

    Raises ValueError for an option without its module.
    """
    left, modules, words = list[str](), list[str](), iter(args)
    for word in words:
        if word == OPTION:
            module = next(words, "")
        elif word.startswith(f"{OPTION}="):
            module = word.partition("=")[2]
        else:
            left.append(word)
            continue
        if not module or module.startswith("-"):
            raise ValueError(f"{OPTION} names no module: write {OPTION} mymodule")
        modules.append(module)
    return left, modules


def import_own(modules: Sequence[str]) -> None:
    """Import them, from the current folder too, here and in worker processes.

    Raises ValueError for a module that is not there.
    """
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.append(here)
    if not modules:
        return
    from policies.adapters.named import VARIABLE, own_module

    for module in modules:
        own_module(module)
    before = [name for name in os.environ.get(VARIABLE, "").split(",") if name]
    os.environ[VARIABLE] = ",".join(dict.fromkeys([*before, *modules]))


@contextmanager
def trust_taken(args: Sequence[str]) -> Iterator[list[str]]:
    """The arguments without `--trust`; where it was among them, this process and its workers read
    pickles until the end of the block."""
    left = [word for word in args if word != TRUST]
    before = os.environ.get(TRUSTED)
    if len(left) < len(args):
        os.environ[TRUSTED] = "1"
    try:
        yield left
    finally:
        os.environ.pop(TRUSTED, None)
        if before is not None:
            os.environ[TRUSTED] = before
