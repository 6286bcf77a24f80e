"""Transitions of a log: encoded states, what was offered and shown, rewards and returns."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from offpolicy.log.dataset import LoggedDataset
from policies.features import StateFeatures
from policies.observation import columns_of, observation_of_log
from policies.rl.data.collector import encode
from policies.rl.data.replay import place_of

F32 = NDArray[np.float32]
I64 = NDArray[np.int64]


class LoggedTransitions(NamedTuple):
    """N logged decisions. C = 0 columns of items on offer stand for the whole catalogue."""

    state: F32  # (N, D)
    items: I64  # (N, C) item ids on offer, -1 = not eligible
    shown: I64  # (N, K) columns of the slate, -1 = empty place
    place: I64  # (N,) of the slate that was taken, K = none
    credit: F32  # (N, K) 1 = the decision's gain is this place's; `credit_of`
    propensity: F32  # (N,) of the whole slate
    first: F32  # (N,) of the action's item to stand first; nan where the log does not tell
    reward: F32  # (N,) in learning units
    to_go: F32  # (N,) discounted reward from here to the end of what was logged of the session
    later: I64  # (N,) row of the session's next decision; -1 = the user left
    whole: NDArray[np.bool_]  # (N,) False = what came next was not logged: no next row, no end

    def action(self) -> I64:
        """The column (N,) that stands for the slate: what was taken, or else the first place."""
        return action_columns(self.shown, self.place)


class LogBatch(NamedTuple):
    """Some rows as tensors, with the next decision's state beside them."""

    state: Tensor
    items: Tensor
    shown: Tensor
    place: Tensor
    credit: Tensor
    propensity: Tensor
    first: Tensor
    reward: Tensor
    to_go: Tensor
    alive: Tensor  # (B,) 1 = a next decision follows
    next_state: Tensor
    next_items: Tensor

    def action(self) -> Tensor:
        """The column (B,) that stands for the slate: what was taken, or else the first place."""
        k = self.shown.shape[1]
        place = torch.where(self.place < k, self.place, 0)
        return self.shown.gather(1, place[:, None]).squeeze(1)


def logged_transitions(
    log: LoggedDataset, features: StateFeatures, *, gamma: float, reward_scale: float
) -> LoggedTransitions:
    """Decisions of a log, session by session; `observation_of_log` says what it must hold.

    A session's last row ends it unless the row is truncated; in a log that has `terminated` rows it
    must be one of them. What came after any other last row was not logged.
    """
    obs = observation_of_log(log, features.serving)
    encoded = encode(features, obs)
    n = len(log)
    last = np.append(log.session[1:] != log.session[:-1], True)
    if last.sum() != log.n_sessions:
        raise ValueError("sessions interleave: order the log by policies.learning.learning_log")
    reward = (log.reward / reward_scale).astype(np.float32)
    # where no row says that its user left, the flag was not logged: sessions end with their rows
    cut = last & (~log.terminated if log.terminated.any() else log.truncated)
    consumed = np.full(n, -1) if log.consumed is None else log.consumed
    place = place_of(log.slate, consumed.astype(np.int32))
    shown = columns_of(obs, log.slate).astype(np.int64)
    return LoggedTransitions(
        state=encoded.state,
        items=encoded.items.astype(np.int64),
        shown=shown,
        place=place.astype(np.int64),
        credit=credit_of(shown, None if log.consumed is None else place),
        propensity=log.propensity.astype(np.float32),
        first=_first_place(log, action_columns(shown, place)),
        reward=reward,
        to_go=returns_to_go(reward, last, gamma),
        later=np.where(last, -1, np.arange(n) + 1),
        whole=~cut,
    )


def action_columns(shown: I64, place: NDArray[np.integer]) -> I64:
    """Of slates of columns (N, K) the one (N,) that was taken, or else the first; -1 = empty."""
    at = np.where(place < shown.shape[1], place, 0)
    return np.take_along_axis(shown, at[:, None], axis=1)[:, 0]


def credit_of(shown: I64, place: NDArray[np.integer] | None) -> F32:
    """(N, K) the places whose choice brought about what followed a decision.

    Reward and next state depend on a slate through the item taken alone: Ie et al. (2019), SlateQ's
    second assumption. The others of its slate get no credit, and where nothing was taken none does:
    whose fault that was is unknown. All share it where nobody logged what was taken (place = None),
    and an item shown alone answers for what it brought.
    """
    filled = shown >= 0
    if place is None:
        return filled.astype(np.float32)
    taken = np.arange(shown.shape[1]) == place[:, None]
    alone = filled.sum(axis=1, keepdims=True) == 1
    credit: F32 = ((taken | alone) & filled).astype(np.float32)
    return credit


def _first_place(log: LoggedDataset, column: I64) -> F32:
    """(N,) the logged chance of the action's item to stand first."""
    if log.candidate_propensity is None:
        return np.full(len(log), np.nan, np.float32)
    logged = log.candidate_propensity[np.arange(len(log)), np.maximum(column, 0)]
    first: F32 = np.where(column >= 0, logged, 1.0).astype(np.float32)
    return first


def returns_to_go(reward: F32, last: NDArray[np.bool_], gamma: float) -> F32:
    """Discounted reward (N,) from each row to the last row of its session."""
    total = np.empty(len(reward))
    after = 0.0
    for row in range(len(reward) - 1, -1, -1):
        after = reward[row] + gamma * (0.0 if last[row] else after)
        total[row] = after
    return total.astype(np.float32)


def log_batch(transitions: LoggedTransitions, rows: I64) -> LogBatch:
    """These rows; a state that follows nothing is filled with row 0 and has alive = 0."""
    later = transitions.later[rows]
    after = np.maximum(later, 0)
    here = [column[rows] for column in transitions[:9]]
    follows = (later >= 0).astype(np.float32), transitions.state[after], transitions.items[after]
    return LogBatch(*(torch.from_numpy(column) for column in (*here, *follows)))
