"""Actions at the door of a step: their shape and type, and what is said of those it refuses."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

OnInvalid = Literal["fix", "penalise", "raise"]


def whole_slates(actions: Any, n: int, k: int) -> NDArray[np.int64]:
    """Slates (N, K) of the actions given: (N, K), or (N,) where K = 1.

    Raises ValueError for another shape, and for what are no whole numbers.
    """
    given = np.asarray(actions)
    if given.shape != (n, k) and not (k == 1 and given.shape == (n,)):
        raise ValueError(f"actions have shape {given.shape}, slates of this world {(n, k)}")
    if given.dtype.kind not in "iu":
        raise ValueError(f"actions are {given.dtype}: give integer candidate indices")
    return np.ascontiguousarray(given, dtype=np.int64).reshape(n, k)


def refusal(slate: NDArray[np.int64], slot: int, n_choices: int, mode: OnInvalid) -> ValueError:
    """What to raise of a slate (K,) that the world does not take."""
    k, where = len(slate), f"0..{n_choices - 1}"
    if mode != "raise":
        return ValueError(
            f"slate {slate.tolist()} of slot {slot}: every position must hold an index in {where}, "
            "as those of the action space do"
        )
    return ValueError(
        f"slate {slate.tolist()} of slot {slot}: positions must hold {k} different available "
        f"indices in {where}; draw slates without replacement from the choices that action_masks() "
        "allows, or take on_invalid='fix'"
    )
