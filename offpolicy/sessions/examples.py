"""One session beside another: what each policy showed the same user, and what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from offpolicy.errors import LogError
from offpolicy.estimators.terms import I64
from offpolicy.log.dataset import LoggedDataset


class Shown(NamedTuple):
    """One decision of a session."""

    step: int
    slate: tuple[str, ...]  # names of the items, in the order shown
    taken: str | None
    reward: float
    before: tuple[bool, ...]  # of each place: shown at an earlier step of this session


class ExampleSession(NamedTuple):
    """One session as it was served."""

    session: str
    shown: tuple[Shown, ...]
    total: float  # its return
    left: bool  # the user left; otherwise the session was cut


def example_session(log: LoggedDataset, nth: int) -> ExampleSession:
    """The n-th session of a log, 0..S-1 in order of first appearance. Logs that were collected
    under one seed have the same user there.

    Raises:
        LogError: no such session.
    """
    if not 0 <= nth < log.n_sessions:
        raise LogError(f"session number {nth}: the log has 0 to {log.n_sessions - 1}")
    rows = np.flatnonzero(log.sessions == nth)
    seen, shown = set[int](), list[Shown]()
    for row in rows.tolist():
        items = [i for i in log.slate[row].tolist() if i >= 0]
        taken = -1 if log.consumed is None else int(log.consumed[row])
        shown.append(
            Shown(
                int(log.step[row]),
                tuple(log.names_of("item", items)),
                log.names_of("item", [taken])[0] if taken >= 0 else None,
                float(log.reward[row]),
                tuple(i in seen for i in items),
            )
        )
        seen.update(items)
    name = log.names_of("session", log.session[rows[:1]])[0]
    total, left = float(log.reward[rows].sum()), bool(log.terminated[rows[-1]])
    return ExampleSession(name, tuple(shown), total, left)


def typical_sessions(values: ArrayLike, shares: Sequence[float] = (0.1, 0.5, 0.9)) -> I64:
    """Numbers of the sessions whose value (S,) stands nearest to the quantiles asked for: a bad, a
    usual and a good one; the earliest where several do.

    Raises:
        ValueError: no values.
    """
    x = np.asarray(values, np.float64)
    if x.ndim != 1 or not len(x):
        raise ValueError(f"values have shape {x.shape}; give (S,), one a session, S >= 1")
    at = np.quantile(x, shares)
    return np.asarray(np.abs(x[None, :] - at[:, None]).argmin(axis=1), np.int64)
