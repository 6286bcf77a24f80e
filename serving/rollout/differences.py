"""Differences of the arms as a look says them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from offpolicy.trials.comparing import Per
from offpolicy.trials.difference import Difference, difference
from offpolicy.trials.units import TrialUnits
from serving.rollout.rule import RolloutRule, Scope
from serving.rollout.window import Seen


def seen_of(units: TrialUnits, rule: RolloutRule, scope: Scope) -> Mapping[str, Seen]:
    """Canary minus control in each metric of the rule, at its level for this scope."""
    per: Per = "session" if rule.per == "session" else "user"
    return {name: _seen(units, name, rule, scope, per) for name in rule.metrics}


def _seen(units: TrialUnits, name: str, rule: RolloutRule, scope: Scope, per: Per) -> Seen:
    level = rule.level_of(name, scope)
    if not len(units):
        return Seen(users=0, level=level)
    return as_seen(difference(units, name, level=level, tuned_at=rule.tuned_at, per=per), level)


def as_seen(found: Difference, level: float) -> Seen:
    """Numbers that are not finite are not known."""
    names = ("value", "low", "high", "se", "canary", "control")
    known = {name: _finite(getattr(found, name)) for name in names}
    return Seen(users=found.users, level=level, **known)


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
