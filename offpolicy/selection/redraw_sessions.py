"""Session logs like the user's with known truth, for `redraw.score_estimators`' question.

Sessions are drawn with replacement with the states they had, actions and rewards at every step are
drawn anew. States do not answer to the new actions: what is kept is the length of sessions, how
freely the logger chose and how noisy rewards are, which is what weights along a session suffer
from. A world whose users move needs a simulator to say more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from offpolicy.diagnostics import diagnose
from offpolicy.errors import LogError
from offpolicy.estimators import estimate_all
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.intervals.inference import interval
from offpolicy.log.dataset import LoggedDataset
from offpolicy.selection.redraw import (
    EstimatorScore,
    Population,
    check_order,
    draw_actions,
    population,
    summary,
)
from offpolicy.weighting.weights import cumulative_product


class Sessions(NamedTuple):
    """N rows in S sessions, ordered by session and step, and what they are redrawn from."""

    people: Population  # of the N rows
    start: I64  # (S + 1,) first row of each session
    truth: float  # expected return of a session under the target


def score_session_estimators(
    log: LoggedDataset,
    names: Sequence[str],
    *,
    tilt: float = 1.0,
    redraws: int = 100,
    seed: int = 0,
) -> tuple[list[EstimatorScore], float]:
    """As `score_estimators`, for the per_decision estimand; the share is of effective sessions.

    Raises:
        LogError: the log holds no candidate_propensity, or sessions with missing steps.
    """
    check_order(names, tilt, redraws)
    rng = np.random.default_rng(seed)
    world = sessions(log, tilt, rng)
    errors: dict[str, list[tuple[float, bool, float]]] = {n: [] for n in names}
    share = []
    for _ in range(redraws):
        t = redraw_sessions(world, rng)
        share.append(diagnose(t).ess_share)
        for name, e in estimate_all(t, names).items():
            i = interval(e)
            held = i.low <= world.truth <= i.high
            errors[name].append((e.value - world.truth, held, i.high - i.low))
    return summary(errors), float(np.mean(share))


def sessions(log: LoggedDataset, tilt: float, rng: np.random.Generator) -> Sessions:
    """The population of a log's sessions and the target's value there."""
    if log.candidate_propensity is None:
        raise LogError(
            "sessions are redrawn from the logger's full distribution: log candidate_propensity, "
            "or ask about one_step."
        )
    log.require_whole_sessions("a session is redrawn from its first step on.")
    log = log.take(np.lexsort((log.step, log.sessions)))
    people = population(log, tilt, rng)
    start = np.append(log.groups.first, len(log))
    value = (people.target * people.reward).sum(1)
    return Sessions(people, start, float(value.sum()) / log.n_sessions)


def redraw_sessions(world: Sessions, rng: np.random.Generator) -> Terms:
    """One log like the user's, with per-decision weights and the model's word on what is ahead."""
    size = np.diff(world.start)
    chosen = rng.integers(0, len(size), len(size))
    code = np.repeat(np.arange(len(size)), size[chosen])
    first = np.cumsum(size[chosen]) - size[chosen]
    step = np.arange(len(code)) - first[code]
    people, rows = world.people, world.start[chosen][code] + step
    a = draw_actions(people.logging[rows], rng)
    reward = people.reward[rows, a] + rng.choice(people.noise, len(rows))
    running = cumulative_product(people.target[rows, a] / people.logging[rows, a], code)
    before = np.ones_like(running)
    before[1:] = np.where(step[1:] > 0, running[:-1], 1.0)
    now = (people.target[rows] * people.model[rows]).sum(1)
    ahead = _to_go(now, first)[code] - _before(now, first, code)  # from the row on
    return Terms(
        running, reward, people.model[rows, a] + ahead - now, ahead, code, before,
        stratum=step, session=code, horizon="per_decision",
    )  # fmt: skip


def _to_go(x: F64, first: I64) -> F64:
    """(S,) sums of the sessions that begin at `first`."""
    return np.asarray(np.add.reduceat(x, first))


def _before(x: F64, first: I64, code: I64) -> F64:
    """(N,) sum of the session's rows before the row."""
    total = np.cumsum(x) - x
    return np.asarray(total - total[first][code])
