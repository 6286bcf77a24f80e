"""What an item pays once taken, and what is observed of it: shrunk means, and the state."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recsim_env.calibration.served.log import F64, I64, ServedLog
from recsim_env.calibration.served.state import State

ROUNDS = 6
TINY = 1e-12


class Pay(NamedTuple):
    """Reward of what is taken."""

    item: F64  # (A,) where preferences and state are 0
    purse: F64  # (S,) of each session's user, about 0
    slopes: F64  # (3,) per unit of preference, of likeness and of wear
    spread: float  # standard deviation of what is not explained
    low: float
    high: float
    binary: bool
    idle: float  # when nothing is taken


class Responses(NamedTuple):
    """What is observed of an item taken."""

    item: F64  # (A, R) means
    slope: F64  # (R,) per unit of reward above the item's
    spread: F64  # (R,) standard deviation of the rest
    low: F64  # (R,)
    high: F64  # (R,)


def shrunk(values: F64, code: I64, size: int) -> F64:
    """Random effects (size,) about 0 of groups `code` (N,), given values (N,).

    Group means shrunk by the variances within and between groups, which are estimated by the method
    of moments (Searle, Casella and McCulloch, 1992); groups without values are at 0.
    """
    counts = np.bincount(code, minlength=size).astype(np.float64)
    some = counts > 0
    means = np.zeros(size)
    means[some] = np.bincount(code, values, size)[some] / counts[some]
    free = len(values) - some.sum()
    if free <= 0 or some.sum() < 2:
        return np.zeros(size)
    within = float(((values - means[code]) ** 2).sum() / free)
    grand = float(values.mean())
    total = float((counts * (means - grand) ** 2).sum())
    scale = len(values) - float((counts**2).sum()) / len(values)
    between = max((total - (some.sum() - 1) * within) / max(scale, TINY), 0.0)
    weight = between * counts / np.maximum(between * counts + within, TINY)
    return np.where(some, weight * (means - grand), 0.0)


def taken_covariates(log: ServedLog, state: State, match: F64) -> tuple[NDArray[np.intp], F64]:
    """Rows (M,) on which something was taken, and (M, 3) preference, likeness and minus wear."""
    rows = np.flatnonzero(log.position >= 0)
    at = log.position[rows]
    return rows, np.stack(
        [match[rows, at], state.likeness[rows, at], -state.worn[rows, at]], axis=1
    )


def fit_pay(log: ServedLog, state: State, match: F64) -> Pay:
    """By turns the coefficients, the items' means and the users' own level (backfitting).

    `match` (N, K) is the posterior mean of the user's preference for each item of the slate, so
    that the slopes are those of the preference itself (regression calibration: Carroll et al.,
    2006).
    """
    rows, x = taken_covariates(log, state, match)
    y, items, who = log.reward[rows], log.consumed[rows], log.session[rows]
    item, purse, slopes = np.zeros(log.n_items), np.zeros(log.n_sessions), np.zeros(3)
    free = log.reward[log.position < 0]
    idle = float(free.mean()) if len(free) else 0.0
    if not len(y):
        return Pay(item, purse, slopes, spread=0.0, low=0.0, high=0.0, binary=False, idle=idle)
    grand = float(y.mean())
    for _ in range(ROUNDS):
        rest = y - grand - item[items] - purse[who]
        centred = x - x.mean(0)
        slopes = np.linalg.lstsq(
            centred.T @ centred + TINY * np.eye(3), centred.T @ (rest - rest.mean()), rcond=None
        )[0]
        explained = centred @ slopes
        item = shrunk(y - grand - explained - purse[who], items, log.n_items)
        purse = shrunk(y - grand - explained - item[items], who, log.n_sessions)
    base = grand - float(x.mean(0) @ slopes)
    gap = y - (base + x @ slopes + item[items] + purse[who])
    values = np.unique(y)
    return Pay(
        item=base + item,
        purse=purse,
        slopes=slopes,
        spread=float(gap.std()),
        low=float(values[0]),
        high=float(values[-1]),
        binary=len(values) == 2,
        idle=idle,
    )


def extra_reward(log: ServedLog, pay: Pay) -> F64:
    """(N,) reward above the item's own; 0 where nothing was taken."""
    items = log.consumed
    return np.where(items >= 0, log.reward - pay.item[np.maximum(items, 0)], 0.0)


def expected_pay(pay: Pay, items: I64, x: F64) -> F64:
    """(M,) expected reward of items taken (M,), at covariates (M, 3), of an average user."""
    return np.clip(pay.item[items] + x @ pay.slopes, pay.low, pay.high)


def fit_responses(log: ServedLog, pay: Pay) -> Responses:
    """Shrunk means of items, and how responses go with the reward beyond them."""
    rows = np.flatnonzero(log.position >= 0)
    items, seen = log.consumed[rows], log.responses[rows]
    extra = log.reward[rows] - pay.item[items]
    parts = [response_of(seen[:, r], items, extra, log.n_items) for r in range(seen.shape[1])]
    item, slope, spread = (np.array(part) for part in zip(*parts, strict=True))
    low = seen.min(0) if len(rows) else np.zeros(seen.shape[1])
    high = seen.max(0) if len(rows) else np.zeros(seen.shape[1])
    return Responses(item.T, slope, spread, low, high)


def response_of(values: F64, items: I64, extra: F64, n_items: int) -> tuple[F64, float, float]:
    """Means (A,), slope on the reward beyond the item's, and the spread of the rest."""
    if not len(values):
        return np.zeros(n_items), 0.0, 0.0
    counts = np.maximum(np.bincount(items, minlength=n_items), 1)

    def inside(x: F64) -> F64:
        return x - (np.bincount(items, x, n_items) / counts)[items]

    x = inside(extra)
    slope = float(x @ inside(values) / max(float(x @ x), TINY))
    rest = values - slope * extra
    item = float(rest.mean()) + shrunk(rest, items, n_items)
    return item, slope, float((rest - item[items]).std())
