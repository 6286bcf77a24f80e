"""The record of one user's session: hidden state, slates, choices and rewards, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recsim_env.catalogue import Catalogue
from recsim_env.kernel.state import Outcome
from recsim_env.model import HEADER

KERNEL = {name for name, _ in HEADER}  # fields of a user that every world has

End = Literal["", "the user left", "the session was cut off"]


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """One session of one user: T decisions so far; K positions of a slate, R responses."""

    world: str
    state: dict[str, NDArray[Any]]  # (T + 1, ...) each, before every decision and after the last
    slates: NDArray[np.int32]  # (T, K) item ids shown
    consumed: NDArray[np.int32]  # (T,) the item taken, -1 = none
    responses: NDArray[np.float32]  # (T, R) what was observed of it
    response_names: tuple[str, ...]  # (R,)
    reward: NDArray[np.float64]  # (T,)
    end: End  # how the session ended; empty while it goes on
    catalogue: Catalogue

    def __len__(self) -> int:
        return len(self.reward)

    def name_of(self, item: int) -> str:
        """An item's name in the catalogue, or its id where it has none."""
        names = self.catalogue.names
        return str(item) if names is None else names[item] or str(item)


@dataclass(slots=True)
class Recorder:
    """What an environment keeps of the session that is looked at."""

    world: str
    catalogue: Catalogue
    response_names: tuple[str, ...]
    slate_size: int
    users: list[NDArray[Any]] = field(default_factory=list)
    slates: list[NDArray[np.int32]] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)

    def begin(self, users: NDArray[Any]) -> None:
        """A session begins; `users` (1,) is copied."""
        self.users, self.slates, self.outcomes = [users.copy()], [], []

    def add(self, users: NDArray[Any], slate: NDArray[np.int32], outcome: Outcome) -> None:
        """A decision: the slate (K,), what came of it, and the user (1,) after it."""
        self.users.append(users.copy())
        self.slates.append(slate)
        self.outcomes.append(outcome)

    def trace(self) -> Trace:
        """The session so far. Raises RuntimeError before the first reset."""
        if not self.users:
            raise RuntimeError("call reset() before you look at a session")
        users, seen = np.concatenate(self.users), self.outcomes
        r = len(self.response_names)
        return Trace(
            world=self.world,
            state={n: users[n] for n in users.dtype.names or () if n not in KERNEL},
            slates=np.reshape(np.array(self.slates, np.int32), (len(seen), self.slate_size)),
            consumed=np.array([int(o.consumed[0]) for o in seen], np.int32),
            responses=np.reshape([o.responses[0] for o in seen], (len(seen), r)).astype("f4"),
            response_names=self.response_names,
            reward=np.array([float(o.reward[0]) for o in seen]),
            end=_end(seen),
            catalogue=self.catalogue,
        )


def _end(seen: Sequence[Outcome]) -> End:
    if seen and seen[-1].terminated[0]:
        return "the user left"
    return "the session was cut off" if seen and seen[-1].truncated[0] else ""


def as_numbers(values: NDArray[Any]) -> NDArray[np.float64]:
    """(T + 1, ...) of a state as (T + 1, W) numbers; bit sets, which are unsigned, as the number of
    their members (T + 1, 1)."""
    rows = values.reshape(len(values), -1)
    if rows.dtype.kind == "u":
        rows = np.bitwise_count(rows).sum(1, keepdims=True)
    return np.asarray(rows, np.float64)
