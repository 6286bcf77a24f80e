"""A bounded trial: serve the target to a share of the units, stop by an anytime-valid bound."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.estimators.engine import Estimate
from offpolicy.gate.verdict import GateRule
from offpolicy.log.groups import group
from offpolicy.plan.boundary import (
    PLAIN,
    TIMES,
    TUNED,
    Wider,
    drift_to_see,
    mean_time,
    passage,
    time_by,
)
from offpolicy.plan.record import Spread, Trial
from offpolicy.plan.sessions import Sessions, between_arms, influence_of_returns
from offpolicy.plan.widening import Arms

LOOKS = 50
WIDENED = 3  # rounds of sizes and widenings, each several times nearer
SURE = 0.95  # chance with which a trial loses no more than `Trial.loss_bound`
HARMS = np.geomspace(0.1, 10, 25)  # targets worse by so many times what is to be seen


def trial_uplift(returns: ArrayLike, treated: ArrayLike, unit: NDArray[Any]) -> Estimate:
    """Mean return of a session under the target less that under the present policy, in a trial:
    returns (S,), whether the target served (S,), and the unit (S,) that was assigned to an arm.
    Stop where `confidence_sequence(estimate, rule.level, tuned_at=trial.tuned_at)` lies above (or
    below) what the rule wants; its bounds hold at all looks together.

    Raises:
        ValueError: an arm is empty, or columns differ in shape or are not finite.
    """
    paid, arm = np.asarray(returns, np.float64), np.asarray(treated, np.bool_)
    unit = np.asarray(unit)
    if not paid.shape == arm.shape == unit.shape == (paid.size,) or not np.isfinite(paid).all():
        raise ValueError(
            f"returns {paid.shape}, treated {arm.shape} and unit {unit.shape} must be (S,), an "
            "entry for every session, and returns finite"
        )
    if not 0 < arm.sum() < len(arm):
        raise ValueError(f"{arm.sum()} of {len(arm)} sessions were the target's; a trial has both")
    units = group(unit)
    influence = np.zeros(len(paid))
    means = []
    for mine, sign in ((arm, 1.0), (~arm, -1.0)):
        means.append(float(paid[mine].mean()))
        influence[mine] = sign * (paid[mine] - means[-1]) / mine.sum()
    psi = np.bincount(units.code, influence, units.n).astype(np.float64) * units.n
    return Estimate(means[0] - means[1], psi, unit[units.first], name="trial", horizon="trial")


def plan_trial(
    s: Sessions,
    *,
    margin: float,
    power: float,
    rule: GateRule,
    share: float,
    spread: float,
    widest: float,
    source: Spread,
    looks: int = LOOKS,
) -> Trial:
    """Sessions until an uplift of `margin` is seen with `power`, and what worse targets cost.

    `spread`: variance of the target's returns over that of the present policy's, `source`: where
    it comes from, `widest`: the largest it can be.
    """
    alpha, psi = 1 - rule.level, influence_of_returns(s)
    own = float(psi @ psi) / s.units

    def planned(ratio: float) -> tuple[float, Wider, Wider]:
        """Units, and how much wider than normal the bounds below and above are on the way."""
        arms = Arms(psi * np.sqrt(ratio), psi, share)
        effect = (margin - rule.min_uplift) / np.sqrt(between_arms(own, ratio, share))
        units, below, above = (drift_to_see(power, alpha, looks) / effect) ** 2, PLAIN, PLAIN
        for _ in range(WIDENED):
            at = [arms.widening(units * time, alpha, TUNED * units) for time in TIMES]
            below, above = (_rounded(x[side] for x in at) for side in (0, 1))
            units = (drift_to_see(power, alpha, looks, below) / effect) ** 2
        return units, below, above

    units, below, above = planned(spread)
    error = float(np.sqrt(between_arms(own, spread, share) / units))  # at the end
    needed, total = (margin - rule.min_uplift) / error, units * s.per_unit

    def lost(worse: float) -> tuple[float, float, float]:
        """Expected sessions, expected loss and its bound, where the target is so much worse."""
        passed = passage((worse + rule.min_uplift) / error, alpha, looks, above)
        time = mean_time(passed)
        each = worse * share * total
        return time * total, time * each, time_by(passed, SURE) * each

    allowed = max(-rule.min_uplift, 0.0)  # by a non-inferiority margin
    harm = margin + 2 * allowed  # at least as far below what is wanted as the margin is above
    stopped, loss, loss_bound = lost(harm)
    return Trial(
        share=share,
        sessions=total,
        at_most=max(planned(widest)[0] * s.per_unit, total),
        tuned_at=TUNED * units,
        looks=looks,
        until_seen=mean_time(passage(needed, alpha, looks, below)) * total,
        harm=harm,
        until_stopped=stopped,
        loss=loss,
        loss_bound=loss_bound,
        worst_loss=max(lost(k * (needed * error + allowed))[1] for k in HARMS),
        source=source,
    )


def _rounded(x: Iterable[float]) -> Wider:
    a, b, c = (round(float(v), 3) for v in x)
    return a, b, c
