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

from recsim_env import jit, random
from recsim_env.jit import njit, njit_cached
from recsim_env.kernel import histories, loops, memory, offers, state
from recsim_env.model import UserModel

SHARED = (histories, jit, loops, memory, offers, random, state)  # in every model's loops
_INNER: dict[Any, Any] = {}  # what `inner` has made, for all models alike


class Kernel(NamedTuple):
    """The compiled loops of one model."""

    step: Any  # (first, last, todo, again, live, offer, world, slates, limit, outcome, view,
    #             final, scratch) -> sessions that ended
    appraise: Any  # (live, world, items, scores, worths, plans, nones, plan_nones)


def compiled(model: UserModel) -> Kernel:
    """The loops with this model's functions in them, compiled on first call, cached on disk."""
    return _compiled(tuple(model.functions().items()))


@cache
def _compiled(functions: tuple[tuple[str, Any], ...]) -> Kernel:
    stamp = source_hash(dict(functions))
    names = {name: inner(function) for name, function in functions}

    def bound(loop: Callable[..., Any]) -> Any:
        bare = copied(loop)
        bare.__qualname__ = f"{loop.__name__}_{stamp}"
        bare.__globals__.update(callees(bare) | names)
        return bare

    parts: tuple[Callable[..., Any], ...] = (loops._serve, loops._look, loops._start)
    names |= {loop.__name__[1:]: inner(njit(bound(loop))) for loop in parts}
    return Kernel(njit_cached(bound(loops._step)), njit_cached(bound(loops._appraise)))


def inner(function: Any) -> Any:
    """The same compiled function without Python's way in, and so are those that it calls.

    That way in costs as much to compile as a small function itself, and in a loop nobody takes it;
    a call from Python would end the process, so nobody but the loops gets to see these.
    """
    closed = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    if closed.items() <= function.targetoptions.items():
        return function
    if function not in _INNER:
        bare = copied(function.py_func)
        _INNER[function] = numba.jit(**function.targetoptions | closed)(bare)
        bare.__globals__.update(callees(bare))  # only now: a function may name itself
    return _INNER[function]


def copied(function: Any) -> Any:
    """The same Python function with a list of names of its own."""
    made = FunctionType(
        function.__code__,
        dict(function.__globals__),
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    made.__qualname__, made.__module__ = function.__qualname__, function.__module__
    return made


def callees(function: Any) -> dict[str, Any]:
    """The compiled functions that it names, as `inner`."""
    known = function.__globals__
    return {n: inner(known[n]) for n in function.__code__.co_names if is_compiled(known.get(n))}


def is_compiled(x: Any) -> bool:
    """Whether numba compiles it."""
    return isinstance(x, numba.core.dispatcher.Dispatcher)


def direct(loop: Any, *examples: Any) -> Any:
    """The machine code of a loop for arguments of just these types, called without asking them.

    For one user, looking up the types of thirty arrays costs four times what the step does.
    """
    typeof: Any = numba.typeof
    return loop.compile(tuple(typeof(example) for example in examples))


def source_hash(functions: dict[str, Any]) -> str:
    """Hash of what the functions are and of the files of every compiled function they reach."""
    reached = {str(module.__file__) for module in SHARED} | {__file__}
    todo = list(functions.values())
    done: set[int] = set()
    while todo:
        python = todo.pop().py_func
        if id(python) in done:
            continue
        done.add(id(python))
        reached.add(inspect.getfile(python))
        called = [python.__globals__.get(name) for name in python.__code__.co_names]
        todo += filter(is_compiled, called)
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    for name, function in functions.items():
        python = function.py_func
        digest.update(f"{name} {python.__module__} {python.__qualname__}".encode())
    for path in sorted(reached):
        digest.update(Path(path).read_bytes())
    return digest.hexdigest()[:16]
