"""Putting logs end to end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError

if TYPE_CHECKING:
    from offpolicy.log.dataset import LoggedDataset


def join_columns(logs: Sequence[LoggedDataset]) -> dict[str, Any]:
    """The columns of the logs one after another, as fields of one LoggedDataset."""
    if not logs:
        raise LogError("nothing to join: concat needs at least one log.")
    first = logs[0]
    for i, log in enumerate(logs):
        if log.n_items != first.n_items or log.slate_size != first.slate_size:
            raise LogError(
                f"log {i} has slates of {log.slate_size} of {log.n_items} items, log 0 of "
                f"{first.slate_size} of {first.n_items}; only logs of one catalogue and one slate "
                "size can be joined."
            )
        odd = _row_names(log) ^ _row_names(first)
        if odd:
            raise LogError(
                f"log {i} and log 0 do not both carry {', '.join(sorted(odd))}; add the column to "
                "both or leave it out of both."
            )
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(log, name) for log in logs]) for name in _row_names(first)
    }
    columns["session"] = _sessions(logs)
    columns["n_items"] = first.n_items
    sources = {log.propensity_source for log in logs}
    columns["propensity_source"] = "estimated" if "estimated" in sources else "logged"
    return columns | _priors(logs)


def _row_names(log: LoggedDataset) -> set[str]:
    return {name for name in log.columns() if not name.startswith("prior_")}


def _sessions(logs: Sequence[LoggedDataset]) -> NDArray[np.int64]:
    ids = [np.unique(log.session[log.groups.first]) for log in logs]
    joined = np.concatenate(ids)
    if len(np.unique(joined)) == len(joined):
        return np.concatenate([log.session for log in logs])
    offset = np.cumsum([0] + [log.n_sessions for log in logs[:-1]])
    return np.concatenate([log.sessions + o for log, o in zip(logs, offset, strict=True)])


def _priors(logs: Sequence[LoggedDataset]) -> dict[str, NDArray[Any]]:
    """Prior histories, padded on the left to the longest."""
    if all(log.prior_items is None for log in logs):
        return {}
    width = max(0 if log.prior_items is None else log.prior_items.shape[1] for log in logs)
    items, responses = [], []
    for log in logs:
        n, r = log.n_sessions, 0 if log.responses is None else log.responses.shape[1]
        padded = np.full((n, width), -1, np.int32)
        told = np.zeros((n, width, r), np.float32)
        if log.prior_items is not None and log.prior_items.shape[1]:
            padded[:, -log.prior_items.shape[1] :] = log.prior_items
            if log.prior_responses is not None:
                told[:, -log.prior_items.shape[1] :] = log.prior_responses
        items.append(padded)
        responses.append(told)
    found: dict[str, NDArray[Any]] = {"prior_items": np.concatenate(items)}
    if any(log.prior_responses is not None for log in logs):
        found["prior_responses"] = np.concatenate(responses)
    return found
