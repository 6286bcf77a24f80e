"""The compiled step over N users, made of a model's scalar functions about one user.

The machine code is cached on disk under a name that holds a hash of every source file and constant
involved, so that an edit anywhere is never served by stale code.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, NamedTuple

import numba
import numpy as np

from recsim_env import jit
from recsim_env.jit import njit_cached
from recsim_env.kernel import loops, state
from recsim_env.model import Functions, UserModel

PLAIN = (bool, int, float, str, tuple, np.generic, np.ndarray)  # what machine code holds as it is
_INNER: dict[Any, Any] = {}  # what `inner` has made, for all models alike


class Kernel(NamedTuple):
    """The compiled loops of one model."""

    step: Any  # StepRequest -> number of sessions that ended
    appraise: Any  # AppraisalRequest -> number of users


def compiled(model: UserModel) -> Kernel:
    """The loops with this model's functions in them, compiled on first call, cached on disk."""
    return _compiled(model.functions())


@cache
def _compiled(functions: Functions) -> Kernel:
    stamp = source_hash(functions)
    inside = Functions(*map(inner, functions))
    return Kernel(
        step=entry(loops.step_users, inside, stamp),
        appraise=entry(loops.appraise_choices, inside, stamp),
    )


def entry(loop: Any, model: Functions, stamp: str) -> Any:
    """A compiled `request -> loop(model, request)`, kept on disk under its name and the stamp.

    The two names are its globals, not in a closure: numba would make what a closure holds part of
    the key on disk, and functions have another one in every process.
    """
    names = {"LOOP": inner(loop), "MODEL": model}
    made = FunctionType(_entry.__code__, names)
    made.__qualname__, made.__module__ = f"{loop.__name__}_{stamp}", __name__
    return njit_cached(made)


LOOP: Any = None  # `entry` gives each copy of `_entry` its own two
MODEL: Functions | None = None


def _entry(request: Any) -> Any:
    return LOOP(MODEL, request)


def inner(function: Any) -> Any:
    """The same compiled function without Python's way in, and so are those that it calls.

    That way in costs as much to compile as a small function itself, and in a loop nobody takes it;
    a call from Python would end the process, so nobody but the loops gets to see these.
    """
    if function not in _INNER:
        python = function.py_func
        bare = FunctionType(
            python.__code__,
            dict(python.__globals__),
            python.__name__,
            python.__defaults__,
            python.__closure__,
        )
        bare.__qualname__, bare.__module__ = python.__qualname__, python.__module__
        closed = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
        _INNER[function] = numba.jit(**function.targetoptions | closed)(bare)
        called = {n: inner(x) for n, x in global_names(python) if is_compiled(x)}
        bare.__globals__.update(called)
    return _INNER[function]


def is_compiled(x: Any) -> bool:
    """Whether numba compiles it."""
    return isinstance(x, numba.core.dispatcher.Dispatcher)


def direct(loop: Any, *examples: Any) -> Any:
    """The machine code of a loop for arguments of just these types, called without asking them.

    For one user, looking up the types of thirty arrays costs four times what the step does.
    """
    typeof: Any = numba.typeof
    return loop.compile(tuple(typeof(example) for example in examples))


def source_hash(functions: Functions) -> str:
    """Hash of what the functions are, and of the files and constants of every one they reach."""
    digest = hashlib.sha256(f"{numba.__version__} {np.__version__}".encode())
    for name, function in functions._asdict().items():
        python = function.py_func
        digest.update(f"{name} {python.__module__} {python.__qualname__}".encode())
    files = {__file__, str(jit.__file__), str(state.__file__)}
    constants: set[str] = set()
    for python in reached([*functions, loops.step_users, loops.appraise_choices]):
        files.add(inspect.getfile(python))
        for name, x in (*global_names(python), *outer_names(python)):
            if isinstance(x, PLAIN):
                value = x.tolist() if isinstance(x, np.ndarray) else x
                constants.add(f"{python.__module__}.{python.__qualname__} {name} = {value!r}")
    for path in sorted(files):
        digest.update(Path(path).read_bytes())
    digest.update("\n".join(sorted(constants)).encode())
    return digest.hexdigest()[:16]


def reached(compiled: Iterable[Any]) -> Iterator[Any]:
    """The Python functions of compiled ones and of all that they call, each once."""
    todo, done = list(compiled), set()
    while todo:
        python = todo.pop().py_func
        if python not in done:
            done.add(python)
            yield python
            called = (*global_names(python), *outer_names(python))
            todo += [x for _, x in called if is_compiled(x)]


def global_names(python: Any) -> Iterator[tuple[str, Any]]:
    """The globals that a function names, with their values."""
    known = python.__globals__
    return ((name, known[name]) for name in python.__code__.co_names if name in known)


def outer_names(python: Any) -> Iterator[tuple[str, Any]]:
    """What a function names of modules that it knows, and of a function that it was made in."""
    for name, cell in zip(python.__code__.co_freevars, python.__closure__ or (), strict=True):
        yield name, cell.cell_contents
    modules = [x for _, x in global_names(python) if isinstance(x, ModuleType)]
    for name in python.__code__.co_names:
        yield from ((name, getattr(x, name)) for x in modules if hasattr(x, name))
