"""What logs like the user's are redrawn from, with the target's value known.

The log's states and logged distributions stay; actions and rewards are drawn anew, rewards from a
model fitted to the log plus its residuals in random order. The target is the logging policy tilted
towards what the model prefers, by `tilt` standard deviations of the model's rewards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.log.dataset import LoggedDataset
from offpolicy.models.features import state_features
from offpolicy.weighting.horizons import cumulative_product

RIDGE = 10.0
WIDEST = 256  # candidates; decisions of more are redrawn by rows


class Decisions(NamedTuple):
    """N states with C actions each."""

    logging: F64  # (N, C)
    target: F64  # (N, C)
    reward: F64  # (N, C) expected
    model: F64  # (N, C) prediction of the estimators' reward model: noisier than the truth
    noise: F64  # (N,) residuals
    truth: float

    def draw(self, rows: I64, rng: np.random.Generator) -> tuple[I64, F64]:
        """An action and its reward in each of the states `rows`."""
        action = draw_actions(self.logging[rows], rng)
        return action, self.reward[rows, action] + rng.choice(self.noise, len(rows))

    def redraw(self, rng: np.random.Generator) -> Terms:
        """One log of N decisions."""
        every = np.arange(len(self.logging))
        rows = rng.integers(0, len(every), len(every))
        action, reward = self.draw(rows, rng)
        weight = self.target[rows, action] / self.logging[rows, action]
        expected = (self.target[rows] * self.model[rows]).sum(1)
        return Terms(weight, reward, self.model[rows, action], expected, every)


class Rows(NamedTuple):
    """Of a log without distributions: its N rows are the actions, which the target weighs."""

    weight: F64  # (N,)
    reward: F64  # (N,)
    model: F64  # (N,)
    truth: float

    def redraw(self, rng: np.random.Generator) -> Terms:
        """One log of N rows, drawn with replacement."""
        n = len(self.weight)
        rows = rng.integers(0, n, n)
        expected = np.full(n, float((self.weight * self.model).mean()))
        return Terms(self.weight[rows], self.reward[rows], self.model[rows], expected, np.arange(n))


class Sessions(NamedTuple):
    """S sessions of N decisions, ordered by session and step.

    Sessions are drawn with replacement with the states they had. States do not answer to the new
    actions: what stays is the length of sessions, how freely the logging policy chose and how noisy
    rewards are, which is what weights along a session suffer from. A world whose users change needs
    a simulator to say more.
    """

    decisions: Decisions
    start: I64  # (S + 1,) first row of each session
    truth: float  # expected return of a session under the target

    def redraw(self, rng: np.random.Generator) -> Terms:
        """One log of S sessions, with per-decision weights and the model's value to go."""
        size = np.diff(self.start)
        chosen = rng.integers(0, len(size), len(size))
        code = np.repeat(np.arange(len(size)), size[chosen])
        first = np.cumsum(size[chosen]) - size[chosen]
        step = np.arange(len(code)) - first[code]
        d, rows = self.decisions, self.start[chosen][code] + step
        action, reward = d.draw(rows, rng)
        running = cumulative_product(d.target[rows, action] / d.logging[rows, action], code)
        before = np.ones_like(running)
        before[1:] = np.where(step[1:] > 0, running[:-1], 1.0)
        now = (d.target[rows] * d.model[rows]).sum(1)
        earlier = np.cumsum(now) - now
        to_go = np.add.reduceat(now, first)[code] - (earlier - earlier[first][code])
        return Terms(
            running, reward, d.model[rows, action] + to_go - now, to_go, code, before,
            stratum=step, session=code, horizon="per_decision",
        )  # fmt: skip


def decisions_of(log: LoggedDataset, tilt: float, rng: np.random.Generator) -> Decisions | Rows:
    """The population of a log's decisions."""
    p = log.candidate_propensity
    if p is None or p.shape[1] > WIDEST:
        return _rows(log, tilt)
    return _decisions(log, p, tilt, rng)


def sessions_of(log: LoggedDataset, tilt: float, rng: np.random.Generator) -> Sessions:
    """The population of a log's sessions.

    Raises:
        LogError: the log holds no candidate_propensity, or sessions with missing steps.
    """
    if log.candidate_propensity is None:
        raise LogError(
            "sessions are redrawn from the logger's full distribution: log candidate_propensity, "
            "or ask about one_step."
        )
    log.require_whole_sessions("a session is redrawn from its first step on.")
    log = log.take(np.lexsort((log.step, log.sessions)))
    assert log.candidate_propensity is not None
    d = _decisions(log, log.candidate_propensity, tilt, rng)
    start = np.append(log.groups.first, len(log))
    return Sessions(d, start, float((d.target * d.reward).sum(1).sum()) / log.n_sessions)


def draw_actions(p: F64, rng: np.random.Generator) -> I64:
    """One column (N,) for each row of probabilities (N, C), never one of probability 0."""
    cumulative = p.cumsum(1)
    draw = rng.random((len(p), 1)) * cumulative[:, -1:]
    return np.asarray((draw >= cumulative).sum(1), np.int64)


def _decisions(log: LoggedDataset, p: F64, tilt: float, rng: np.random.Generator) -> Decisions:
    """States, distributions and a reward surface fitted to the log."""
    from scipy.special import softmax

    dense, item = state_features(log, None), log.slate[:, 0]
    p = np.maximum(p, 0)
    p = p / p.sum(1, keepdims=True)
    every = np.arange(log.n_items) if log.candidates is None else log.candidates
    ids: I64 = np.array(np.broadcast_to(every, p.shape), np.int64)
    half = rng.random(len(log)) < 0.5
    table = _fitted(dense, item, log.reward, log.n_items)
    noisy = _fitted(dense[half], item[half], log.reward[half], log.n_items)
    mean, model = (
        np.take_along_axis(dense @ fit.T, np.maximum(ids, 0), 1) for fit in (table, noisy)
    )
    noise = log.reward - (dense * table[item]).sum(1)
    with np.errstate(divide="ignore"):  # log 0 = -inf: never served
        logits = np.log(p) + tilt * mean / max(float(mean.std()), 1e-12)
    target = softmax(logits, axis=1)
    truth = float((target * mean).sum(1).mean())
    return Decisions(p, target, mean, model, noise - noise.mean(), truth)


def _rows(log: LoggedDataset, tilt: float) -> Rows:
    """The target weighs each row by its reward, over its propensity."""
    dense = state_features(log, None)
    gram = dense.T @ dense + RIDGE * np.eye(dense.shape[1])
    model = dense @ np.linalg.solve(gram, dense.T @ log.reward)
    spread = max(float(log.reward.std()), 1e-12)
    weight = np.exp(tilt * (log.reward - log.reward.mean()) / spread) / log.propensity
    weight = weight / weight.mean()
    return Rows(weight, log.reward, model, float((weight * log.reward).mean()))


def _fitted(dense: F64, item: NDArray[np.int32], y: F64, n_items: int) -> F64:
    """(A, D): a ridge regression per item, shrunk to that of all items."""
    penalty = RIDGE * np.eye(dense.shape[1])
    base = np.linalg.solve(dense.T @ dense + penalty, dense.T @ y)
    table = np.tile(base, (n_items, 1))
    rest = y - dense @ base
    for a in np.unique(item[item >= 0]):
        x = dense[item == a]
        table[a] += np.linalg.solve(x.T @ x + penalty, x.T @ rest[item == a])
    return table
