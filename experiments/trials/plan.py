"""`longplay trial plan LOG`: how many users and days a trial needs, from a past log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from experiments.logs.item_names import open_named_log
from experiments.trials.inputs import days_of, joined_events
from offpolicy import LoggedDataset
from offpolicy.intervals.inference import Interval
from offpolicy.plan.record import sessions as rounded
from offpolicy.tables import bounds, markdown
from offpolicy.trials.comparing import Per
from offpolicy.trials.difference import LEAST_USERS
from offpolicy.trials.of_log import ArmRows, units_of_log
from offpolicy.trials.size import LOOKS, WEEKS, TrialSize, past_of, size_trial

RELATIVE = 0.02  # of the level of the metric: the effect that is planned for


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Users, days and the smallest effect seen, before a trial starts."""

    log: tyro.conf.Positional[str]
    """A past log (folder or file) with the column `user`, any table with --columns; or with
    --reward the events of a server (folder or URL)."""
    users_a_day: float | None = None
    """NEW users that come to both arms a day; or give --log-days."""
    log_days: float | None = None
    """Days that the log covers: then users come as they came in it. Events tell it themselves."""
    reward: tuple[str, ...] = ()
    """Of events: what an outcome of each kind is worth, liked=1."""
    window: str = "10min"
    """Of events: how long after its decision an outcome counts."""
    now: str = "now"
    """Of events: sessions that are over at this moment count: now, a date, or `end`."""
    metric: Literal["reward", "decisions", "ended"] = "reward"
    """What is compared."""
    per: Per = "user"
    """Totals of a user, or sums over sessions."""
    share: float = 0.5
    """Of the users that get the canary."""
    effect: float | None = None
    """How far the truth lies from what is asked about: the uplift that is to be seen, or, of a
    canary that is as good, the margin of non-inferiority; 2 % of the metric's level by default."""
    power: float = 0.8
    """Chance to see it."""
    level: float = 0.95
    """Of the bounds."""
    looks: int = LOOKS
    """At the trial, evenly spaced."""
    days: tuple[float, ...] = WEEKS
    """Lengths for which the smallest effect is told."""
    covariate: Literal["auto", "none"] = "auto"
    """auto: users' past takes variance off where the first half of the log says so."""
    columns: tuple[str, ...] = ()
    """Foreign column names, ours=theirs."""
    n_items: int | None = None
    """Size of the catalogue of a foreign log."""
    json: Path | None = None
    """Write the plan here."""


def plan(settings: Plan) -> tuple[str, Any]:
    """What a person reads, and what a program reads."""
    log, days = _opened(settings)
    units = units_of_log(log, _all(log))
    saved = (
        None if settings.covariate == "none" else saved_by_past(log, settings.metric, settings.per)
    )
    used = saved if saved is not None and saved.low > 0 else None
    past = past_of(units, settings.metric, per=settings.per, level=settings.level, saved=used)
    a_day = settings.users_a_day
    if a_day is None:
        if not days:
            raise ValueError(
                "how many users come a day? Give --users-a-day, or --log-days: what the log covers"
            )
        a_day = units.users.n / days
    effect = settings.effect or RELATIVE * abs(past.mean.value)
    if not effect > 0:
        raise ValueError(f"the mean {settings.metric} is 0; give --effect, in its unit")
    size = size_trial(
        past,
        share=settings.share,
        users_a_day=a_day,
        effect=effect,
        level=settings.level,
        power=settings.power,
        looks=settings.looks,
        days=settings.days,
    )
    return text_of(size, units.users.n, saved), record_of(size, units.users.n, saved)


def _opened(settings: Plan) -> tuple[LoggedDataset, float | None]:
    """The log, and the days that it covers."""
    if not settings.reward:
        log = open_named_log(Path(settings.log), settings.columns, settings.n_items)
        return log, settings.log_days
    joined, log, _ = joined_events(settings.log, settings.reward, settings.window, settings.now)
    return log, settings.log_days or days_of(joined)


def _all(log: LoggedDataset) -> ArmRows:
    nobody = np.zeros(len(log), np.bool_)
    return ArmRows(nobody, ~nobody, 0, 0)


def saved_by_past(log: LoggedDataset, metric: str, per: Per) -> Interval | None:
    """Share of the variance that the reward of the first half of the sessions, as they stand in the
    log, takes off the second half's; None where the halves share too few users to tell."""
    if log.user is None:
        return None
    early = log.sessions < log.n_sessions // 2
    first, second = log.take(early), log.take(~early)
    if len(np.intersect1d(first.unit, second.unit)) < 2 * LEAST_USERS:
        return None
    units = units_of_log(second, _all(second), past=first)
    return past_of(units, metric, per=per).saved


def text_of(size: TrialSize, users: int, saved: Interval | None) -> str:
    """Sentences, and a table of lengths."""
    past, need = size.past, size.needed
    assert need is not None
    unit, level = f"{past.name} a {past.per}", past.mean.value
    lines = [
        f"{users:,} users of {past.sessions:.3g} sessions each: {unit} {level:.4g} "
        f"{bounds(past.mean)}, standard deviation {past.variance**0.5:.4g} a user",
        _covariate(past.saved, saved),
        "",
        f"To see {need.effect:.4g} ({_percent(need.effect, level)}) with {size.power:.0%} power at "
        f"{size.level:.4g} confidence, the canary on {size.share:.0%} of the users, "
        f"{size.users_a_day:,.4g} new users a day:",
        f"* looked at any time ({size.looks} looks): {rounded(need.users)} users "
        f"[{rounded(need.users_low)}, {rounded(need.users_high)}], {_days(need.days)}; a canary "
        f"that is worse by as much is seen after {rounded(need.stopped)} users",
        f"* looked at once, at the end: {rounded(need.fixed)} users, {_days(need.fixed_days)}",
        f"read it with: longplay trial read LOG --canary VERSION --tuned-at {need.tuned_at:.0f}",
        "",
        "The smallest effect that is seen with this power:",
        "",
        markdown(
            ["days", "users", "looked at any time", "", "looked at once", ""],
            [
                [
                    f"{one.days:g}",
                    rounded(one.users),
                    _effect(one.effect),
                    _percent(one.effect, level),
                    _effect(one.fixed),
                    _percent(one.fixed, level),
                ]
                for one in size.lengths
            ],
        ),
        "",
        "The brackets are the error of the variance in this log. Users come new and behave as in "
        "the log, over as long a time as it covers, under both arms.",
    ]
    return "\n".join(line for line in lines if line is not None)


def _covariate(used: Interval | None, saved: Interval | None) -> str:
    if saved is None:
        return f"No covariate: the log's halves share fewer than {2 * LEAST_USERS} users"
    told = f"users' past would take {saved.value:.0%} {_share(saved)} of the variance away"
    return f"Covariate: {told}; reckoned with" if used else f"Covariate: {told}; not reckoned with"


def _share(i: Interval) -> str:
    return f"[{i.low:.0%}, {i.high:.0%}]"


def _effect(effect: float) -> str:
    return f"{effect:.3g}" if np.isfinite(effect) else "too few users"


def _percent(effect: float, level: float) -> str:
    return f"{effect / abs(level):.1%}" if level and np.isfinite(effect) else ""


def _days(days: float) -> str:
    return f"{days:,.{days < 100:d}f} days" if np.isfinite(days) else "no number of days"


def record_of(size: TrialSize, users: int, saved: Interval | None) -> dict[str, Any]:
    """The same numbers."""
    names: Sequence[str] = ("share", "level", "power", "looks", "users_a_day")
    return {name: getattr(size, name) for name in names} | {
        "users": users,
        "metric": size.past.name,
        "per": size.past.per,
        "mean": size.past.mean,
        "variance": size.past.variance,
        "variance_error": size.past.error,
        "sessions_a_user": size.past.sessions,
        "saved": saved,
        "needed": size.needed,
        "lengths": size.lengths,
    }
