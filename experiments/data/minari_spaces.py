"""What the spaces of a foreign Minari dataset mean for a log: items, slates, contexts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy import LogError


class Items(NamedTuple):
    """The catalogue that actions are drawn from."""

    n_items: int
    start: int  # the id of the first item

    def ids(self, action: NDArray[Any]) -> NDArray[Any]:
        """Items 0..n_items-1 of actions; -1, an empty position, stays."""
        a = np.asarray(action)
        return np.where(a == -1, -1, a - self.start) if self.start else a


def items_of(space: Any) -> Items:
    """Discrete: one item of n, from `start` on; MultiDiscrete: a slate, every place of the same
    items; a Box of bounded whole numbers: ids, -1 for an empty place.

    Raises:
        LogError: actions of this space are no items.
    """
    kind = type(space).__name__
    if kind == "Discrete":
        return Items(int(space.n), int(getattr(space, "start", 0)))
    if kind == "MultiDiscrete":
        size = np.asarray(space.nvec)
        start = np.broadcast_to(getattr(space, "start", 0), size.shape)
        if size.ndim == 1 and len(set(size.tolist())) == len(set(start.tolist())) == 1:
            return Items(int(size[0]), int(start[0]))
        raise LogError(
            f"the action space {space} has places of different choices, which are no slate of one "
            "catalogue; build the log with LoggedDataset.from_columns and one id for each item."
        )
    if kind == "Box" and np.issubdtype(space.dtype, np.integer):
        low, high = int(np.min(space.low)), int(np.max(space.high))
        if high < np.iinfo(np.int32).max:
            return Items(high - max(low, 0) + 1, max(low, 0))
    if kind == "Box":
        raise LogError(
            f"actions of {space} are no item ids: continuous actions are weighed by "
            "offpolicy.kernel_terms, from arrays of actions and densities; whole ids need a Box of "
            "integers with bounds, Discrete or MultiDiscrete."
        )
    raise LogError(
        f"actions of {kind} are no items; a log holds Discrete, MultiDiscrete or bounded integer "
        "Box actions. Build it with LoggedDataset.from_columns."
    )


def context_of(observations: Any, steps: int, where: str = "observations") -> NDArray[np.float32]:
    """(steps, D) the numbers of an episode's observations, those of Dict and Tuple spaces side by
    side, keys in alphabetic order; the one after the last decision is left out.

    Raises:
        LogError: what is observed are no numbers.
    """
    if isinstance(observations, dict):
        parts = [
            context_of(observations[k], steps, f"{where}[{k!r}]") for k in sorted(observations)
        ]
    elif isinstance(observations, tuple):
        parts = [context_of(x, steps, f"{where}[{i}]") for i, x in enumerate(observations)]
    else:
        seen = np.asarray(observations)
        if seen.dtype.kind not in "biuf":
            raise LogError(
                f"{where} hold {seen.dtype}, no numbers; a context is a vector of numbers. Encode "
                "them, or leave them out."
            )
        return seen[:steps].reshape(steps, -1).astype(np.float32)
    if not parts:
        raise LogError(f"{where} are empty; a context has a number at least")
    return np.concatenate(parts, axis=1)
