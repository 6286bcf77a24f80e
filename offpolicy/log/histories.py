"""Histories are not stored: they are what the earlier rows of a session consumed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.checks import Columns
from offpolicy.log.groups import I64, Groups, in_group_order

ROWS = 1 << 16  # rows gathered at a time: bounds the index matrix to ROWS x H


def histories(
    columns: Columns, sessions: Groups, length: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Items (N, H) int32 and their responses (N, H, R) float32 as the policy saw them at each row.

    Oldest first, the most recent last, -1 (responses 0) on the left where there was less. Memory is
    the result plus one entry per consumed item. The log has whole sessions.
    """
    items, responses, start, end = _event_stream(columns, sessions)
    n, width = len(columns["step"]), responses.shape[1]
    history = np.full((n, length), -1, np.int32)
    observed = np.zeros((n, length, width), np.float32)
    back = np.arange(-length, 0)
    for at in range(0, n, ROWS):
        rows = slice(at, at + ROWS)
        where = end[rows, None] + back  # (b, H)
        inside = where >= start[rows, None]
        where[~inside] = 0
        history[rows] = np.where(inside, items[where], -1)
        if width:
            observed[rows] = responses[where] * inside[..., None]
    return history, observed


def _event_stream(
    columns: Columns, sessions: Groups
) -> tuple[NDArray[np.int32], NDArray[np.float32], I64, I64]:
    """All events, session after session, and for every row where its session's events start and
    where those before the row end: items (E,), responses (E, R), start (N,), end (N,)."""
    code, n = sessions.code, len(columns["step"])
    order = in_group_order(sessions, columns["step"])
    consumed, observed = columns.get("consumed"), columns.get("responses")
    prior, prior_observed = columns.get("prior_items"), columns.get("prior_responses")
    n_prior = (np.zeros((sessions.n, 0)) if prior is None else prior >= 0).sum(1).astype(np.int64)
    took = np.zeros(n, bool) if consumed is None else consumed >= 0
    size = n_prior + np.bincount(code, weights=took, minlength=sessions.n).astype(np.int64)
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
    responses = np.zeros((len(items), 0 if observed is None else observed.shape[1]), np.float32)
    if consumed is not None:
        items[end[took]] = consumed[took]
        if observed is not None:
            responses[end[took]] = observed[took]
    if prior is not None:
        present = prior >= 0
        index = (base[:, None] + np.cumsum(present, axis=1) - 1)[present]
        items[index] = prior[present]
        if prior_observed is not None:
            responses[index] = prior_observed[present]
    return items, responses, base[code], end
