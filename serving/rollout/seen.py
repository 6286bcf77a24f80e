"""From trial units to the differences of a window."""

from __future__ import annotations

import math

from offpolicy.trials.difference import difference
from offpolicy.trials.means import session_mean
from offpolicy.trials.units import TrialUnits
from serving.rollout.rule import RolloutRule, Scope
from serving.rollout.window import Mean, Seen


def seen(units: TrialUnits, rule: RolloutRule, scope: Scope, weight: float) -> dict[str, Seen]:
    """Each metric of the rule, canary minus control, at the level that the rule wants for `scope`.

    weight: share of users in the present stage. Of a number that is not finite nothing is said.

    Raises:
        ValueError: the units lack a metric of the rule.
    """
    out = {}
    for name in rule.metrics:
        level, tuned_at = rule.level_of(name, scope), rule.tuned_for(scope, weight)
        d = difference(units, name, level=level, tuned_at=tuned_at, per=rule.per_of(name))
        value, low, high, se, canary, control = (
            x if math.isfinite(x) else None
            for x in (d.value, d.low, d.high, d.se, d.canary, d.control)
        )
        out[name] = Seen(
            value=value, low=low, high=high, se=se, canary=canary, control=control,
            users=d.users, level=level,
        )  # fmt: skip
    return out


def mean_seen(units: TrialUnits, metric: str) -> Mean:
    """Of the sessions of one arm; nulls where there is none.

    Raises:
        ValueError: the units lack the metric.
    """
    m = session_mean(units, metric)
    if m is None:
        return Mean()
    low, high = (x if math.isfinite(x) else None for x in (m.low, m.high))
    return Mean(value=m.value, low=low, high=high, users=m.units)
