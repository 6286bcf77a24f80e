"""How well each part of a fitted world foretells sessions that it was not fitted to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsim_env.calibration.served.choice import fixed_utility, log_chances, start
from recsim_env.calibration.served.fit import Parts, without_level
from recsim_env.calibration.served.hazard import leaving
from recsim_env.calibration.served.log import F64, I64, Clock, ServedLog
from recsim_env.calibration.served.outcomes import (
    expected_pay,
    extra_reward,
    taken_covariates,
)
from recsim_env.calibration.served.state import states
from recsim_env.calibration.served.taste import marginal, matches, modes

RESPONSE_NAMES = ("click", "watch time", "quality")
BINS = 10


class Score(NamedTuple):
    """One part on held-out sessions, beside a constant fitted to the same sessions as the part."""

    part: str
    measure: str
    fitted: float
    constant: float
    better: str  # "higher" or "lower"
    gain: float  # over the constant, positive where the part is the better …
    low: float  # … and its 95 % interval over sessions
    high: float

    @property
    def gains(self) -> bool | None:
        """Whether the part foretells more than the constant; None: cannot tell."""
        return True if self.low > 0 else False if self.high < 0 else None


class Calibration(NamedTuple):
    """Chances of leaving in bins of equal counts, and how often users left."""

    predicted: F64  # (BINS,)
    observed: F64  # (BINS,)
    error: float  # mean absolute difference


def scores(parts: Parts, fitted: ServedLog, held: ServedLog) -> tuple[list[Score], Calibration]:
    """Choice, reward, responses and leaving of held-out sessions, none of which were fitted."""
    clock, features = Clock.of(held), parts.items.features
    state = states(held, clock, features, parts.items.topics, parts.choice.keep)
    utility = fixed_utility(held, state, parts.choice.coefficients)
    covariance = parts.choice.tastes.covariance
    known = marginal(held, features, utility, covariance)
    flat = log_chances(fixed_utility(held, state, start(fitted)), held.position)
    plain, decisions = of_sessions(flat, held.session), np.bincount(held.session)
    rows = [likelihood("choice, nothing included", known, plain, decisions)]
    tastes = modes(held, features, utility, covariance)
    match = matches(held, features, without_level(tastes))
    rows += taken_scores(parts, fitted, held, taken_covariates(held, state, match)[1])
    chance = leaving(parts.hazard, held, clock, state.most_worn, extra_reward(held, parts.pay))
    rate = np.full(len(held), np.clip(fitted.left.mean(), 1e-9, 1 - 1e-9))
    told, plain = (of_sessions(bernoulli(p, held), held.session) for p in (chance, rate))
    rows.append(likelihood("leaving", told, plain, decisions))
    return rows, calibration(chance, held)


def taken_scores(parts: Parts, fitted: ServedLog, held: ServedLog, x: F64) -> list[Score]:
    """Root mean squared errors of what is known of an item once it is taken."""
    took, before = held.position >= 0, fitted.position >= 0
    if not took.any() or not before.any():
        return []
    items, whose = held.consumed[took], held.session[took]
    y, mean = held.reward[took], float(fitted.reward[before].mean())
    out = [squares("reward", y - expected_pay(parts.pay, items, x), y - mean, whose)]
    extra = y - parts.pay.item[items]
    for r, name in enumerate(RESPONSE_NAMES):
        seen, constant = held.responses[took, r], float(fitted.responses[before, r].mean())
        guess = parts.responses.item[items, r] + parts.responses.slope[r] * extra
        if rms(seen - constant) > 1e-9:
            about = f"{name}, given the reward" if parts.responses.slope[r] else name
            out.append(squares(about, seen - guess, seen - constant, whose))
    return out


def likelihood(part: str, fitted: F64, constant: F64, decisions: F64 | I64) -> Score:
    """Log-likelihoods (S,) of sessions of so many decisions each, per decision."""
    of = [x.sum() / decisions.sum() for x in (fitted, constant)]
    ahead = fitted - constant - (of[0] - of[1]) * decisions
    gain = interval(float(of[0] - of[1]), ahead / decisions.sum())
    return Score(part, "log-likelihood a decision", float(of[0]), float(of[1]), "higher", *gain)


def squares(part: str, fitted: F64, constant: F64, session: I64) -> Score:
    """Root mean squares of errors (M,) and their difference, linearised."""
    of = [max(rms(x), 1e-12) for x in (fitted, constant)]
    moved = [(x**2 - r**2) / (2 * r * len(x)) for x, r in zip((fitted, constant), of, strict=True)]
    gain = interval(of[1] - of[0], of_sessions(moved[1] - moved[0], session))
    return Score(part, "root mean squared error", of[0], of[1], "lower", *gain)


def interval(value: float, moved: F64) -> tuple[float, float, float]:
    """A value and its 95 % bounds, of the influence (S,) of independent sessions."""
    n = max(len(moved), 2)
    half = 1.96 * float(np.sqrt((moved**2).sum() * n / (n - 1)))
    return value, value - half, value + half


def of_sessions(x: F64, session: I64) -> F64:
    """(S,) sums over the rows of each session."""
    return np.bincount(session, x).astype(np.float64)


def rms(gap: F64) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(gap**2)))


def bernoulli(chance: F64, log: ServedLog) -> F64:
    """(N,) log-likelihood of leaving or staying."""
    p = np.clip(np.where(log.left, chance, 1 - chance), 1e-12, 1.0)
    return np.asarray(np.log(p), np.float64)


def calibration(chance: F64, log: ServedLog) -> Calibration:
    """Predicted and observed shares in bins of about equal counts."""
    parts = np.array_split(np.argsort(chance, kind="stable"), min(BINS, len(chance)))
    predicted = np.array([chance[rows].mean() for rows in parts])
    observed = np.array([log.left[rows].mean() for rows in parts])
    return Calibration(predicted, observed, float(np.abs(predicted - observed).mean()))
