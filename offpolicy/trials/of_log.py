"""The units of a trial from a decision log that several policies wrote."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import I64, group
from offpolicy.trials.units import Bools, TrialUnits, units_of

METRICS = ("reward", "decisions", "ended")


class ArmRows(NamedTuple):
    """Which rows of a log are whose."""

    canary: Bools  # (N,)
    control: Bools  # (N,)
    by_user: int  # rows of other policies (a fallback) that count for the arm of their user
    left_out: int  # rows of other policies whose users have no arm


def arm_rows(
    log: LoggedDataset,
    canary: Collection[str],
    control: Collection[str] | None = None,
    stratum: I64 | None = None,
) -> ArmRows:
    """Rows of the two arms by the column `logger`; without `control` all other policies are. With
    it, rows of any other policy, such as a fallback, belong to the arm that the user has in the
    stratum, as users were drawn and not decisions.

    Raises:
        LogError: the log has no loggers.
        ValueError: a policy that did not write, or one in both arms.
    """
    if log.logger is None:
        raise LogError("the log has no column `logger`, so nobody knows which policy served a row")
    served = log.logger.astype("U")
    there = set(np.unique(served).tolist())
    for name in (*canary, *(control or ())):
        if name not in there:
            raise ValueError(f"{name} wrote no row of this log; {', '.join(sorted(there))} did")
    if both := set(canary) & set(control or ()):
        raise ValueError(f"{', '.join(sorted(both))} cannot be in both arms")
    mine = np.isin(served, list(canary))
    if control is None:
        return ArmRows(mine, ~mine, 0, 0)
    theirs = np.isin(served, list(control))
    place = log.unit if stratum is None else group(log.unit).code * (stratum.max() + 1) + stratum
    places = group(place)
    seen = [np.bincount(places.code, rows, places.n) > 0 for rows in (mine, theirs)]
    other = ~(mine | theirs)
    of_canary = other & (seen[0] & ~seen[1])[places.code]
    of_control = other & (seen[1] & ~seen[0])[places.code]
    moved = int(of_canary.sum() + of_control.sum())
    return ArmRows(mine | of_canary, theirs | of_control, moved, int(other.sum()) - moved)


def units_of_log(
    log: LoggedDataset,
    rows: ArmRows,
    *,
    stratum: NDArray[Any] | None = None,
    past: LoggedDataset | None = None,
) -> TrialUnits:
    """Users (sessions of a log without users) with the metrics reward, decisions and ended
    (sessions that the user left). `past` is an earlier log: what its users were paid is the
    covariate, and the others have none.

    Raises:
        LogError: a user column that tells nobody apart.
    """
    log.require_users()
    kept = np.flatnonzero(rows.canary | rows.control)
    user, canary = log.unit[kept], rows.canary[kept]
    stage = np.zeros(len(kept), np.int64)
    if stratum is not None:
        stage = np.unique(stratum, return_inverse=True)[1][kept].astype(np.int64)
    values = np.stack([log.reward, np.ones(len(log)), log.terminated], axis=1)[kept]
    begun = group(2 * (log.sessions[kept] * (stage.max(initial=0) + 1) + stage) + canary).first
    sessions = np.zeros(len(kept))
    sessions[begun] = 1
    covariate = None if past is None else past_totals(past, log, user)
    return units_of(user, canary, stage, values, METRICS, sessions=sessions, covariate=covariate)


def past_totals(past: LoggedDataset, log: LoggedDataset, user: NDArray[Any]) -> NDArray[np.float64]:
    """(U,) reward of each user in an earlier log, not a number for those who were not there.

    Raises:
        ValueError: one of the logs has no users.
    """
    if past.user is None or log.user is None:
        raise ValueError("a past of users needs the column `user` in both logs")
    ids, code = np.unique(past.user, return_inverse=True)
    total = np.bincount(code, past.reward, len(ids))
    at = np.minimum(np.searchsorted(ids, user), len(ids) - 1)
    return np.where(ids[at] == user, total[at], np.nan)
