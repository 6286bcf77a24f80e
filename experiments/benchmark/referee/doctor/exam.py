"""A log laid before the doctor, and what the doctor says of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy import LoggedDataset, TargetScores, check_log, evaluate
from offpolicy.log.dataset import ROW_COLUMNS
from offpolicy.weighting.horizons import Horizon

F64 = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Exam:
    """A log as columns, so that a damaged one is refused when it is examined and not before."""

    columns: Mapping[str, Any]
    n_items: int
    scores: TargetScores
    horizon: Horizon = "one_step"
    time: F64 | None = None
    event_id: NDArray[Any] | None = None
    expected_shares: Mapping[str, float] | None = None
    scored: bool = True  # the doctor is given the target's probabilities

    def changed(self, **columns: Any) -> Exam:
        """The same log with some columns replaced."""
        return replace(self, columns={**self.columns, **columns})

    def rows(self, pick: NDArray[Any]) -> Exam:
        """Some rows, or some rows again, each as a decision of its own with a new event id."""
        n, s = len(pick), self.scores
        columns = {k: np.asarray(v)[pick] for k, v in self.columns.items() if k in ROW_COLUMNS}
        columns |= {"session": np.arange(n), "step": np.zeros(n, np.int64)}
        scores = TargetScores(
            s.propensity[pick],
            None if s.position_propensity is None else s.position_propensity[pick],
            None if s.slates is None else s.slates[pick],
            None if s.slate_weight is None else s.slate_weight[pick],
        )
        time = None if self.time is None else self.time[pick]
        return replace(self, columns=columns, scores=scores, time=time, event_id=np.arange(n))


class Opinion(NamedTuple):
    """What the doctor, and the report that a user gets, say of one log."""

    verdict: str  # PASS, WARN, FAIL, or "refused": the log cannot be built
    checks: tuple[str, ...]  # above PASS
    found: str  # by the worst of them


def exam_of(log: LoggedDataset, scores: TargetScores, horizon: Horizon = "one_step") -> Exam:
    """A log that was drawn, with event ids."""
    return Exam(log.columns(), log.n_items, scores, horizon, event_id=np.arange(len(log)))


def examined(exam: Exam) -> Opinion:
    """The worst of `check_log`, which is given all there is, and the findings of `evaluate`."""
    try:
        log = LoggedDataset.from_columns(**exam.columns, n_items=exam.n_items)
        first = check_log(
            log,
            exam.scores if exam.scored else None,
            time=exam.time,
            event_id=exam.event_id,
            expected_shares=exam.expected_shares,
        )
        report = (
            evaluate(log, exam.scores, horizon=exam.horizon, plan=False) if exam.scored else None
        )
    except ValueError as error:
        return Opinion("refused", ("refused",), str(error))
    again = None if report is None else report.log_check
    troubles = [*first.troubles, *(() if again is None else again.troubles)]
    worst = max(troubles, key=lambda f: f.level, default=None)
    if worst is None:
        return Opinion("PASS", (), "")
    names = tuple(dict.fromkeys(f.check for f in troubles))
    return Opinion(worst.level.name, names, f"{worst.check}: {worst.found}")
