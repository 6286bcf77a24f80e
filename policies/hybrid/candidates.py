"""A short list of items for every item that a user may have taken last, made ahead of requests."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from policies.base import Policy
from policies.observation import Observation
from policies.validation import COUNT

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
ROWS = 256  # lists that are made at a time


@dataclass(frozen=True, slots=True, eq=False)
class CandidateTable:
    """Candidates by the last item taken. It is a `serving.Retrieval`, too: called with histories
    (B, H) it gives candidates (B, L). Raises ValueError for what is no such table."""

    items: I32  # (A + 1, L) each once in its row; the last row is that of users without a history
    made: float = 0.0  # s since 1970
    valid_s: float | None = None  # after it was made; None = for as long as the catalogue stands

    def __post_init__(self) -> None:
        count = len(self.items) - 1
        if self.items.ndim != 2 or count < 1 or not 0 < self.items.shape[1] <= count:
            raise ValueError(
                f"candidates have shape {self.items.shape}; give a row for each item and one more, "
                "of 1 to as many items"
            )
        order = np.sort(self.items, axis=1)
        if order.min() < 0 or order.max() >= count or (order[:, 1:] == order[:, :-1]).any():
            raise ValueError(f"a row of candidates must hold items of 0..{count - 1}, each once")

    @property
    def length(self) -> int:
        """L."""
        return int(self.items.shape[1])

    def valid(self, now: float) -> bool:
        """Whether it may be served at `now` (s since 1970), for whoever serves it: the table and
        `Hybrid` have no clock, and answer after that, too."""
        return self.valid_s is None or now < self.made + self.valid_s

    def shortened(self, length: int) -> CandidateTable:
        """The first `length` candidates of every row. Raises ValueError for more than there are."""
        if not 1 <= length <= self.length:
            raise ValueError(f"length = {length}: rows hold {self.length} candidates")
        return CandidateTable(self.items[:, :length].copy(), self.made, self.valid_s)

    def __call__(self, histories: I32) -> I32:
        """(B, H) items, oldest first, -1 = empty -> candidates (B, L)."""
        found: I32 = self.items[histories[:, -1] if histories.shape[1] else -1]
        return np.broadcast_to(found, (len(histories), self.length))


def candidate_table(
    source: Policy,
    length: int,
    *,
    user: F32 | None = None,
    responses: F32 | None = None,
    made: float = 0.0,
    valid_s: float | None = None,
) -> CandidateTable:
    """What a policy of the whole catalogue favours after each item alone, and after none.

    user: (F,) the user vector of everybody, responses: (A, R) of each item; 0 if None.

    Raises ValueError for a policy that chooses among candidates, or lengths beyond the catalogue.
    """
    serving, count = source.serving, source.serving.n_items
    COUNT.check("length", length)
    if serving.n_candidates is not None:
        raise ValueError(
            f"the source chooses among {serving.n_candidates} candidates: candidates are made by a "
            "policy of the whole catalogue"
        )
    if length > count:
        raise ValueError(f"length = {length}: the catalogue has {count} items")
    items, every = np.empty((count + 1, length), np.int32), np.arange(count + 1)
    for start in range(0, count + 1, ROWS):
        last = every[start : start + ROWS]
        history = np.full((len(last), serving.history_length), -1, np.int32)
        seen = np.zeros((*history.shape, len(serving.response_names)), np.float32)
        taken = last < count
        if serving.history_length:
            history[taken, -1] = last[taken]
            if responses is not None:
                seen[taken, -1] = responses[last[taken]]
        vector = np.zeros(serving.user_size, np.float32) if user is None else user
        obs = Observation(
            history_items=history,
            history_responses=seen,
            user=np.tile(vector, (len(last), 1)),
        )
        items[start : start + len(last)] = source.distribution(obs).ranking(length)
    return CandidateTable(items, made, valid_s)
