"""A log at the door of whatever learns from it: the policy's own catalogue, one order of rows."""

from __future__ import annotations

import numpy as np

from offpolicy.log.dataset import LoggedDataset
from policies.observation import Serving, check_catalogue


def learning_log(log: LoggedDataset, serving: Serving) -> LoggedDataset:
    """The log as learners read it: session by session, and in the order of steps inside each.

    Production logs are in order of time, so that their sessions interleave. Sessions stand in the
    order of their ids: one log gives one policy, in whatever order its rows were written.

    Raises ValueError when the log is of another catalogue than the policy's.
    """
    check_catalogue(log, serving)
    return session_by_session(log)


def session_by_session(log: LoggedDataset) -> LoggedDataset:
    """The same rows by (session, step); the log itself where they stand so already."""
    new = log.session[1:] != log.session[:-1]
    grows = np.where(new, log.session[1:] > log.session[:-1], log.step[1:] > log.step[:-1])
    return log if grows.all() else log.take(np.lexsort((log.step, log.session)))
