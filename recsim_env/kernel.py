"""The compiled step over N users, made of a model's scalar functions about one user.

The machine code is cached on disk under a name that holds the hash of every source file involved,
so that an edit anywhere is never served by stale code.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

import numba
import numpy as np

from recsim_env import jit, loops, memory, random, state
from recsim_env.jit import njit, njit_cached
from recsim_env.model import UserModel


class Kernel(NamedTuple):
    """The compiled loops of one model."""

    begin: Any  # (rows, fresh, live, offer, world, view, scratch)
    step: Any  # (first, last, idle, again, live, offer, world, slates, limit, outcome, view,
    #             final, scratch) -> sessions that ended
    appraise: Any  # (live, world, items, scores, worths, plans, nones, plan_nones)


def compiled(model: UserModel) -> Kernel:
    """The loops with this model's functions in them, compiled on first call, cached on disk."""
    return _compiled(tuple(model.functions().items()))


@cache
def _compiled(functions: tuple[tuple[str, Any], ...]) -> Kernel:
    names: dict[str, Any] = dict(functions)
    stamp = source_hash(names)

    def bound(loop: Callable[..., Any]) -> Any:
        twin = FunctionType(loop.__code__, {**vars(loops), **names}, loop.__name__)
        twin.__qualname__ = f"{loop.__name__}_{stamp}"
        return twin

    names["remember"] = njit(bound(loops._remember))
    parts: tuple[Callable[..., Any], ...] = (loops._serve, loops._draw, loops._look, loops._start)
    names |= {loop.__name__[1:]: njit(bound(loop)) for loop in parts}
    whole: tuple[Callable[..., Any], ...] = (loops._begin, loops._step, loops._appraise)
    return Kernel(*(njit_cached(bound(loop)) for loop in whole))


def direct(loop: Any, *examples: Any) -> Any:
    """The machine code of a loop for arguments of just these types, called without asking them.

    For one user, looking up the types of thirty arrays costs four times what the step does.
    """
    typeof: Any = numba.typeof
    return loop.compile(tuple(typeof(example) for example in examples))


def source_hash(functions: dict[str, Any]) -> str:
    """Hash of what the functions are and of the files of every compiled function they reach."""
    reached = {str(module.__file__) for module in (jit, loops, memory, random, state)} | {__file__}
    todo = list(functions.values())
    done: set[int] = set()
    while todo:
        python = todo.pop().py_func
        if id(python) in done:
            continue
        done.add(id(python))
        reached.add(inspect.getfile(python))
        called = [python.__globals__.get(name) for name in python.__code__.co_names]
        todo += [f for f in called if isinstance(f, numba.core.dispatcher.Dispatcher)]
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    for name, function in functions.items():
        python = function.py_func
        digest.update(f"{name} {python.__module__} {python.__qualname__}".encode())
    for path in sorted(reached):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:16]
