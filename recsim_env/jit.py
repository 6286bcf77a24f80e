"""Numba's compiler with this package's options, and with types that survive it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

Function = TypeVar("Function", bound=Callable[..., Any])


def njit(function: Function) -> Function:
    """Compile into its callers; dividing by zero gives inf, as in numpy, and never raises."""
    return cast(Function, numba.njit(error_model="numpy", forceinline=True)(function))


def njit_sums(function: Function) -> Function:
    """As `njit`, and sums may be reordered, so that dot products run eight terms at a time."""
    fast = {"reassoc", "nsz", "contract"}
    return cast(
        Function, numba.njit(error_model="numpy", forceinline=True, fastmath=fast)(function)
    )


def njit_cached(function: Function) -> Function:
    """As `njit`, kept on disk, and other threads may run meanwhile: for the loops over users."""
    return cast(Function, numba.njit(error_model="numpy", nogil=True, cache=True)(function))
