"""How large and how long a trial has to be, from what users did in a past log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.terms import F64
from offpolicy.intervals.bounds import sequence_radius
from offpolicy.intervals.inference import Interval, check_level, interval
from offpolicy.plan.boundary import PLAIN, STEEPEST, TIMES, TUNED, Wider, drift_to_see, passage
from offpolicy.plan.widening import MOST, evenly_of
from offpolicy.trials.comparing import Per
from offpolicy.trials.difference import LEAST_USERS, difference
from offpolicy.trials.units import TrialUnits

WEEKS = (7, 14, 28)  # days
LOOKS = 50  # evenly spaced
WIDEST = 100.0  # times a normal's: no bounds yet
ROUNDS, NEAR = 30, 0.01  # of sizes and widenings, and when two are near enough


@dataclass(frozen=True, slots=True)
class Past:
    """What a past log says of the users of a trial."""

    name: str
    per: Per
    deviation: F64  # (U,) of each user from the mean, on the metric's scale
    mean: Interval  # level of the metric; t interval over users
    sessions: float  # of a user
    saved: Interval | None  # share of the variance that a covariate takes away

    @property
    def variance(self) -> float:
        """Of one user, after the covariate."""
        own = float(self.deviation @ self.deviation) / (len(self.deviation) - 1)
        return own * (1 - (self.saved.value if self.saved else 0.0))

    @property
    def error(self) -> float:
        """Relative standard error of the variance."""
        square = self.deviation**2
        return float(square.std() / np.sqrt(len(square)) / square.mean())


@dataclass(frozen=True, slots=True)
class Length:
    """The smallest effect that a trial of so many users sees with the power asked for."""

    days: float
    users: float  # of both arms
    effect: float  # looked at `looks` times, by bounds that hold at all of them
    fixed: float  # looked at once, at the end; both are infinite where an arm has too few users


@dataclass(frozen=True, slots=True)
class Needed:
    """Users of both arms until an effect is seen with the power asked for."""

    effect: float
    users: float  # by bounds that hold at all looks
    stopped: float  # the same to see a canary that is worse by as much
    users_low: float  # the same at the bounds of the variance that the past log leaves
    users_high: float
    fixed: float  # looked at once
    days: float
    fixed_days: float
    tuned_at: float  # for `difference`


@dataclass(frozen=True, slots=True)
class TrialSize:
    """A trial before it starts."""

    past: Past
    share: float
    level: float
    power: float
    looks: int
    users_a_day: float
    lengths: tuple[Length, ...]
    needed: Needed | None


def past_of(
    units: TrialUnits,
    name: str,
    *,
    per: Per = "user",
    level: float = 0.95,
    saved: Interval | None = None,
) -> Past:
    """The users of a past log (all of one arm or of both: they are pooled), each once. Where the
    units have a covariate, what it would save is measured in a trial of two halves that did not
    differ; `saved` is that of another log.

    Raises:
        ValueError: an unknown metric, or fewer than 20 users.
    """
    x, users = units.metric(name), units.users
    total = np.bincount(users.code, x, users.n).astype(np.float64)
    sessions = np.bincount(users.code, units.sessions, users.n).astype(np.float64)
    if users.n < 2 * LEAST_USERS:
        raise ValueError(
            f"a past of {users.n} users says too little; it has {2 * LEAST_USERS} or more"
        )
    if not sessions.sum() > 0:
        raise ValueError("the past log has no sessions")
    each = float(sessions.mean())
    mean = float(total.mean()) / (1.0 if per == "user" else each)
    deviation = total - mean if per == "user" else (total - mean * sessions) / each
    if units.covariate is not None:
        past = np.full(users.n, np.nan)
        known = np.isfinite(units.covariate)
        past[users.code[known]] = units.covariate[known]
        halves = TrialUnits(
            np.arange(users.n),
            np.arange(users.n) % 2 == 0,
            np.zeros(users.n, np.int64),
            total[:, None],
            sessions,
            (name,),
            past,
        )
        saved = difference(halves, name, per=per, covariate=True).saved
    if not deviation.any():
        raise ValueError(
            f"{name} is the same for all {users.n} users: nothing can be planned of it"
        )
    value = interval(Estimate(mean, deviation, np.arange(users.n)), level)
    return Past(name, per, deviation, value, each, saved)


def size_trial(
    past: Past,
    *,
    share: float,
    users_a_day: float,
    effect: float | None = None,
    level: float = 0.95,
    power: float = 0.8,
    looks: int = LOOKS,
    days: Sequence[float] = WEEKS,
) -> TrialSize:
    """Users and days of a trial whose canary serves `share` of the users, if users come as in the
    past log, `users_a_day` NEW ones each day, and vary alike under both arms.

    `effect` > 0 is how far the true difference lies from what is asked about: the uplift that is to
    be seen, or of a canary that is as good the margin of non-inferiority. Powers are those of
    `difference` with the `tuned_at` returned, over `looks` evenly spaced looks (first passage of a
    Brownian motion, widened as the past log's skew widens the bounds), and of one look at the end.

    Raises:
        ValueError: a share, level or power outside (0, 1), no users, an effect that is not above 0.
    """
    check_level(level)
    if not 0 < share < 1 or not 0 < power < 1:
        raise ValueError(f"share = {share} and power = {power}; both lie inside (0, 1)")
    if not users_a_day > 0 or (effect is not None and not effect > 0):
        raise ValueError(f"users_a_day = {users_a_day}, effect = {effect}; they are above 0")
    plan = _Plan(past, share, level, power, looks)
    return TrialSize(
        past,
        share,
        level,
        power,
        looks,
        users_a_day,
        tuple(plan.length(d, d * users_a_day) for d in days),
        None if effect is None else plan.needed(effect, users_a_day),
    )


@dataclass(frozen=True, slots=True)
class _Plan:
    past: Past
    share: float
    level: float
    power: float
    looks: int

    def error(self, users: float) -> float:
        """Standard error of the difference."""
        return float(np.sqrt(self.past.variance / (users * self.share * (1 - self.share))))

    def length(self, days: float, users: float) -> Length:
        """What so many users tell."""
        error, drift = self.error(users), self._drift(self._wider(users)[0])
        enough = users * min(self.share, 1 - self.share) >= LEAST_USERS
        return Length(days, users, drift * error, self._fixed() * error if enough else np.inf)

    def needed(self, effect: float, users_a_day: float) -> Needed:
        """Users until an effect is seen."""
        one = (self.error(1.0) / effect) ** 2
        users, stopped = (self._users(one, side) for side in (0, 1))
        fixed = one * self._fixed() ** 2
        off = NormalDist().inv_cdf(0.5 + self.level / 2) * self.past.error
        size = users * self.share * (1 - self.share) * max(self.past.sessions, 1.0)
        return Needed(
            effect,
            users,
            stopped,
            users * max(1 - off, 0.0),
            users * (1 + off),
            fixed,
            users / users_a_day,
            fixed / users_a_day,
            TUNED * size,
        )

    def _fixed(self) -> float:
        z = NormalDist()
        return z.inv_cdf(0.5 + self.level / 2) + z.inv_cdf(self.power)

    def _users(self, one: float, side: int) -> float:
        """Users until the bound below (side 0) or above (1) excludes what it is asked about."""
        least = LEAST_USERS / min(self.share, 1 - self.share)  # below them there are no bounds
        users = max(one * self._drift(PLAIN) ** 2, least)
        for _ in range(ROUNDS):
            drift = self._drift(self._wider(users)[side])
            before, least = users, least if np.isfinite(drift) else 2 * users
            users = max(one * drift**2, least) if np.isfinite(drift) else least
            if abs(users / before - 1) < NEAR:
                break
        return users

    def _drift(self, wider: Wider) -> float:
        """Standard errors of the whole trial at which the effect is seen with the power; infinite
        where bounds of so few users show nothing."""
        alpha = 1 - self.level
        if passage(STEEPEST, alpha, self.looks, wider)[-1] < self.power:
            return np.inf
        return drift_to_see(self.power, alpha, self.looks, wider)

    def _wider(self, users: float) -> tuple[Wider, Wider]:
        """Than a normal's, the bound below and the one above, on the way."""
        a, b, c = (self._widening(users * time, time / TUNED) for time in TIMES)
        return (a[0], b[0], c[0]), (a[1], b[1], c[1])

    def _widening(self, users: float, ratio: float) -> tuple[float, float]:
        n = int(np.clip(np.ceil(users), 2 * LEAST_USERS, MOST))
        served = int(np.clip(round(n * self.share), 2, n - 2))
        canary, one = np.arange(n) < served, np.ones(n)
        x = np.concatenate([evenly_of(self.past.deviation, k) for k in (served, n - served)])
        units = TrialUnits(np.arange(n), canary, np.zeros(n, np.int64), x[:, None], one, ("x",))
        tuned_at = served * (n - served) / n / ratio
        d = difference(units, "x", level=self.level, tuned_at=tuned_at)
        normal = float(sequence_radius(ratio, 1 - self.level)) * d.se
        if not np.isfinite(d.low) or not normal > 0:
            return WIDEST, WIDEST
        fewer = np.sqrt(min(n / users, 1.0))
        down, up = (
            round(float(np.clip(1 + (side / normal - 1) * fewer, 1.0, WIDEST)), 2)
            for side in (-d.low, d.high)
        )
        return down, up
