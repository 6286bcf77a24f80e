"""What users brought, by stage and arm: a row of sums for each, however much they did."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from offpolicy.trials.units import TrialUnits

F64 = NDArray[np.float64]
FIRST = 256  # rows that there is room for at first


class UserSums:
    """Sums of M metrics by user (a number), arm and stratum, in arrays that grow in place."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._row: dict[tuple[int, bool, int], int] = {}
        self._sums: F64 = np.zeros((FIRST, 2 + len(self.names)))  # sessions, decisions, metrics

    def __len__(self) -> int:
        return len(self._row)

    def add(
        self, user: int, canary: bool, stratum: int, values: Sequence[float], *, begins: bool
    ) -> None:
        """A decision's values (M,). begins: it is the first one of its session."""
        row = self._row.setdefault((user, canary, stratum), len(self._row))
        if row == len(self._sums):
            self._sums = np.concatenate([self._sums, np.zeros_like(self._sums)])
        self._sums[row] += (begins, 1.0, *values)

    def units(self) -> TrialUnits:
        """A copy of all rows, in an order that does not depend on that of the decisions."""
        keys = self._keys()
        order = np.lexsort(keys.T)
        keys, sums = keys[order], self._sums[: len(self)][order]
        return TrialUnits(
            user=keys[:, 0],
            canary=keys[:, 1] == 1,
            stratum=keys[:, 2],
            total=sums[:, 2:],
            sessions=sums[:, 0],
            names=self.names,
        )

    def size(self, canary: bool, stratum: int) -> tuple[int, int]:
        """Users and decisions of an arm in a stratum."""
        keys = self._keys()
        of_arm = (keys[:, 1] == canary) & (keys[:, 2] == stratum)
        return int(of_arm.sum()), int(self._sums[: len(self), 1][of_arm].sum())

    def _keys(self) -> NDArray[np.int64]:
        return np.array(list(self._row), np.int64).reshape(-1, 3)


def number_of(user: str) -> int:
    """A number for a user's key, which depends on nothing else: 10^9 users share one with a chance
    of one in twenty."""
    return int.from_bytes(blake2b(user.encode(), digest_size=8).digest(), "big") >> 1
