"""The sessions that judge a challenger: served by the champion, and seen by neither."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.log.dataset import LoggedDataset
from policies.base import Policy
from policies.scoring import score_log
from serving.live import FALLBACK

ALIKE = 1e-3  # by how much a weight of the policy that served may differ from 1
MOSTLY = 0.99  # of its rows, the others being those of a fallback


def served_by(log: LoggedDataset, version: str, champion: Policy) -> LoggedDataset:
    """Whole sessions that the champion served, and the fallback in its place: by the version that
    the log names, else by what it would have logged.

    Raises LogError where there is none: nothing compares a challenger with it then.
    """
    own = _by_name(log, version) if log.logger is not None else None
    if own is None:
        own = _by_propensity(log, champion)
    if not own.any():
        raise LogError(
            f"version {version} served none of the log's {log.n_sessions:,} held-out sessions: the "
            "uplift would be over another policy. Wait until the log holds sessions of it, or name "
            "the version that served (champion)"
        )
    return log if own.all() else log.take(own[log.sessions])


def refuse_seen(log: LoggedDataset, seen: NDArray[np.int64], version: str, split_seed: int) -> None:
    """Raise LogError where units that taught a version are among those that judge."""
    units = np.unique(log.unit)
    both = units[np.isin(units, seen)]
    if not len(both):
        return
    what = "session" if log.user is None else "user"
    first = log.unit_names(both[:1])[0]
    raise LogError(
        f"{len(both):,} of {len(units):,} {what}s that judge (the first: {first}) taught version "
        f"{version} or one before it: it would look better than it is. Split with its seed and "
        f"shares (its lineage says them; now split_seed={split_seed}), or judge on newer {what}s"
    )


def _by_name(log: LoggedDataset, version: str) -> NDArray[np.bool_] | None:
    """(S,) sessions of the version; None where the log does not know its name."""
    assert log.logger is not None
    mine, fallback = log.logger == version, log.logger == FALLBACK
    if not mine.any():
        return None
    return _any(log, mine) & ~_any(log, ~(mine | fallback))


def _by_propensity(log: LoggedDataset, champion: Policy) -> NDArray[np.bool_]:
    """(S,) sessions of loggers whose propensities are the champion's."""
    weight = score_log(champion, log, n_slates=0).propensity / log.propensity
    same = np.abs(weight - 1) <= ALIKE
    if log.logger is None:
        return np.full(log.n_sessions, same.mean() > MOSTLY)
    _, code = np.unique(log.logger, return_inverse=True)
    mine = (np.bincount(code, same) > MOSTLY * np.bincount(code))[code]
    fallback = log.logger == FALLBACK
    return _any(log, mine) & ~_any(log, ~(mine | fallback))


def _any(log: LoggedDataset, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(S,) whether one of a session's rows is among these."""
    return np.asarray(np.bincount(log.sessions, rows, log.n_sessions) > 0)
