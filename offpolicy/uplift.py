"""Each estimate beside what the logging policy earned, and what a reader must know of both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from offpolicy.diagnostics import ENOUGH
from offpolicy.estimators import ESTIMATORS, hyper_parameters
from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.formulas import ips, martingale, pdis
from offpolicy.estimators.terms import Terms
from offpolicy.intervals.inference import adjust, difference, interval
from offpolicy.line import Line
from offpolicy.log.dataset import LoggedDataset
from offpolicy.weighting.horizons import on_policy


def compare(
    estimates: Mapping[str, Estimate],
    by_name: Mapping[str, Terms],
    settings: Mapping[str, Mapping[str, float]],
    level: float,
    *,
    controlled: bool,
) -> tuple[Line, ...]:
    """Lines of a report: the uplift is over the logging policy's value of the same rewards, with a
    control variate, which is of use where weights average 1."""
    several = {id(t): t for t in by_name.values()}
    logged = {k: logged_value(t) for k, t in several.items()}
    control = {
        k: estimate_forms(t, {"control": martingale})["control"]
        for k, t in several.items()
        if controlled
    }
    lines = []
    for name, e in estimates.items():
        own = id(by_name[name])
        uplift = difference(e, logged[own])
        if own in control:
            uplift = adjust(uplift, control[own])
        used = hyper_parameters(name) | dict(settings.get(name, {}))
        decides = uplift
        if ESTIMATORS[name].interval:  # no verdict rests on an interval that does not hold
            decides = replace(uplift, bias=(-np.inf, np.inf))
        lines.append(Line(name, interval(e, level), interval(uplift, level), used, decides))
    return tuple(lines)


def logged_value(t: Terms) -> Estimate:
    """The logging policy's own value."""
    form = {"logging policy": pdis if is_staged(t) else ips}
    return estimate_forms(on_policy(t), form)["logging policy"]


def notes_on(
    log: LoggedDataset, horizon: str, ess: float, estimators: Collection[str]
) -> list[str]:
    """What bears on every line: cut sessions, loggers, estimated propensities, thin overlap."""
    notes = []
    if horizon != "one_step":
        cut = cut_sessions(log)
        if cut:
            notes.append(
                f"{cut} of {log.n_sessions} sessions were cut by the end of logging (truncated "
                "before the horizon): the value counts what was seen of them."
            )
    if log.logger is not None and len(np.unique(log.logger)) > 1:
        notes.append(
            f"{len(np.unique(log.logger))} policies served this log; every row is weighted by the "
            "policy that served it."
        )
    if log.propensity_source == "estimated":
        notes.append(
            "the propensities of this log were ESTIMATED, not logged: no interval here covers what "
            "the serving policy saw and the log does not hold."
        )
    if ess < ENOUGH:
        notes.append(
            f"the effective sample is {ess:.0f} units: the intervals below are not to be trusted."
        )
    notes += [
        f"the interval of {n} {ESTIMATORS[n].interval}."
        for n in estimators
        if ESTIMATORS[n].interval
    ]
    return notes + _on_slates(log, [n for n in estimators if ESTIMATORS[n].weighting])


def _on_slates(log: LoggedDataset, names: Collection[str]) -> list[str]:
    """Which weights are an assumption, and whose sum the slate estimators speak of."""
    notes = []
    apart = [n for n in names if ESTIMATORS[n].weighting in ("marginal", "pseudo_inverse")]
    if apart and log.slate_size > 1:
        notes.append(
            f"{', '.join(apart)} read the place probabilities as those of each place alone, which "
            "they are only where a policy fills places independently; else give "
            "slate_terms(marginals=...)."
        )
    paid = log.reward if log.position_reward is None else log.position_reward.sum(1)
    if names and not np.allclose(paid, log.reward):
        notes.append(
            f"{', '.join(names)} speak of the sum of position_reward ({paid.mean():.5g} a slate "
            f"here), the others of reward ({log.reward.mean():.5g})."
        )
    return notes


def cut_sessions(log: LoggedDataset) -> int:
    """Sessions that neither ended by the user leaving nor reached the longest session's length."""
    last = np.zeros(log.n_sessions, np.int64)
    last[log.sessions] = np.arange(len(log))
    return int((~log.terminated[last] & (log.step[last] < log.step.max())).sum())
