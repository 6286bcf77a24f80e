"""Each estimate beside what the logging policy earned, and what a reader must know of both."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from offpolicy.diagnostics import ENOUGH, JUDGED, mean_and_error
from offpolicy.estimators import ESTIMATORS, estimate, hyper_parameters
from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.forms import Rows, is_staged
from offpolicy.estimators.formulas import ips, martingale, pdis
from offpolicy.estimators.registry import estimator
from offpolicy.estimators.terms import Terms
from offpolicy.intervals.gamma import gamma_interval
from offpolicy.intervals.inference import Interval, adjust, difference
from offpolicy.intervals.unseen import Pairs, pairs, unseen
from offpolicy.line import Line
from offpolicy.log.dataset import LoggedDataset
from offpolicy.weighting.censoring import Censoring
from offpolicy.weighting.horizons import on_policy

CARRIED = 30.0  # units that carry a standard error, under which a note says so
MODELLED = (
    ": whole sessions count for them by the chance, at their length, to be seen whole. That holds "
    "where cutting does not depend on what would have come"
)
ALIKE = 1e-5  # by how much weights of one policy may differ from 1, over some steps


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
    alike = {k for k, t in several.items() if same_policy(t)}
    shared: dict[tuple[int, bool], Pairs] = {}
    lines = []
    for name, e in estimates.items():
        own, record = id(by_name[name]), ESTIMATORS[name]
        uplift = difference(e, logged[own])
        if own in alike:
            nothing = np.zeros_like(uplift.psi)
            uplift = replace(uplift, value=0.0, psi=nothing, bias=(0.0, 0.0), ends=None)
        elif own in control:
            uplift = adjust(uplift, control[own])
        used = hyper_parameters(name) | dict(settings.get(name, {}))
        of_value, of_uplift = (0.0, 0.0), (0.0, 0.0)
        if not record.model_only:
            p = _pairs(by_name[name], name, used, shared)
            of_value = unseen(e, p, against=0.0)
            if own not in alike:
                of_uplift = unseen(uplift, p, against=1.0)
        value = gamma_interval(e, level, unseen=of_value)
        gain = gamma_interval(uplift, level, unseen=of_uplift)
        decides = uplift
        if record.interval:  # no verdict rests on an interval that does not hold
            decides = replace(uplift, bias=(-np.inf, np.inf), ends=None)
        lines.append(Line(name, value, gain, used, decides, of_uplift))
    return tuple(lines)


def _pairs(
    t: Terms, name: str, used: Mapping[str, float], shared: dict[tuple[int, bool], Pairs]
) -> Pairs:
    """Weights as the estimator uses them, and outcomes; kept in `shared` where it changes none."""
    record = ESTIMATORS[name]
    form = None if record.whole else estimator(name, **used)
    if form is not None and form(Rows(t, slice(0, 1))).used is not None:
        return pairs(t, weight=form(Rows(t, slice(None))).used, model=record.needs_model)
    key = id(t), record.needs_model
    if key not in shared:
        shared[key] = pairs(t, model=record.needs_model)
    return shared[key]


def value_interval(
    t: Terms, name: str, level: float = 0.95, *, settings: Mapping[str, float] | None = None
) -> Interval:
    """The value of one estimator on terms of one's own, within the bounds that `evaluate` gives:
    they follow the skew of the influences and leave room for units that the log missed.

    `settings` are hyper-parameters of the estimator. Gamma bounds: Fay & Feuer (1997).

    Raises:
        ValueError: no such estimator or setting, fewer than 2 units, a level outside (0, 1).
        NoOverlapError: a self-normalised estimator finds no weight at all.
    """
    used = hyper_parameters(name) | dict(settings or {})
    e = estimate(t, name, **used)
    if ESTIMATORS[name].model_only:
        return gamma_interval(e, level)
    return gamma_interval(e, level, unseen=unseen(e, _pairs(t, name, used, {}), against=0.0))


def same_policy(t: Terms) -> bool:
    """The target chooses as the logging policy did, but for rounding in float32: it has no uplift,
    and a model's noise must not make one."""
    return all(float(np.abs(w - 1).max()) <= ALIKE for w in (t.weight, t.weight_before))


def logged_interval(t: Terms, level: float) -> Interval:
    """What the logging policy earned, with its interval."""
    e, own = logged_value(t), pairs(on_policy(t))
    return gamma_interval(e, level, unseen=unseen(e, own, against=0.0))


def logged_value(t: Terms) -> Estimate:
    """The logging policy's own value."""
    form = {"logging policy": pdis if is_staged(t) else ips}
    return estimate_forms(on_policy(t), form)["logging policy"]


def carried_by(line: Line) -> list[str]:
    """A note where few units carry the standard error of the uplift: (sum psi^2)^2 / sum psi^4."""
    if line.influence is None or not line.influence.psi.any():
        return []
    square = (line.influence.psi / np.abs(line.influence.psi).max()) ** 2
    units = float(square.sum() ** 2 / (square @ square))
    if units >= CARRIED:
        return []
    return [
        f"about {units:.0f} of {len(square)} units carry the standard error of {line.estimator}'s "
        "uplift: rewards are rare or heavy-tailed where the target differs. Bounds leave room for "
        "what such a log misses; they narrow with more sessions, or with a reward that is capped "
        "or comes more often."
    ]


def notes_on(
    log: LoggedDataset, horizon: str, ess: float, estimators: Collection[str], cut: Censoring | None
) -> list[str]:
    """What bears on every line: cut sessions, loggers, estimated propensities, thin overlap."""
    notes = []
    if cut is not None:
        how = "" if horizon == "marginal" else MODELLED
        notes.append(
            f"{cut.cut} of {cut.sessions} sessions were cut (truncated before they ended){how}."
        )
    if log.logger is not None and len(np.unique(log.logger)) > 1:
        notes.append(
            f"{len(np.unique(log.logger))} policies served this log; every row is weighted by the "
            "policy that served it."
        )
    if log.row_weight is not None:
        notes.append(
            "rows were kept with a known chance and count by row_weight: values are of all "
            "traffic, not of the rows that were kept."
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
    elif ess < JUDGED:
        notes.append(
            f"the effective sample is {ess:.0f} units: intervals are rough below {JUDGED:.0f}, "
            "bounds may be off by a fifth of their width; log more before deciding on them."
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
            f"{', '.join(names)} speak of the sum of position_reward "
            f"({mean_and_error(paid, log.row_weight)[0]:.5g} a slate here), the others of reward "
            f"({mean_and_error(log.reward, log.row_weight)[0]:.5g})."
        )
    return notes
