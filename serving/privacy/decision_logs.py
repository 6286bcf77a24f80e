"""A user is taken out of a decision log that was joined before."""

from __future__ import annotations

import os

import numpy as np

from offpolicy.errors import LogError
from offpolicy.storage.parquet import read_log, write_log


def forget_rows(folder: str | os.PathLike[str], key: str) -> int:
    """Rewrite a decision log without the rows of the user of a key (`Keys.user`), as one part;
    returns how many there were. A reader sees the old log or the new one.

    Raises LogError where there is no log, it names no users, or all of its rows are the user's.
    """
    log = read_log(folder)
    if log.user is None or "user" not in log.names:
        raise LogError(f"{folder} names no users: whose its rows are is not known.")
    users, of_row = np.unique(log.user, return_inverse=True)
    theirs = np.array([name == key for name in log.names_of("user", users)])[of_row]
    if theirs.all():
        raise LogError(f"all rows of {folder} are of this user: remove the folder.")
    if theirs.any():
        write_log(log.take(~theirs), folder)
    return int(theirs.sum())
