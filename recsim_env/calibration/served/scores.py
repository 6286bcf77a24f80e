"""How well each part of a fitted world foretells sessions that it was not fitted to."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from recsim_env.calibration.served.choice import fixed_utility, log_chances, start
from recsim_env.calibration.served.fit import Parts, without_level
from recsim_env.calibration.served.hazard import leaving
from recsim_env.calibration.served.log import F64, Clock, ServedLog
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

    @property
    def gains(self) -> bool:
        """Whether the part foretells more than the constant."""
        ahead = self.fitted - self.constant
        return ahead > 0 if self.better == "higher" else ahead < 0


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
    known = marginal(held, features, utility, covariance).sum() / len(held)
    plain = log_chances(fixed_utility(held, state, start(fitted)), held.position).mean()
    likelihood = "log-likelihood a decision"
    rows = [Score("choice, nothing included", likelihood, float(known), float(plain), "higher")]
    tastes = modes(held, features, utility, covariance)
    match = matches(held, features, without_level(tastes))
    rows += taken_scores(parts, fitted, held, taken_covariates(held, state, match)[1])
    chance = leaving(parts.hazard, held, clock, state.most_worn, extra_reward(held, parts.pay))
    rate = np.full(len(held), np.clip(fitted.left.mean(), 1e-9, 1 - 1e-9))
    pair = (bernoulli(chance, held), bernoulli(rate, held))
    rows.append(Score("leaving", likelihood, *pair, "higher"))
    return rows, calibration(chance, held)


def taken_scores(parts: Parts, fitted: ServedLog, held: ServedLog, x: F64) -> list[Score]:
    """Root mean squared errors of what is known of an item once it is taken."""
    took, before = held.position >= 0, fitted.position >= 0
    if not took.any() or not before.any():
        return []
    items, error = held.consumed[took], "root mean squared error"
    y, mean = held.reward[took], float(fitted.reward[before].mean())
    out = [
        Score("reward", error, rms(y - expected_pay(parts.pay, items, x)), rms(y - mean), "lower")
    ]
    extra = y - parts.pay.item[items]
    for r, name in enumerate(RESPONSE_NAMES):
        seen, constant = held.responses[took, r], float(fitted.responses[before, r].mean())
        guess = parts.responses.item[items, r] + parts.responses.slope[r] * extra
        if rms(seen - constant) > 1e-9:
            about = f"{name}, given the reward" if parts.responses.slope[r] else name
            out.append(Score(about, error, rms(seen - guess), rms(seen - constant), "lower"))
    return out


def rms(gap: F64) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(gap**2)))


def bernoulli(chance: F64, log: ServedLog) -> float:
    """Mean log-likelihood of leaving or staying."""
    p = np.clip(np.where(log.left, chance, 1 - chance), 1e-12, 1.0)
    return float(np.log(p).mean())


def calibration(chance: F64, log: ServedLog) -> Calibration:
    """Predicted and observed shares in bins of about equal counts."""
    parts = np.array_split(np.argsort(chance, kind="stable"), min(BINS, len(chance)))
    predicted = np.array([chance[rows].mean() for rows in parts])
    observed = np.array([log.left[rows].mean() for rows in parts])
    return Calibration(predicted, observed, float(np.abs(predicted - observed).mean()))
