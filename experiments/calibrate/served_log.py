"""A log of decisions as the arrays that a world is fitted to, and its loggers one by one."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offpolicy import LoggedDataset
from recsim_env.calibration.served.log import RESPONSES, ServedLog


def served_log(log: LoggedDataset) -> ServedLog:
    """What was shown, taken (or nothing), paid and observed, and when users left.

    A truncated session is one that nobody left.

    Raises:
        ValueError: the log does not say what was taken, or a session has missing steps.
    """
    if log.consumed is None:
        raise ValueError(
            "the log has no `consumed`: a world is fitted to what was taken of each slate. Log the "
            "item, and -1 where nothing was taken; --columns consumed=NAME names the column"
        )
    log.require_whole_sessions("users' states would not be what they were.")
    return ServedLog.of(
        session=log.sessions,
        step=log.step,
        slate=log.slate,
        consumed=log.consumed,
        reward=log.reward,
        left=log.terminated,
        n_items=log.n_items,
        responses=log.responses,
        candidates=log.candidates,
        prior_items=log.prior_items,
        prior_responses=three(log.prior_responses),
        max_steps=log.max_steps,
    )


def three(responses: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """(S, H0, 3) what was observed of earlier items, as environments show it."""
    if responses is None:
        return None
    out = np.zeros((*responses.shape[:2], RESPONSES), np.float32)
    kept = min(RESPONSES, responses.shape[2])
    out[:, :, :kept] = responses[:, :, :kept]
    return out


def by_logger(log: LoggedDataset, fewest: int) -> dict[str, LoggedDataset]:
    """The sessions of each logger by its name, where a log has several and each so many sessions;
    sessions that several loggers served are nobody's."""
    if log.logger is None:
        return {}
    names, code = np.unique(log.logger.astype(str), return_inverse=True)
    first = np.full(log.n_sessions, -1)
    first[log.sessions] = code  # the last row's; a session of several has a row of another
    mixed = np.zeros(log.n_sessions, np.bool_)
    mixed[log.sessions[code != first[log.sessions]]] = True
    own = {
        str(name): log.take((first[log.sessions] == at) & ~mixed[log.sessions])
        for at, name in enumerate(names.tolist())
        if ((first == at) & ~mixed).sum() >= fewest
    }
    return own if len(own) > 1 else {}
