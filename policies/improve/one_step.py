"""One step of policy improvement: what an item pays now and what it does to the rest of a session.

The values are those of the policy that served: Monte-Carlo returns of its own log, and no value is
bootstrapped from another. Brandfonbrener, Whitney, Ranganath & Bruna (2021).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from offpolicy.log.dataset import LoggedDataset
from policies.configured import configured, part
from policies.observation import Observation, Serving
from policies.saved import Saved
from policies.score_policy import Exploration, ScorePolicy, Scores, pick

F64 = NDArray[np.float64]
STEPS = 64  # steps with a level of their own; later ones share the last


@dataclass(frozen=True, slots=True, kw_only=True)
class OneStepConfig(Exploration):
    """How scores, in units of the reward, become a distribution over slates."""


@dataclass(slots=True)
class OneStep:
    """Sums over logged decisions; more logs add to them."""

    serving: Serving
    count: F64  # (STEPS, A + 1) decisions by step and item taken; the last column is nothing taken
    now: F64  # (STEPS, A + 1) sums of the reward
    rest: F64  # (STEPS, A + 1) sums of the reward that followed
    squares: F64  # (2,) sums of squares of both

    def update(self, log: LoggedDataset) -> dict[str, float]:
        item, rest, whole = taken(log), rest_of_session(log), seen_to_the_end(log)
        cell = np.minimum(log.step, STEPS - 1) * self.count.shape[1] + item
        cell, now, rest = cell[whole], log.reward[whole], rest[whole]
        for sums, value in ((self.count, np.ones(len(cell))), (self.now, now), (self.rest, rest)):
            sums += np.bincount(cell, value, minlength=sums.size).reshape(sums.shape)
        self.squares += [now @ now, rest @ rest]
        return {"decisions": float(self.count.sum())}

    def scores(self, obs: Observation) -> Scores:
        return pick(self.values(), obs)

    def values(self) -> F64:
        """(A,) reward now and after-effect of every item, each shrunk by empirical Bayes."""
        pairs = zip((self.now, self.rest), self.squares, strict=True)
        both = [effects(self.count, y, q) for y, q in pairs]
        return np.asarray(both[0] + both[1])[:-1]

    def saved(self) -> Saved:
        arrays = {"count": self.count, "now": self.now, "rest": self.rest, "squares": self.squares}
        return Saved(arrays={name: value.copy() for name, value in arrays.items()})

    @classmethod
    def from_saved(cls, saved: Saved, serving: Serving) -> Self:
        return cls(serving, **{name: value.copy() for name, value in saved.arrays.items()})


def effects(count: F64, total: F64, squares: float, sweeps: int = 20) -> F64:
    """Effects (A + 1,) of items beside a level for each step, shrunk to 0 by empirical Bayes.

    Ridge regression whose penalty, the ratio of the variances of noise and effects, is fitted by
    expectation-maximisation. count, total: (T, A + 1) rows and their outcomes; squares: the sum of
    squared outcomes.
    """
    steps, items = np.flatnonzero(count.sum(1)), np.flatnonzero(count.sum(0))
    effect = np.zeros(count.shape[1])
    if len(items) < 2:
        return effect
    c, y = count[np.ix_(steps, items)], total[np.ix_(steps, items)]
    n, by_step, by_item = c.sum(0), y.sum(1), y.sum(0)
    ridge = 10.0
    for _ in range(sweeps):
        share = c / (n + ridge)
        level = np.linalg.lstsq(np.diag(c.sum(1)) - share @ c.T, by_step - share @ by_item)[0]
        found = (by_item - c.T @ level) / (n + ridge)
        fitted = level @ by_step + found @ by_item
        noise = max(squares - fitted, 0.0) / max(n.sum() - len(level), 1.0)
        spread = float(np.mean(found**2 + noise / (n + ridge)))
        if not noise > 0 or not spread > 0:
            break
        ridge = noise / spread
    effect[items] = found
    return effect


def taken(log: LoggedDataset) -> NDArray[np.int64]:
    """The item (N,) that each row is about: what was taken, or the one shown; A = none."""
    if log.consumed is not None:
        item = log.consumed
    elif log.slate_size == 1:
        item = log.slate[:, 0]
    else:
        raise ValueError(
            f"the log shows {log.slate_size} items a slate and has no `consumed` column (the item "
            "taken on each row, -1 = none): what an item did cannot be learned from it"
        )
    return np.where(item < 0, log.n_items, item).astype(np.int64)


def rest_of_session(log: LoggedDataset) -> F64:
    """(N,) reward from the session's next row to its last; rows stand session by session."""
    total = np.cumsum(log.reward)
    last = np.flatnonzero(np.append(log.session[1:] != log.session[:-1], True))
    return np.asarray(total[last][np.searchsorted(last, np.arange(len(log)))] - total)


def seen_to_the_end(log: LoggedDataset) -> NDArray[np.bool_]:
    """(N,) False in sessions that were cut before their end."""
    last = np.zeros(log.n_sessions, np.int64)
    last[log.sessions] = np.arange(len(log))
    ended = log.terminated[last] if log.terminated.any() else ~log.truncated[last]
    if log.max_steps is not None:
        ended = ended | (log.step[last] + 1 >= log.max_steps)
    return np.asarray(ended[log.sessions])


@configured(OneStepConfig)
def one_step(serving: Serving, config: OneStepConfig) -> ScorePolicy:
    """Items by what they pay and do to the rest of a session; temperature in units of reward."""
    table = np.zeros((STEPS, serving.n_items + 1))
    model = OneStep(serving, table, table.copy(), table.copy(), np.zeros(2))
    return ScorePolicy(model, part(config, Exploration))
