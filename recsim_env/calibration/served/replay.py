"""Sessions of a fitted world under the slates that a log shows: does it live as the log did?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsim_env.calibration.served.log import F64, I64, Clock, ServedLog
from recsim_env.calibration.world import FittedWorld


class Sessions(NamedTuple):
    """What sessions came to."""

    returns: F64  # (S,)
    steps: I64  # (S,) decisions
    by_step: F64  # (T,) mean reward at each step, users who left counted 0
    take_rate: float


def logged(log: ServedLog) -> Sessions:
    """The sessions of a log."""
    by_step = np.bincount(log.step, log.reward) / log.n_sessions
    taken = float((log.position >= 0).mean())
    return Sessions(log.returns(), np.diff(log.starts), by_step, taken)


def replayed(world: FittedWorld, log: ServedLog, n: int, seed: int) -> Sessions:
    """Users of the world, each shown slates of the log, drawn at random from those of the same
    step: what a policy would show that does not look at its user.

    Raises:
        ValueError: no slate of the log is full.
    """
    whole = full(log)
    by_time = [rows[whole[rows]] for rows in Clock.of(log).rows]
    known = [rows for rows in by_time if len(rows)]
    if not known:
        raise ValueError("every slate of the log has an empty place or shows an item twice")
    longest = log.max_steps or len(by_time)
    env = world.make_vec(
        n, n_candidates=None, slate_size=log.slate.shape[1], max_steps=longest, history_length=0
    )
    env.reset(seed=seed)
    rng = np.random.default_rng(seed)
    returns, steps, taken = np.zeros(n), np.zeros(n, np.int64), 0
    by_step, going = np.zeros(longest), np.ones(n, np.bool_)
    for t in range(longest):
        rows = by_time[t] if t < len(by_time) and len(by_time[t]) else known[-1]
        slates = log.slate[rng.choice(rows, n)]
        action = slates[:, 0] if slates.shape[1] == 1 else slates
        _, reward, terminated, truncated, infos = env.step(action)
        returns[going] += reward[going]
        by_step[t] = reward[going].sum() / n
        steps += going
        taken += int((infos["consumed"][going] >= 0).sum())
        going &= ~(terminated | truncated)
    return Sessions(returns, steps, by_step, taken / max(int(steps.sum()), 1))


def full(log: ServedLog) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """(N,) whether a slate fills its places with different items."""
    ordered = np.sort(log.slate, axis=1)
    return np.asarray((ordered[:, 0] >= 0) & (ordered[:, 1:] > ordered[:, :-1]).all(1))
