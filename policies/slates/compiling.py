"""Numba's compiler for policies, whose machine code is kept on disk where a folder takes it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., Any])

# dot products run eight terms at a time
SUMS = frozenset({"reassoc", "contract", "nsz"})


def njit_cached(fastmath: frozenset[str] = frozenset()) -> Callable[[Function], Function]:
    """Compile and keep the machine code; `fastmath` names what LLVM may do to sums.

    Where no folder takes the machine code, it is compiled in every process, and a warning says so.
    (Worlds do the same in a module of their own, since neither package knows the other.)
    """

    def compiled(function: Function) -> Function:
        options: dict[str, Any] = {"fastmath": set(fastmath)} if fastmath else {}
        try:
            made: Any = njit(cache=True, **options)(function)
        except RuntimeError as error:  # of numba, which finds nowhere to write
            warnings.warn(
                f"machine code is kept nowhere, so that every process compiles it anew ({error}); "
                "set NUMBA_CACHE_DIR to a folder that can be written to",
                RuntimeWarning,
                stacklevel=2,
            )
            made = njit(**options)(function)
        return made  # type: ignore[no-any-return]

    return compiled
