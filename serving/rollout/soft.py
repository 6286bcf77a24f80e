"""Soft stops and going on, by anytime-valid bounds of canary minus control.

The chance of ANY wrong soft rollback in a whole rollout is at most 1 - level. A wrong one takes
back a canary that is not worse than its margin in that metric. One is asked for where the upper
bound of a confidence sequence lies below -margin: of all stages together (one sequence over the
whole rollout), or of the present stage alone (a new sequence in every stage, which sees a canary
that got worse later). Each sequence holds at all of its looks together (Howard, Ramdas, McAuliffe &
Sekhon, 2021; Waudby-Smith et al., 2024), so looks cost nothing, however many and whenever they are
taken, also when a decision about the weight depends on earlier looks: a stratum's comparison is
inside the stratum. Between sequences Bonferroni's inequality holds whatever their dependence: over
metrics, and over 1 + (stages with a control) sequences of each, chances sum to 1 - level
(`RolloutRule.level_of`). A two-sided sequence at level 1 - 2 a is used on one side, which misses
with a chance of a, up to that of crossing both ways. The recent part only ever holds a canary back,
where it is bad by itself or, at the last step, lies below the whole; it can roll back nothing and
spends nothing. A wrong step forward needs every metric to be wrong at once where it counts, so
forward needs no correction over metrics (Berger, 1982).

The sequences are asymptotic, and hold for an effect that does not change; what they do with users
who come again, heavy returns, rare conversions and hours of the day is measured by `longplay
benchmark rollout`, also with a canary exactly at the margin. A canary that changes is compared by
its mean so far, of the stage and of all stages.

Bounds are relative to the level of control. That level is an estimate too; its noise moves the
limit by margin * se(control), some hundredths of the width of the bounds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from serving.rollout.rule import RolloutRule, Scope
from serving.rollout.window import Seen, Window

RECENT_ERRORS = 1.645  # standard errors: one-sided, at 95 % if that look were the only one
ROUNDING = 1e-9


class Relative(NamedTuple):
    """A difference as a share of control's level, signed so that more is better."""

    value: float
    low: float
    high: float
    se: float


class Wanted(NamedTuple):
    """What a metric is held to: rolled back below `back`, kept from losing more than `margin`."""

    metric: str
    margin: float
    back: float
    sign: float  # -1 where less is better
    gain: bool  # whether the last step asks for a gain


def wanted(rule: RolloutRule) -> list[Wanted]:
    """The goal, then the guardrails."""
    superior = rule.goal == "superior"
    goal = Wanted(rule.metric, rule.margin, 0.0 if superior else -rule.margin, 1.0, superior)
    return [goal] + [
        Wanted(g.metric, g.margin, -g.margin, 1.0 if g.higher_is_better else -1.0, False)
        for g in rule.guardrails
    ]


def worse(window: Window, rule: RolloutRule) -> str | None:
    """Which metric is worse than it may be, with the numbers; None where none is known to be."""
    for w in wanted(rule):
        for scope, where in (("rollout", "all stages together"), ("stage", "this stage")):
            r = relative(window, rule, w, "rollout" if scope == "rollout" else "stage")
            if r is not None and r.high < w.back:
                return f"{w.metric} in {where} is {said(r)}, below {w.back:+.1%}"
    return None


def not_ready(window: Window, rule: RolloutRule, share: float) -> str | None:
    """Why the canary cannot be served to the next `share` of users yet, with the numbers."""
    for w in wanted(rule):
        everything = relative(window, rule, w, "rollout")
        recent = relative(window, rule, w, "recent")
        if everything is None:
            return f"{w.metric} has no bounds yet"
        if recent is None:
            return f"{w.metric} has no recent part yet"
        fallen = falling(everything, recent)
        if fallen is not None and share == 1 and w.metric == rule.metric:
            return f"{w.metric} falls: {fallen}"
        most = w.margin * (1.0 if share == 1 else rule.interim)
        last = recent.value - RECENT_ERRORS * recent.se
        for what, low in (("by its lower bound", everything.low), ("by its recent part", last)):
            if w.gain and share == 1 and what == "by its lower bound":
                if low <= 0:
                    return f"{w.metric} is {said(everything)}; a gain is not shown"
            elif share * -low > most:
                return (
                    f"{w.metric} is {said(everything)}; {what} it may lose {-low:.1%}, at "
                    f"{share:.3g} of users {share * -low:.1%} in all and not at most {most:.1%}"
                )
    return None


def falling(everything: Relative, recent: Relative) -> str | None:
    """How far the recent part lies below the whole that it is a part of, where that is more than
    chance: what is new to users may be good while it is new. The difference between a part and its
    whole has the variance of the part less that of the whole. Hausman (1978)."""
    off, square = recent.value - everything.value, recent.se**2 - everything.se**2
    if square <= 0 or off >= -RECENT_ERRORS * float(square**0.5):
        return None
    return f"{recent.value:+.1%} in the recent part, {everything.value:+.1%} in all"


def relative(window: Window, rule: RolloutRule, w: Wanted, scope: Scope) -> Relative | None:
    """The difference of a metric; None where it, its bounds or control's level are not known, or
    where the bounds are not as sure as the rule wants them."""
    by_metric: Mapping[str, Seen] = getattr(window, scope)
    s = by_metric.get(w.metric)
    if s is None or s.value is None or s.se is None or not s.control or s.level is None:
        return None
    if s.low is None or s.high is None or s.level < rule.level_of(w.metric, scope) - ROUNDING:
        return None
    a, b = (w.sign * bound / abs(s.control) for bound in (s.low, s.high))
    size = abs(s.control)
    return Relative(w.sign * s.value / size, min(a, b), max(a, b), s.se / size)


def said(r: Relative) -> str:
    """For people."""
    return f"{r.value:+.1%} [{r.low:+.1%}, {r.high:+.1%}] against control"
