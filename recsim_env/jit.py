"""Numba's compiler with this package's options, and with types that survive it.

Compiled functions here count no references: an array is only read and written, never kept. Counting
would cost an atomic instruction at every row of an array that is named, a third of a step in all.
So none of them may make an array; scratch comes from the caller.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])

NOWHERE = (
    "machine code is kept nowhere, so that every process compiles it anew ({}); set "
    "NUMBA_CACHE_DIR to a folder that can be written to"
)
_numba: Any = numba.njit  # numba's own stubs do not name the option `_nrt`


def njit(function: Function) -> Function:
    """Compile into its callers; dividing by zero gives inf, as in numpy, and never raises."""
    compiled = _numba(error_model="numpy", forceinline=True, _nrt=False)(function)
    return cast(Function, compiled)


def njit_sums(function: Function) -> Function:
    """As `njit`, and sums may be reordered, so that dot products run eight terms at a time."""
    fast = {"reassoc", "nsz", "contract"}
    compiled = _numba(error_model="numpy", forceinline=True, fastmath=fast, _nrt=False)(function)
    return cast(Function, compiled)


def njit_whole(function: Function) -> Function:
    """As `njit`, but put into its one caller before types are known: it is not compiled twice."""
    compiled = _numba(error_model="numpy", inline="always", _nrt=False)(function)
    return cast(Function, compiled)


def njit_cached(function: Function) -> Function:
    """As `njit`, kept on disk, and other threads may run meanwhile: for the loops over users.

    Where no folder takes the machine code, it is compiled in every process, and a warning says so.
    """
    options = {"error_model": "numpy", "nogil": True, "_nrt": False, "no_cfunc_wrapper": True}
    try:
        compiled = _numba(cache=True, **options)(function)
    except RuntimeError as error:  # of numba, which finds nowhere to write
        warnings.warn(NOWHERE.format(error), RuntimeWarning, stacklevel=2)
        compiled = _numba(**options)(function)
    return cast(Function, compiled)
