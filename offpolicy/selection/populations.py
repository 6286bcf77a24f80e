"""What logs like the user's are redrawn from, with the target's value known.

The log's states and logged distributions stay; actions and rewards are drawn anew, rewards from
surfaces richer than the reward model (`reward_surfaces`). The target is the logging policy tilted
towards what pays, by `tilt` standard deviations of the expected rewards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from offpolicy.errors import LogError
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.models.reward_model import RewardData
from offpolicy.selection.reward_surfaces import SURFACES, Noise, expected_rewards, fitted, noise_of

WIDEST = 256  # candidates; decisions of more are redrawn by rows
CELLS = 4_000_000  # states times candidates that are kept; of a longer log, its first sessions


class Decisions(NamedTuple):
    """M states with C candidates each, from which logs of N decisions are drawn."""

    items: I64  # (M, C) item ids, -1 = none
    logging: F64  # (M, C)
    target: F64  # (M, C)
    reward: F64  # (M, C) expected
    state: F64  # (M, D) what the reward model sees
    noise: Noise
    n_items: int
    size: int  # N
    truth: float

    def redraw(self, rng: np.random.Generator) -> tuple[LoggedDataset, TargetScores]:
        """One log of N decisions, and the target's scores on it."""
        rows = rng.integers(0, len(self.items), self.size)
        every = np.arange(self.size)
        return self.log_of(rows, every, np.zeros(self.size, np.int64), rng)

    def log_of(
        self, rows: I64, session: I64, step: I64, rng: np.random.Generator
    ) -> tuple[LoggedDataset, TargetScores]:
        """An action and its reward in each of the states `rows`."""
        action = draw_actions(self.logging[rows], rng)
        chosen = self.items[rows, action]
        log = LoggedDataset.from_columns(
            session=session, step=step, slate=chosen, propensity=self.logging[rows, action],
            reward=self.noise.draw(self.reward[rows, action], rng), n_items=self.n_items,
            context=self.state[rows] if self.state.shape[1] else None,
        )  # fmt: skip
        return log, TargetScores(
            self.target[rows, action],
            slates=self.items[rows][:, :, None].astype(np.int32),
            slate_weight=self.target[rows],
        )


class Rows(NamedTuple):
    """Of a log without distributions: its N rows are the actions, which the target weighs."""

    weight: F64  # (N,)
    reward: F64  # (N,) expected
    noise: Noise
    truth: float

    def redraw(self, rng: np.random.Generator) -> Terms:
        """One log of N rows, drawn with replacement, their rewards anew."""
        n = len(self.weight)
        rows = rng.integers(0, n, n)
        reward = self.noise.draw(self.reward[rows], rng)
        return Terms(self.weight[rows], reward, None, None, np.arange(n))


class Sessions(NamedTuple):
    """S sessions of M decisions, ordered by session and step.

    Sessions are drawn with replacement with the states they had. States do not answer to the new
    actions: what stays is the length of sessions, how freely the logging policy chose and how noisy
    rewards are, which is what weights along a session suffer from. A world whose users change needs
    a simulator to say more.
    """

    decisions: Decisions
    start: I64  # (S + 1,) first row of each session
    size: int  # sessions of a redrawn log
    truth: float  # expected return of a session under the target

    def redraw(self, rng: np.random.Generator) -> tuple[LoggedDataset, TargetScores]:
        """One log of sessions, and the target's scores on it."""
        length = np.diff(self.start)
        chosen = rng.integers(0, len(length), self.size)
        code = np.repeat(np.arange(self.size), length[chosen])
        first = np.cumsum(length[chosen]) - length[chosen]
        step = np.arange(len(code)) - first[code]
        return self.decisions.log_of(self.start[chosen][code] + step, code, step, rng)


def decisions_of(
    log: LoggedDataset,
    tilt: float,
    rng: np.random.Generator,
    item_features: ArrayLike | None = None,
) -> list[Decisions] | list[Rows]:
    """Populations of a log's decisions: one for each surface of expected rewards, or one of its
    rows, where it does not hold the distribution over single items of at most 256 candidates."""
    p = log.candidate_propensity
    if p is None or p.shape[1] > WIDEST or log.slate_size > 1:
        return [_rows(log, tilt)]
    return _decisions(log, p, tilt, rng, item_features)


def sessions_of(
    log: LoggedDataset,
    tilt: float,
    rng: np.random.Generator,
    item_features: ArrayLike | None = None,
) -> list[Sessions]:
    """Populations of a log's sessions, one for each surface of expected rewards.

    Raises:
        LogError: the log holds no candidate_propensity, slates of several items, or sessions with
            missing steps.
    """
    if log.candidate_propensity is None or log.slate_size > 1:
        raise LogError(
            "sessions are redrawn from the logger's full distribution over single items: log "
            "candidate_propensity, or ask about one_step."
        )
    log.require_whole_sessions("a session is redrawn from its first step on.")
    n_sessions = log.n_sessions
    log = log.take(np.lexsort((log.step, log.sessions)))
    assert log.candidate_propensity is not None
    with_step = int(log.step.min() < log.step.max())  # the step, which the redrawn log has itself
    found = []
    for d in _decisions(log, log.candidate_propensity, tilt, rng, item_features):
        kept = int((log.groups.first < len(d.items)).sum())
        start = np.append(log.groups.first, len(log))[: kept + 1]
        if start[-1] > len(d.items):
            start = start[:-1]  # the last session that is kept in part
        rows = slice(0, int(start[-1]))
        value = float((d.target[rows] * d.reward[rows]).sum()) / (len(start) - 1)
        d = d._replace(state=d.state[:, with_step:])
        found.append(Sessions(d, start, n_sessions, value))
    return found


def draw_actions(p: F64, rng: np.random.Generator) -> I64:
    """One column (N,) for each row of probabilities (N, C), never one of probability 0."""
    cumulative = p.cumsum(1)
    draw = rng.random((len(p), 1)) * cumulative[:, -1:]
    return np.asarray((draw >= cumulative).sum(1), np.int64)


def _decisions(
    log: LoggedDataset,
    p: F64,
    tilt: float,
    rng: np.random.Generator,
    item_features: ArrayLike | None,
) -> list[Decisions]:
    """States, distributions and the reward surfaces that the log leaves open."""
    from scipy.special import softmax

    fit = fitted(log, item_features, int(rng.integers(1 << 31)))
    longest = int(np.bincount(log.sessions).max())  # one whole session at least
    rows = np.arange(min(len(log), max(CELLS // p.shape[1], longest)))
    p = np.maximum(p[rows], 0)
    p = p / p.sum(1, keepdims=True)
    every = np.arange(log.n_items) if log.candidates is None else log.candidates[rows]
    items: I64 = np.array(np.broadcast_to(every[..., : p.shape[1]], p.shape), np.int64)
    state = fit.data.dense[rows, 1 : fit.data.crossed]
    found = []
    for kind in SURFACES:
        mean = expected_rewards(fit, kind, rows, items, rng)
        with np.errstate(divide="ignore"):  # log 0 = -inf: never served
            logits = np.log(p) + tilt * mean / max(float(mean.std()), 1e-12)
        target = softmax(logits, axis=1)
        truth = float((target * mean).sum(1).mean())
        found.append(
            Decisions(items, p, target, mean, state, fit.noise, log.n_items, len(log), truth)
        )
    return found


def _rows(log: LoggedDataset, tilt: float) -> Rows:
    """The target weighs each row by the reward that a model expects of it, not by its own."""
    data = RewardData(log)
    expected = data.fit.predict(data.fit.fit(log.reward), data.logged)
    noise = noise_of(log.reward, expected)
    expected = noise.clip(expected)
    spread = max(float(expected.std()), 1e-12)
    weight = np.exp(tilt * (expected - expected.mean()) / spread)
    weight = weight / weight.mean()
    return Rows(weight, expected, noise, float((weight * expected).mean()))
