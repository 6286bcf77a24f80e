"""Each estimate beside what the logging policy earned on the same rows."""

from __future__ import annotations

from collections.abc import Mapping

from offpolicy.estimators import hyper_parameters
from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.sequential import martingale, pdis
from offpolicy.estimators.single import ips
from offpolicy.estimators.terms import Terms
from offpolicy.intervals.inference import adjust, difference, interval
from offpolicy.report import Line
from offpolicy.weighting.weights import on_policy


def compare(
    found: Mapping[str, Estimate],
    asked: Mapping[str, Terms],
    settings: Mapping[str, Mapping[str, float]],
    level: float,
    *,
    controlled: bool,
) -> tuple[Line, ...]:
    """Lines of a report: the uplift is over the logging policy's value of the same rewards, with a
    control variate, which is of use where weights average 1."""
    several = {id(t): t for t in asked.values()}
    logged = {k: logged_value(t) for k, t in several.items()}
    control = {
        k: estimate_forms(t, {"control": martingale})["control"]
        for k, t in several.items()
        if controlled
    }
    lines = []
    for name, e in found.items():
        own = id(asked[name])
        uplift = difference(e, logged[own])
        if own in control:
            uplift = adjust(uplift, control[own])
        used = hyper_parameters(name) | dict(settings.get(name, {}))
        lines.append(Line(name, interval(e, level), interval(uplift, level), used, uplift))
    return tuple(lines)


def logged_value(t: Terms) -> Estimate:
    """The logging policy's own value."""
    form = {"logging policy": pdis if is_staged(t) else ips}
    return estimate_forms(on_policy(t), form)["logging policy"]
