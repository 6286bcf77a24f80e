"""How much likelier a target is to be in a state than the log: learned from the rows, and how a
value moves with the rows that it was learned from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators.terms import F64, I64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.models.reward_model import next_rows

CONDITION = 1e12  # above it the balance of visits is singular


class StepStates:
    """Weights made of rho_t(s), and how a value moves with the rows that rho was learned from: the
    rows of a step and state share their mean, whose derivative is carried back step by step."""

    def __init__(
        self, log: LoggedDataset, ratio: F64, state: I64, steps: int, acted: I64 | None
    ) -> None:
        """`acted` (N,) codes of step, state and action over which weights are averaged."""
        self.ratio, self.acted = ratio, acted
        self.following = next_rows(log)
        self.back = np.full(len(log), -1, np.int64)
        goes_on = self.following >= 0
        self.back[self.following[goes_on]] = np.flatnonzero(goes_on)
        self.cell = codes(cells(log.step, state))
        self.step = np.asarray(log.step)
        self.rho = state_ratios(log, ratio, state)
        self.source, self.product = lagged(self.back, ratio, steps)
        self.plain = self.product * self.rho[self.source] * ratio
        self.weight = self.plain if acted is None else cell_means(self.plain, acted)
        before = self.weight[self.back]  # of the previous row: Kallus & Uehara's rho_{t-1}
        self.weight_before = np.where(self.back >= 0, before, 1.0)

    def __call__(self, slope: F64, slope_before: F64) -> F64:
        """(N,) as `Terms.learned`."""
        goes_on = self.following >= 0
        slope = slope.copy()
        slope[goes_on] += slope_before[self.following[goes_on]]
        moved = np.zeros(len(slope))
        if self.acted is not None:
            slope = cell_means(slope, self.acted)
            moved += (self.plain - self.weight) * slope
        total: F64 = np.asarray(
            np.bincount(self.source, slope * self.product * self.ratio, len(slope)), np.float64
        )
        size = np.bincount(self.cell)
        mean = np.zeros(len(size))  # of the slope in rho over the rows of a cell
        order = np.argsort(self.step, kind="stable")
        for rows in np.split(order, np.flatnonzero(np.diff(self.step[order])) + 1)[::-1]:
            on = rows[goes_on[rows]]
            total[on] += self.ratio[on] * mean[self.cell[self.following[on]]]
            mean += np.bincount(self.cell[rows], total[rows], len(size)) / size
        later = np.flatnonzero(self.back >= 0)
        came = self.back[later]
        arrived = self.rho[came] * self.ratio[came] - self.rho[later]
        moved[later] += arrived * mean[self.cell[later]]
        return moved


class StationaryStates:
    """How a value moves with the rows that the balance of `stationary_ratios` was made of."""

    def __init__(self, log: LoggedDataset, ratio: F64, state: I64, gamma: float, rho: F64) -> None:
        self.ratio, self.state, self.gamma, self.rho = ratio, state, gamma, rho
        self.following = next_rows(log)
        self.first = np.asarray(log.step) == 0

    def __call__(self, slope: F64, slope_before: F64) -> F64:
        """(N,) as `Terms.learned`."""
        balance, _ = _balance(self.first, self.following, self.ratio, self.state, self.gamma)
        paid = np.bincount(self.state, slope * self.ratio + slope_before, len(balance))
        worth = np.linalg.solve(balance.T, paid)
        moved = np.where(self.first, worth[self.state], 0.0) - self.rho * worth[self.state]
        on = np.flatnonzero(self.following >= 0)
        ahead = worth[self.state[self.following[on]]]
        moved[on] += self.gamma * self.ratio[on] * self.rho[on] * ahead
        return np.asarray(moved)


def state_ratios(log: LoggedDataset, ratio: F64, state: I64) -> F64:
    """rho_t(s_t) (N,): how much likelier the target is to be in the row's state at the row's step,
    by recursion: the mean of rho_{t-1} ratio_{t-1} over rows that came to s. Xie et al. (2019)."""
    following = next_rows(log)
    rho = np.ones(len(log))
    rows = np.flatnonzero(log.step == 0)
    while (rows := rows[following[rows] >= 0]).size:
        later = following[rows]
        rho[later] = cell_means(rho[rows] * ratio[rows], state[later])
        rows = later
    return rho


def lagged(back: I64, ratio: F64, steps: int) -> tuple[I64, F64]:
    """The row (N,) `steps` before each, or the session's first where that is nearer, and the
    product (N,) of the ratios from there to the row before this; `back` (N,) is the row before,
    -1 at the start."""
    if steps < 0:
        raise ValueError(f"steps = {steps}; it is the number of ratios multiplied, 0 or more")
    at, product = np.arange(len(back)), np.ones(len(back))
    for _ in range(steps):
        inside = back[at] >= 0
        if not inside.any():
            break
        at = np.where(inside, back[at], at)
        product[inside] *= ratio[at[inside]]
    return at, product


def stationary_ratios(log: LoggedDataset, ratio: F64, state: I64, gamma: float) -> F64:
    """w(s) (N,): discounted visits to the state under the target for each visit in the log, from
    the balance visits(s) = starts(s) + gamma * flow into s. Liu et al. (2018), tabular.

    Raises:
        ValueError: the balance has no one solution (gamma = 1 and states that are never left).
    """
    balance, starts = _balance(log.step == 0, next_rows(log), ratio, state, gamma)
    if np.linalg.cond(balance) > CONDITION:
        raise ValueError(
            "the target's visits cannot be solved for: with gamma = 1 it must be able to leave "
            "every state. Set gamma below 1, or use coarser states."
        )
    visits = np.linalg.solve(balance, starts)
    if (visits < -1e-9 * np.abs(visits).max()).any():
        raise ValueError(
            "the logged weights let some state be entered more often than visited: too few "
            "sessions for these states. Use coarser states, gamma below 1 or more sessions."
        )
    return np.asarray(np.maximum(visits, 0.0)[state])


def _balance(
    first: NDArray[np.bool_], following: I64, ratio: F64, state: I64, gamma: float
) -> tuple[F64, F64]:
    """(S, S) visits minus discounted flow, and (S,) starts: balance @ ratio of visits = starts."""
    n_states = int(state.max()) + 1
    seen = np.bincount(state, minlength=n_states).astype(np.float64)
    starts = np.bincount(state[first], minlength=n_states).astype(np.float64)
    moved = np.flatnonzero(following >= 0)
    flow = np.zeros((n_states, n_states))
    np.add.at(flow, (state[following[moved]], state[moved]), ratio[moved])
    return np.diag(seen) - gamma * flow, starts


def cell_means(x: F64, cell: I64) -> F64:
    """Each entry replaced by the mean of its cell."""
    _, code = np.unique(cell, return_inverse=True)
    return np.asarray((np.bincount(code, x) / np.bincount(code))[code])


def codes(x: NDArray[np.generic]) -> I64:
    return np.asarray(np.unique(x, return_inverse=True)[1], np.int64)


def cells(a: NDArray[np.integer], b: I64) -> I64:
    return a.astype(np.int64) * (int(b.max()) + 1) + b
