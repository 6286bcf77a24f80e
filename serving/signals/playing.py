"""Series that a fault would leave, and that a good day leaves, in promtool's notation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from serving.metrics.statistics import (
    mean_of,
    per_decision,
    per_second,
    quantile_of,
    share_of,
    within,
)
from serving.signals.promql import DECISIONS, SIGNAL, budget, is_count, series_of
from serving.signals.rules import AlertRule, by_interval

PER_STEP = 10_000.0  # events between two samples
About = Mapping[str, str]  # labels of whose series they are


class Span(NamedTuple):
    """How long a rule is played."""

    seconds: int  # between samples
    changed: int  # the number of the first sample of the fault
    steps: int


class Course(NamedTuple):
    """A series: what is added at each step where it counts, else what it stands at, before and
    after the fault; None = it is not there. twice: after the fault's first step it doubles."""

    series: str
    counts: bool
    before: float | None
    after: float | None
    twice: bool = False

    def text(self, span: Span) -> str:
        """Its samples, of which those from `span.changed` on are the fault's."""
        parts = []
        left = span.steps - span.changed
        if self.counts:
            start, before = 0.0, self.before or 0.0
            if span.changed:
                parts.append(_some(f"0+{before:g}", span.changed))
                start = before * (span.changed - 1) + (self.after or 0.0)
            rises = None if self.after is None else f"{start:g}+{self.after:g}"
            parts.append(_some(rises, left))
        else:
            first = [("_" if self.before is None else f"{self.before:g}", span.changed)]
            after = "_" if self.after is None else f"{self.after:g}"
            last = [(after, left)]
            if self.twice and self.after is not None:
                last = [(after, 1), (f"{2 * self.after:g}", left - 1)]
            parts += [_flat(value, n) for value, n in first + last]
        return " ".join(part for part in parts if part)


class Played(NamedTuple):
    """What a rule is tested on: series, and the value that its alert then says."""

    courses: tuple[Course, ...]
    value: float


def played(rule: AlertRule, about: About, span: Span) -> Played:
    """Series that make a rule fire, with labels of whose they are; at first they are good."""
    sli, alert = rule.sli, rule.alert
    if rule.burn is not None:
        share = 1.25 * rule.burn.factor * budget(sli)
        return Played(_shares(rule, about, budget(sli) / 2, share), share)
    if alert.judged == "expr":
        return SPECIAL[sli.name](about, span)
    if alert.judged in ("fell", "rose"):
        return _moved(rule, about, span)
    if is_count(sli):
        name = _name(series_of(rule.signal), about, {"check": "rule"})
        return Played((Course(name, False, None, 3.0),), 3.0)
    if by_interval(rule.signal, sli):
        name = _name("longplay_indicator_missed", about, {"indicator": sli.name})
        return Played((Course(name, False, 0.0, 1.0),), 1.0)
    return _beyond(rule, about)


def _moved(rule: AlertRule, about: About, span: Span) -> Played:
    """By twice what the rule allows."""
    factor = rule.alert.factor
    far = factor / 2 if factor < 1 else 2 * factor
    func, name, asked = _func(rule), series_of(rule.signal), _asked(about)
    if func is per_second:
        calls = _name(name, about, {"result": "policy"})
        rate = PER_STEP / span.seconds
        return Played((Course(calls, True, PER_STEP, PER_STEP * far),), rate * far)
    if func is mean_of:
        counts = Course(_name(f"{name}_count", about), True, PER_STEP, PER_STEP)
        sums = Course(_name(f"{name}_sum", about), True, 2 * PER_STEP, 2 * PER_STEP * far)
        return Played((counts, sums, asked), 2 * far)
    if func is quantile_of:  # a median between 10 and 60 s, then one between 300 and 3,600 s
        bins = (("10", 0, 0), ("60", 1, 0), ("300", 1, 0), ("3600", 1, 1), ("+Inf", 1, 1))
        return Played((*_bins(name, about, bins), asked), (300.0 + 3600.0) / 2)
    if func is share_of:
        share = 0.2
        return Played((*_shares(rule, about, share, share * far), asked), share * far)
    return Played((Course(_name(name, about), False, 40.0, 40.0 * far), asked), 40.0 * far)


def _beyond(rule: AlertRule, about: About) -> Played:
    """By a value that misses the target."""
    func, name = _func(rule), series_of(rule.signal)
    if func is quantile_of:  # durations of less than 20 ms, then between 75 and 100 ms
        bins = (("0.02", 1, 0), ("0.075", 1, 0), ("0.1", 1, 1), ("+Inf", 1, 1))
        return Played((*_bins(name, about, bins), _asked(about)), 1e3 * (0.075 + 0.95 * 0.025))
    if func is per_decision:
        assert rule.sli.target is not None
        spent = PER_STEP / 1e3  # s: a millisecond a decision
        cost = _name(name, about, {"job": "longplay"})
        after = 2 * rule.sli.target
        return Played((Course(cost, True, spent, after * spent), _asked(about)), after)
    return Played((Course(_name(name, about), False, 0.0, 1.0),), 1.0)


def _shares(rule: AlertRule, about: About, before: float, after: float) -> tuple[Course, ...]:
    """An indicator that is a share, or what spends its budget, at two values of it."""
    sli, name = rule.sli, series_of(rule.signal)
    assert isinstance(sli.of, partial)
    if sli.op == ">=" and rule.burn is not None:
        before, after = 1 - before, 1 - after
    if sli.of.func is within:
        below = _name(f"{name}_bucket", about, {"le": f"{sli.of.args[2]:g}"})
        every = _name(f"{name}_count", about)
        return (
            Course(below, True, PER_STEP * before, PER_STEP * after),
            Course(every, True, PER_STEP, PER_STEP),
        )
    inside, among = sli.of.args[1], sli.of.args[2]
    outside = next(label for label in among if label not in inside)
    label = SIGNAL[rule.signal.name].label
    return (
        Course(_name(name, about, {label: inside[0]}), True, PER_STEP * before, PER_STEP * after),
        Course(
            _name(name, about, {label: outside}),
            True,
            PER_STEP * (1 - before),
            PER_STEP * (1 - after),
        ),
    )


def _silence(about: About, span: Span) -> Played:
    calls = _name("longplay_requests_total", about, {"result": "policy"})
    return Played((Course(calls, True, PER_STEP, 0.0),), 0.0)


def _absence(about: About, span: Span) -> Played:
    calls = _name("longplay_requests_total", about, {"result": "policy"})
    return Played((Course(calls, True, PER_STEP, None),), 1.0)


def _restarts(about: About, span: Span) -> Played:
    began = _name("process_start_time_seconds", about, {"job": "longplay"})
    return Played((Course(began, False, 100.0, 3_000.0, twice=True),), 2.0)


def _watch_silent(about: About, span: Span) -> Played:
    """The watch's clock stands still from the change on."""
    looked = Course(_name("longplay_watch_time_seconds", about), True, span.seconds, 0.0)
    weight = Course(_name("longplay_rollout_weight", about), False, 0.05, 0.05)
    return Played((looked, weight), float((span.steps - span.changed) * span.seconds))


def _canary_unwatched(about: About, span: Span) -> Played:
    canary = _name(DECISIONS, about, {"arm": "canary", "logged": "true"})
    looked = Course(_name("longplay_watch_time_seconds", about), False, 1.0, None)
    return Played((Course(canary, True, PER_STEP, PER_STEP), looked), PER_STEP / span.seconds)


SPECIAL: dict[str, Callable[[About, Span], Played]] = {
    "silence": _silence,
    "absence": _absence,
    "restarts": _restarts,
    "watch_silent": _watch_silent,
    "canary_unwatched": _canary_unwatched,
}


def _bins(name: str, about: About, bins: tuple[tuple[str, int, int], ...]) -> tuple[Course, ...]:
    """A histogram all of whose values are up to an edge: (edge, before, after)."""
    return tuple(
        Course(_name(f"{name}_bucket", about, {"le": le}), True, PER_STEP * a, PER_STEP * b)
        for le, a, b in bins
    )


def _asked(about: About) -> Course:
    return Course(_name(DECISIONS, about, {"logged": "true"}), True, PER_STEP, PER_STEP)


def _func(rule: AlertRule) -> Any:
    return rule.sli.of.func if isinstance(rule.sli.of, partial) else None


def _name(series: str, about: About, more: About | None = None) -> str:
    named = {**about, **({} if more is None else more)}
    inside = ", ".join(f'{key}="{value}"' for key, value in sorted(named.items()))
    return f"{series}{{{inside}}}"


def _some(rising: str | None, n: int) -> str:
    """n samples of a rise; promtool counts those after the first."""
    return f"{'_' if rising is None else rising}x{n - (rising is not None)}" if n else ""


def _flat(value: str, n: int) -> str:
    """n samples of a value."""
    if value == "_" or n == 0:
        return f"_x{n}" if n else ""
    return f"{value}x{n - 1}" if n > 1 else value
