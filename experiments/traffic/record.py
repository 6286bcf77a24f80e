"""What was sent and what came back, a row a request."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from experiments.traffic.schedule import F64

NO_ANSWER, MALFORMED = 0, -1  # in the place of a status


@dataclass(slots=True)
class Calls:
    """Requests of one route; times are in seconds from the start of the run."""

    due: list[float] = field(default_factory=list)
    sent: list[float] = field(default_factory=list)
    done: list[float] = field(default_factory=list)  # NaN = not answered
    status: list[int] = field(default_factory=list)
    about: list[int] = field(default_factory=list)  # number of the visit

    def __len__(self) -> int:
        return len(self.due)

    def send(self, due: float, sent: float, about: int) -> int:
        """Note a request and return its row."""
        self.due.append(due)
        self.sent.append(sent)
        self.done.append(float("nan"))
        self.status.append(NO_ANSWER)
        self.about.append(about)
        return len(self.due) - 1

    def answer(self, row: int, status: int, done: float) -> None:
        """Note its answer."""
        self.status[row] = status
        if status != NO_ANSWER:
            self.done[row] = done

    @property
    def latency(self) -> F64:
        """(N,) s from the time when each was due, NaN = not answered."""
        return _array(self.done) - _array(self.due)

    @property
    def lateness(self) -> F64:
        """(N,) s from the time when each was due until it was given to a connection."""
        return _array(self.sent) - _array(self.due)

    @property
    def good(self) -> NDArray[np.bool_]:
        """(N,) answered with status 200 and a body that can be read."""
        good: NDArray[np.bool_] = np.array(self.status, np.int64) == 200
        return good


def _array(values: list[float]) -> F64:
    return np.array(values, np.float64)


@dataclass(slots=True)
class Record:
    """A run."""

    run: str  # the name that all its ids begin with
    seconds: float  # that were scheduled
    began: float = 0.0  # of time.perf_counter()
    decides: Calls = field(default_factory=Calls)
    outcomes: Calls = field(default_factory=Calls)
    reports: list[tuple[str, ...]] = field(default_factory=list)  # ids of each outcomes' call
    kept: list[int] = field(default_factory=list)  # of them, as the server says; -1 = no answer
    fallback: dict[int, str] = field(default_factory=dict)  # row of decides -> why
    version_of: dict[int, str] = field(default_factory=dict)  # row of decides -> policy
    unsent: int = 0  # outcomes that were due after the end
    waited: int = 0  # requests that had to wait for a free connection
    resent: int = 0  # requests whose connection had been closed by the server
    cpu: float = 0.0  # s of this process

    @property
    def versions(self) -> dict[str, int]:
        """Answers of each policy, most first."""
        return dict(Counter(self.version_of.values()).most_common())

    def decision_id(self, visit: int) -> str:
        """The id of a request, which is that of its decision."""
        return f"{self.run}/{visit}"

    @property
    def by_policy(self) -> NDArray[np.bool_]:
        """(N,) decisions that the policy answered, not the fallback."""
        good = self.decides.good
        good[list(self.fallback)] = False
        return good

    def answered(self, by_policy: bool) -> set[str]:
        """Ids of the decisions that were answered: by the policy, or by the fallback."""
        rows = self.by_policy if by_policy else self.decides.good & ~self.by_policy
        return {self.decision_id(self.decides.about[row]) for row in np.flatnonzero(rows)}

    def acknowledged_outcomes(self) -> set[str]:
        """Ids of the outcomes that were acknowledged."""
        rows = np.flatnonzero(self.outcomes.good).tolist()
        return {one for row in rows for one in self.reports[row]}
