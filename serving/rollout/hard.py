"""Hard stops: what no canary may do, whatever it earns.

Shares are judged by a bound, not by their value, so that one slow request among ten stops nothing:
the exact lower bound of a binomial share (Clopper & Pearson, 1934) at HARD_LEVEL. That bound is
computed anew at every look; at one chance in a million each, 10,000 looks at a canary that just
keeps its limit stop it wrongly with a chance of 1 % at most. P99 above a limit says that more than
1 of 100 decisions are slower than it, so it is judged as a share too.
"""

from __future__ import annotations

from offpolicy.intervals.binomial import exact_bounds
from serving.rollout.rule import HARD_LEVEL, RolloutRule
from serving.rollout.window import Shares, Window

SLOW_SHARE = 0.01  # of decisions that may be slower than the P99 limit
COUNTED = ("decisions", "errors", "fallbacks", "slow", "violations")
WEIGHED = ("mean_weight_low", "mean_weight_high")


def hard_stop(window: Window, rule: RolloutRule) -> str | None:
    """Why the canary must go at once, with the number; None where it need not."""
    users = (window.canary.users or 0) + (window.control.users or 0)
    both = _above(window.multiple_exposure, users, rule.multiple_exposure)
    if both is not None:
        return f"{both[0]:.3g} of users were in both arms (at least {both[1]:.3g})" + _limit(
            rule.multiple_exposure
        )
    p = window.sample_ratio_p
    if p is not None and p < rule.sample_ratio_p:
        return (
            f"the arms are not split at {window.weight:.3g} as they should be: anytime-valid p = "
            f"{p:.2g}; {window.canary.users} canary and {window.control.users} control users"
        )
    return failing(window.hard, rule)


def failing(s: Shares, rule: RolloutRule) -> str | None:
    """Why a version that answers like this must go; None where it need not."""
    if s.violations is not None and s.violations > rule.violations:
        return f"{s.violations} broken constraints; {rule.violations} are allowed"
    for what, count, limit in (
        ("failed", s.errors, rule.error_share),
        ("were answered by the fallback", s.fallbacks, rule.fallback_share),
        (f"took longer than {rule.p99_ms:g} ms", s.slow, SLOW_SHARE),
    ):
        if count is None or not s.decisions:
            continue
        above = _above(count / s.decisions, s.decisions, limit)
        if above is not None:
            return (
                f"{count} of {s.decisions} decisions {what}, at least {above[1]:.3g} of all"
                + _limit(limit)
            )
    low, high = s.mean_weight_low, s.mean_weight_high
    if (low is not None and low > 1) or (high is not None and high < 1):
        return (
            f"the mean weight lies in [{_or_open(low)}, {_or_open(high)}] and not at 1: "
            "propensities are wrong"
        )
    return None


def unknown(s: Shares, names: tuple[str, ...] = COUNTED + WEIGHED) -> list[str]:
    """Which of these numbers are not known."""
    return [name.replace("_", " ") for name in names if getattr(s, name) is None]


def silence(window: Window) -> float:
    """Of the arm that is silent the longest for its share of users."""
    return max(one or 0.0 for one in silences(window))


def silences(window: Window) -> tuple[float | None, float | None]:
    """Seconds without an event times the share of users, of canary and control: at 1 % of users
    events are 100 times rarer, and so 100 times the silence is as strange."""
    canary, control, w = window.canary.silent_seconds, window.control.silent_seconds, window.weight
    return None if canary is None else canary * w, None if control is None else control * (1 - w)


def lower_share(count: float, of: int) -> float:
    """Lower bound of a binomial share, at HARD_LEVEL. Clopper & Pearson (1934)."""
    return exact_bounds(count, of, 2 * HARD_LEVEL - 1)[0]


def _above(share: float | None, of: int, limit: float) -> tuple[float, float] | None:
    """The share and its lower bound, where that is above the limit."""
    if share is None or not of or share <= limit:
        return None
    low = lower_share(min(share, 1.0) * of, of)
    return (share, low) if low > limit else None


def _limit(limit: float) -> str:
    return f"; the limit is {limit:.3g}"


def _or_open(bound: float | None) -> str:
    return "?" if bound is None else f"{bound:.4g}"
