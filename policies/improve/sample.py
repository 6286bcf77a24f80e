"""A sample of logged states of fixed size, which does not depend on how the logs were divided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.splitting import mixed
from policies.observation import Observation, Serving
from policies.saved import Arrays

U64 = NDArray[np.uint64]


@dataclass(frozen=True, slots=True, eq=False)
class StateSample:
    """Rows whose contents have the smallest hashes: a bottom-k sketch (Cohen & Kaplan, 2007)."""

    size: int  # at most so many
    key: U64  # (M,) hashes, growing
    observation: Observation  # of M users
    eligible: NDArray[np.bool_]  # (M, C), where the observation has none, too

    @classmethod
    def none(cls, serving: Serving, size: int) -> Self:
        """Nothing seen."""
        h, r = serving.history_length, len(serving.response_names)
        offers = None
        if serving.n_candidates is not None:
            offers = np.zeros((0, serving.n_candidates), np.int32)
        empty = Observation(
            history_items=np.zeros((0, h), np.int32),
            history_responses=np.zeros((0, h, r), np.float32),
            user=np.zeros((0, serving.user_size), np.float32),
            candidates=offers,
        )
        return cls(size, np.zeros(0, np.uint64), empty, np.zeros((0, serving.columns), bool))

    def plus_log(self, log: LoggedDataset, obs: Observation) -> StateSample:
        """With the rows of a log, and what was observed on them."""
        key = row_hashes(log.step, log.slate, log.reward, obs.history_items, obs.user)
        few = np.argsort(key, kind="stable")[: self.size]
        new, old = obs.rows(few), self.observation
        allowed = np.ones((len(few), self.eligible.shape[1]), bool)
        allowed = allowed if new.eligible is None else new.eligible
        allowed = np.concatenate([self.eligible, allowed])
        keys = np.concatenate([self.key, key[few]])
        keep = np.argsort(keys, kind="stable")[: self.size]
        both = Observation(
            history_items=np.concatenate([old.history_items, new.history_items]),
            history_responses=np.concatenate([old.history_responses, new.history_responses]),
            user=np.concatenate([old.user, new.user]),
            candidates=None
            if old.candidates is None or new.candidates is None
            else np.concatenate([old.candidates, new.candidates]),
        )
        return StateSample(self.size, keys[keep], both.rows(keep), allowed[keep])

    def to_arrays(self) -> Arrays:
        """What a policy saves; `from_arrays` takes it back."""
        o = self.observation
        arrays: dict[str, NDArray[Any]] = {
            "key": self.key,
            "history_items": o.history_items,
            "history_responses": o.history_responses,
            "user": o.user,
            "eligible": self.eligible,
        }
        return arrays if o.candidates is None else arrays | {"candidates": o.candidates}

    @classmethod
    def from_arrays(cls, arrays: Arrays, size: int) -> Self:
        """The sample that gave the arrays."""
        return cls(
            size,
            arrays["key"],
            Observation(
                history_items=arrays["history_items"],
                history_responses=arrays["history_responses"],
                user=arrays["user"],
                candidates=arrays.get("candidates"),
            ),
            arrays["eligible"],
        )


def row_hashes(*columns: NDArray[Any]) -> U64:
    """(N,) a hash of each row's numbers over all columns (N, ...), the same on every machine."""
    total = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        numbers = np.ascontiguousarray(column, np.float64).reshape(len(column), -1)
        for words in numbers.view(np.uint64).T:
            total = mixed(total ^ words)
    return total
