"""What trials are read from: decision logs that name their loggers, and events that name arms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.common.durations import moment_of
from experiments.logs.item_names import open_named_log
from experiments.logs.log_files import any_column
from experiments.serve.join import counted_by
from experiments.serve.places import reached_events
from offpolicy import LoggedDataset
from offpolicy.trials.of_log import ArmRows, arm_rows
from serving.arms import CANARY, CONTROL
from serving.contracts.decisions import Decision
from serving.contracts.outcomes import OutcomeEvent
from serving.events.reading import in_order
from serving.joining.join import Joined, join
from serving.joining.survey import shape_of, survey

DAY = 86_400.0


@dataclass(frozen=True, slots=True, eq=False)
class TrialLog:
    """A log, and which of its rows are whose."""

    log: LoggedDataset
    rows: ArmRows
    stratum: NDArray[Any] | None  # (N,) text or numbers
    shares: dict[str, float]  # stratum -> the share that the canary was to have, where it is known
    canary: str  # in words
    control: str


def logger_of(log: LoggedDataset, name: str) -> str:
    """The logger of this name, or the only one whose name holds it.

    Raises:
        ValueError: there is none, or there are several.
    """
    if log.logger is None:
        raise ValueError("the log has no column `logger`: say which it is, --columns logger=theirs")
    there = np.unique(log.logger.astype("U")).tolist()
    like = [name] if name in there else [one for one in there if name in one]
    if len(like) != 1:
        said = f"{', '.join(like)} are all like it" if like else f"there are {', '.join(there)}"
        raise ValueError(f"{name!r} names no policy that wrote this log: {said}")
    return str(like[0])


def trial_of_log(
    path: Path,
    canary: str,
    control: str | None,
    stratum: str | None,
    shares: Sequence[float],
    columns: Sequence[str],
    n_items: int | None,
) -> TrialLog:
    """The arms of a decision log, by the policies that wrote it. Without `control` it is the one
    that wrote most of the other rows, and the rest (fallbacks) follow the arm of their user."""
    log = open_named_log(path, columns, n_items)
    mine = logger_of(log, canary)
    assert log.logger is not None
    names, counts = np.unique(log.logger.astype("U"), return_counts=True)
    others = {str(n): int(c) for n, c in zip(names, counts, strict=True) if n != mine}
    if not others:
        raise ValueError(f"{mine} wrote every row: a trial compares two policies")
    theirs = max(others, key=lambda n: others[n]) if control is None else logger_of(log, control)
    labels = None if stratum is None else any_column(stratum, path, log, columns)
    code = None if labels is None else np.unique(labels, return_inverse=True)[1].astype(np.int64)
    return TrialLog(
        log,
        arm_rows(log, [mine], [theirs], code),
        labels,
        _promised(labels, shares),
        mine,
        theirs,
    )


def _promised(labels: NDArray[Any] | None, shares: Sequence[float]) -> dict[str, float]:
    names = [""] if labels is None else np.unique(labels).astype("U").tolist()
    if shares and len(shares) != len(names):
        raise ValueError(
            f"--share has {len(shares)} numbers; give one for each stratum, in the order "
            f"{', '.join(names)}"
        )
    outside = [share for share in shares if not 0 < share < 1]
    if outside:
        raise ValueError(f"--share {outside[0]:g} is outside (0, 1): it is the canary's, of users")
    return dict(zip(names, shares, strict=bool(shares)))


def joined_events(
    where: str, reward: tuple[str, ...], window: str, now: str
) -> tuple[Joined, LoggedDataset, list[Decision]]:
    """An event log, joined in memory: the join, its log, and the decision of each row.

    Raises:
        ValueError: no session is over.
    """
    rule = counted_by(reward, window)
    with reached_events(where) as events:
        shape, _ = shape_of(survey(events).starts)
        decisions, outcomes = list[Decision](), list[OutcomeEvent]()
        for event in in_order(events):
            if isinstance(event, Decision):
                decisions.append(event)
            else:
                outcomes.append(event)
    joined = join(decisions, outcomes, rule, shape, now=moment_of("--now", now))
    if joined.log is None:
        raise ValueError(f"in {where} no session is over yet; --now end takes what there is")
    made = {d.decision_id: d for d in decisions}
    return joined, joined.log, [made[one] for one in joined.decision_ids]


def days_of(joined: Joined) -> float:
    """Days from the first decision to the last."""
    return float(np.ptp(joined.time)) / DAY


def trial_of_events(where: str, reward: tuple[str, ...], window: str, now: str) -> TrialLog:
    """The arms of an event log: the arm and the stage stand in each decision, also where a fallback
    was served. Of several rollouts it is the last one.

    Raises:
        ValueError: no decision of a session that is over belongs to a rollout.
    """
    _, log, rows = joined_events(where, reward, window, now)
    in_trial = [d for d in rows if d.arm in (CANARY, CONTROL) and d.rollout]
    if not in_trial:
        raise ValueError(
            f"{where} holds {len(rows):,} decisions of sessions that are over, and none is of a "
            "rollout"
        )
    rollout = _id(max(in_trial, key=lambda d: d.time).rollout)
    arm = np.array([d.arm if _id(d.rollout) == rollout else "" for d in rows])
    stage = np.array([d.rollout for d in rows])
    names = sorted({d.rollout for d in in_trial if _id(d.rollout) == rollout})
    return TrialLog(
        log,
        ArmRows(arm == CANARY, arm == CONTROL, 0, int((arm == "").sum())),
        stage,
        {name: float(name.rpartition("@")[2]) for name in names},
        _served(rows, arm, CANARY),
        _served(rows, arm, CONTROL),
    )


def _id(stratum: str) -> str:
    return stratum.rpartition("@")[0]


def _served(rows: Sequence[Decision], arm: NDArray[Any], name: str) -> str:
    there = {d.policy for d, one in zip(rows, arm, strict=True) if one == name and not d.fallback}
    return ", ".join(sorted(there)) or name
