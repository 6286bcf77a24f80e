"""All that is looked for in users, as one check of a log."""

from __future__ import annotations

from numpy.typing import ArrayLike

from offpolicy.doctor.log_check import LogCheck
from offpolicy.log.dataset import LoggedDataset
from offpolicy.poisoning.bots import bots
from offpolicy.poisoning.heavy_users import heavy_users


def check_users(log: LoggedDataset, *, time: ArrayLike | None = None) -> LogCheck:
    """Heavy users and patterns of bots; `time` (N,) of decisions (s, or dates) adds their gaps.

    Raises:
        LogError: times that do not fit the log.
    """
    return LogCheck((*heavy_users(log), *bots(log, time=time).findings))
