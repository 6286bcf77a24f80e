"""What one arm is worth by itself: the mean of a session, with whole users as units."""

from __future__ import annotations

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.intervals.inference import Interval, interval
from offpolicy.trials.units import TrialUnits

LEAST_USERS = 10  # with fewer there are no bounds


def session_mean(units: TrialUnits, name: str, *, level: float = 0.95) -> Interval | None:
    """The sum of the metric `name` over all sessions by the number of sessions, whatever the arm
    and the stratum: a ratio, with Student's interval of its influence, clustered by user. None
    where there is no session; for one look, not for all looks together.

    Raises:
        ValueError: there is no metric of that name, or a level outside (0, 1).
    """
    x, users = units.metric(name), units.users
    sessions = np.bincount(users.code, units.sessions, users.n).astype(np.float64)
    if not sessions.sum() > 0:
        return None
    total = np.bincount(users.code, x, users.n).astype(np.float64)
    mean = float(total.sum() / sessions.sum())
    if users.n < LEAST_USERS:
        return Interval(mean, -np.inf, np.inf, np.inf, level, users.n)
    influence = (total - mean * sessions) / sessions.mean()
    return interval(Estimate(mean, influence, np.arange(users.n)), level)
