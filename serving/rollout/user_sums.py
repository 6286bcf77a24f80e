"""What users brought, by stage and arm: a row of sums for each, however much they did."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from offpolicy.trials.units import TrialUnits

F64 = NDArray[np.float64]
FIRST = 1_024  # rows that there is room for at first


class UserSums:
    """Sums of M metrics a user, stratum and arm, which grow in place."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._row: dict[tuple[str, bool, int], int] = {}
        self._total: F64 = np.zeros((FIRST, len(self.names)))
        self._sessions = np.zeros(FIRST, np.int64)

    def __len__(self) -> int:
        return len(self._row)

    def add(
        self, user: str, canary: bool, stratum: int, values: Sequence[float], *, begins: bool
    ) -> None:
        """A decision's values (M,). begins: it is the first one of its session."""
        row = self._row.setdefault((user, canary, stratum), len(self._row))
        if row == len(self._total):
            self._total = np.concatenate([self._total, np.zeros_like(self._total)])
            self._sessions = np.concatenate([self._sessions, np.zeros_like(self._sessions)])
        self._total[row] += values
        self._sessions[row] += begins

    def units(self) -> TrialUnits:
        """A copy of all rows."""
        n, keys = len(self._row), list(self._row)
        return TrialUnits(
            user=np.array([user for user, _, _ in keys], dtype=np.str_),
            canary=np.fromiter((canary for _, canary, _ in keys), np.bool_, n),
            stratum=np.fromiter((stratum for _, _, stratum in keys), np.int64, n),
            total=self._total[:n].copy(),
            sessions=self._sessions[:n].copy(),
            names=self.names,
            covariate=None,
        )
