"""What an item did on average: how often it was taken when shown, what it paid, what was seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.consumption import consumed_items
from policies.moments import Moments, shrunk
from policies.observation import Serving
from policies.saved import Arrays

F64 = NDArray[np.float64]
PRIOR = 5.0  # pseudo-observations at the mean of all items


@dataclass(frozen=True, slots=True, eq=False)
class ItemMeans:
    """Sums by item; two logs' sums add."""

    shown: F64  # (A,) places
    taken: F64  # (A,) decisions
    totals: F64  # (A, 1 + R) of reward and responses where the item was taken

    @classmethod
    def none(cls, serving: Serving) -> Self:
        """Nothing seen."""
        items, zeros = serving.n_items, np.zeros(serving.n_items)
        return cls(zeros, zeros.copy(), np.zeros((items, 1 + len(serving.response_names))))

    def plus(self, log: LoggedDataset, serving: Serving) -> ItemMeans:
        """With a log's decisions; ValueError where it lacks what was taken or observed."""
        item, names = consumed_items(log), serving.response_names
        some = item >= 0
        observed = np.zeros((len(log), 0)) if log.responses is None else log.responses
        if observed.shape[1] != len(names):
            raise ValueError(
                f"the log has {observed.shape[1]} responses and the policy reads "
                f"{', '.join(names) or 'none'}: log these, in this order"
            )
        columns = np.column_stack([log.reward, observed])[some].T
        totals = [np.bincount(item[some], column, minlength=log.n_items) for column in columns]
        return ItemMeans(
            self.shown + np.bincount(log.slate[log.slate >= 0], minlength=log.n_items),
            self.taken + np.bincount(item[some], minlength=log.n_items),
            self.totals + np.stack(totals, axis=1),
        )

    def features(self) -> F64:
        """(A, 2 + R) share taken of those shown, mean reward and responses of those taken: shrunk
        to the mean of all items, then in standard deviations over the catalogue; 0 if all alike."""
        share = shrunk(self.taken[:, None], self.shown, PRIOR)
        means = np.concatenate([share, shrunk(self.totals, self.taken, PRIOR)], axis=1)
        scale = Moments.of(means)
        return np.asarray((means - scale.mean) / scale.unit())

    def to_arrays(self) -> Arrays:
        """What a policy saves; `ItemMeans(**arrays)` takes it back."""
        return {"shown": self.shown, "taken": self.taken, "totals": self.totals}
