"""Histories are not stored: they are what the earlier rows of a session consumed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.checks import require_whole_sessions
from offpolicy.log.groups import I64, in_group_order

if TYPE_CHECKING:
    from offpolicy.log.dataset import LoggedDataset

ROWS = 1 << 16  # rows gathered at a time: bounds the index matrix to ROWS x H


def histories(log: LoggedDataset, length: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Items (N, H) int32 and their responses (N, H, R) float32 as the policy saw them at each row.

    Oldest first, the most recent last, -1 (responses 0) on the left where there was less. Memory is
    the result plus one entry per consumed item.

    Raises:
        LogError: a session has missing steps.
    """
    require_whole_sessions(log, "histories would not be what the policy was shown.")
    items, responses, start, end = _event_stream(log)
    width = responses.shape[1]
    out = np.full((len(log), length), -1, np.int32)
    told = np.zeros((len(log), length, width), np.float32)
    back = np.arange(-length, 0)
    for at in range(0, len(log), ROWS):
        rows = slice(at, at + ROWS)
        where = end[rows, None] + back  # (b, H)
        seen = where >= start[rows, None]
        where[~seen] = 0
        out[rows] = np.where(seen, items[where], -1)
        if width:
            told[rows] = responses[where] * seen[..., None]
    return out, told


def _event_stream(
    log: LoggedDataset,
) -> tuple[NDArray[np.int32], NDArray[np.float32], I64, I64]:
    """All events, session after session, and for every row where its session's events start and
    where those before the row end: items (E,), responses (E, R), start (N,), end (N,)."""
    code = log.groups.code
    order = in_group_order(log.groups, log.step)
    width = 0 if log.responses is None else log.responses.shape[1]
    prior = log.prior_items if log.prior_items is not None else np.zeros((log.n_sessions, 0))
    n_prior = (prior >= 0).sum(1)
    took = np.zeros(len(log), bool) if log.consumed is None else log.consumed >= 0
    size = n_prior + np.bincount(code, weights=took, minlength=log.n_sessions).astype(np.int64)
    base = np.cumsum(size) - size  # (S,) where the session's events start

    in_order = code if order is None else code[order]
    taken = took if order is None else took[order]
    before = np.cumsum(taken) - taken  # events of all sessions up to the row
    head = np.ones(len(code), bool)
    head[1:] = in_order[1:] != in_order[:-1]
    since = before - before[head][np.cumsum(head) - 1]
    end_in_order = base[in_order] + n_prior[in_order] + since
    end = end_in_order if order is None else np.empty_like(end_in_order)
    if order is not None:
        end[order] = end_in_order

    items = np.full(max(int(size.sum()), 1), -1, np.int32)
    responses = np.zeros((len(items), width), np.float32)
    if log.consumed is not None:
        items[end[took]] = log.consumed[took]
        if log.responses is not None:
            responses[end[took]] = log.responses[took]
    if log.prior_items is not None:
        held = log.prior_items >= 0
        place = (base[:, None] + np.cumsum(held, axis=1) - 1)[held]
        items[place] = log.prior_items[held]
        if log.prior_responses is not None:
            responses[place] = log.prior_responses[held]
    return items, responses, base[code], end
