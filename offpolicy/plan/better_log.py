"""How many sessions of another logging policy would do, and what they cost."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from offpolicy.diagnostics import ENOUGH, diagnose
from offpolicy.estimators.terms import Terms
from offpolicy.gate.verdict import GateRule
from offpolicy.intervals.inference import Interval
from offpolicy.plan.boundary import units_to_see
from offpolicy.plan.record import BetterLog, Source
from offpolicy.plan.sessions import (
    Logger,
    Sessions,
    between_arms,
    moments,
    range_of_returns,
    variance_of_returns,
    widest_spread,
)
from offpolicy.plan.steps import scaled, uplift_of
from offpolicy.plan.widening import Influences
from offpolicy.uplift import CARRIED


class Aim(NamedTuple):
    """What a log is to show."""

    margin: float  # the uplift that is to be seen
    power: float
    rule: GateRule
    uplift: Interval  # of the target over the present policy, as the present log tells it
    ess_share: float  # effective units per unit of the present log
    own: bool  # whether it holds enough of the target's own sessions to tell of them


def better_log(s: Sessions, logger: Logger, aim: Aim) -> BetterLog:
    """Sessions of the logger until the gate judges the target and until the uplift is seen: at
    least those of an effective sample that a control variate is trusted with.

    Where the present log is too thin for the target's own sessions, mixtures of whole sessions are
    bounded: weights pi / m by 1 / share, so that E_m[w^2] = E_pi[w] <= 1 / share, and the variance
    of the uplift by that of the difference between the two arms, (pi - b)^2 / m <= pi / share +
    b / (1 - share). Of other loggers nothing is then known.
    """
    share = logger.share or 0.0
    m = moments(s, logger) if aim.own else None  # of degenerate weights squares overflow
    known = m is not None and m.carried >= CARRIED

    def until_seen(variance: float, influences: Influences | None = None) -> float:
        effect = (aim.margin - aim.rule.min_uplift) / np.sqrt(variance)
        if not effect > 0:
            return np.inf
        return units_to_see(effect, aim.power, aim.rule, influences) * s.per_unit

    judged = aim.ess_share if logger.share == 0 else share
    if m is not None and known and logger.share != 0:
        judged = max(share, m.ess_share if s.code is None else min(m.ess_share, m.spread_share))
    least = s.per_unit / judged if judged > 0 else np.inf  # sessions of one effective unit
    if m is not None and known:
        seen = max(until_seen(m.variance, m.influences), ENOUGH * least)
        low, high = seen * max(1 - 2 * m.error, 0.0), seen * (1 + 2 * m.error)
    else:
        own = variance_of_returns(s)
        ratios = (1.0, widest_spread(s, s.mean + aim.margin))
        low, high = (until_seen(between_arms(own, r, share)) if share else np.inf for r in ratios)
        seen = high
    return BetterLog(
        logger=logger.name,
        to_judge=aim.rule.min_ess * least,
        to_see=seen,
        low=low,
        high=high,
        cost=_cost(s, logger, aim.uplift),
        source=Source.ESTIMATED if known else Source.AT_MOST,
    )


def unknown_uplift(s: Sessions, level: float) -> Interval:
    """What an uplift can be, of returns within those seen."""
    low, high = (x - s.mean for x in range_of_returns(s))
    return Interval(np.nan, low, high, np.inf, level, s.units)


def _cost(s: Sessions, logger: Logger, uplift: Interval) -> Interval:
    """Uplift of a logging policy over the present one."""
    if logger.share is not None:
        return scaled(uplift, logger.share)
    t = s.terms
    moved = Terms(
        logger.weight, t.reward, None, None, t.unit, logger.weight_before, t.discount, t.stratum,
        t.session, t.horizon, t.rows, row_weight=t.row_weight,
    )  # fmt: skip
    known = diagnose(moved).least_ess >= CARRIED
    return uplift_of(moved, uplift.level) if known else unknown_uplift(s, uplift.level)
