"""(log, target scores, horizon) -> Report: weights, model, estimates, intervals, verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.diagnostics import Diagnostics, diagnose
from offpolicy.doctor import check_log
from offpolicy.errors import NoOverlapError
from offpolicy.estimators import FOR_HORIZON, WITH_MODEL, estimate_all, hyper_parameters
from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.sequential import martingale, pdis
from offpolicy.estimators.single import ips
from offpolicy.gate import GateRule, Guardrail, decide
from offpolicy.inference import adjust, difference, interval
from offpolicy.log import LoggedDataset
from offpolicy.report import Line, Report
from offpolicy.reward_model import Regressor, predict_rewards
from offpolicy.selection import choose_settings
from offpolicy.slates import WEIGHTING, slate_terms
from offpolicy.terms import Terms
from offpolicy.weights import (
    ESTIMAND,
    Horizon,
    Predictions,
    TargetScores,
    check_scores,
    on_policy,
    terms,
)

Scores = TargetScores | NDArray[np.floating] | Callable[[LoggedDataset], "TargetScores | ArrayLike"]
Model = Literal["ridge"] | Predictions | Regressor | None
USUAL: dict[str, tuple[str, ...]] = {
    "one_step": ("ips", "clipped_ips", "snips", "dm", "dr", "sndr"),
    "per_decision": ("pdis", "snpdis", "dm", "seq_dr"),
    "trajectory": ("tis", "sntis"),
}
ENOUGH = 100.0  # effective units under which an interval is not to be trusted
PREFERRED = ("dr", "seq_dr", "sndr", "wdr", "snips", "snpdis", "ips", "pdis", "sntis", "tis")


def evaluate(
    log: LoggedDataset,
    scores: Scores,
    *,
    horizon: Horizon,
    estimators: Sequence[str] | None = None,
    level: float = 0.95,
    gamma: float = 1.0,
    model: Model = "ridge",
    item_features: ArrayLike | None = None,
    hyper: Mapping[str, Mapping[str, float]] | Literal["slope"] | None = None,
    rule: GateRule | None = None,
    guardrails: Sequence[Guardrail] = (),
    decide_by: str | None = None,
    check: bool = True,
    seed: int = 0,
) -> Report:
    """What the target policy is worth, by several estimators, each against the logging policy.

    `scores` are TargetScores, the target's probabilities (N,) of the logged slates, or a callable
    log -> either. `horizon` names the estimand. `model` is the reward model behind dm and dr:
    "ridge" (needs TargetScores.slates), a scikit-learn estimator, ready Predictions, or None.
    `hyper` holds settings per estimator: {"clipped_ips": {"cap": 5}}; "slope" chooses them on this
    log. The verdict rests on `decide_by`, by default the first doubly robust estimator there is.
    `check` examines the log and puts the doctor's findings into the report; a log that fails is not
    judged.

    Raises:
        LogError: the scores do not fit the log.
        ValueError: an unknown estimator, setting or horizon.
    """
    told = as_scores(log, scores)
    notes: list[str] = []
    predictions = _predictions(log, told, model, horizon, item_features, gamma, seed, notes)
    t = terms(log, told, horizon=horizon, model=predictions, gamma=gamma)
    names = _names(horizon, estimators, predictions is not None)
    slated = [n for n in names if n in WEIGHTING] if horizon == "one_step" else []
    if isinstance(hyper, str):
        hyper = choose_settings(t, names)
    d = diagnose(t)
    found = _estimates(t, [n for n in names if n not in slated], hyper, notes)
    plain = {"logging policy": ips if horizon == "one_step" else pdis}
    baseline = estimate_forms(on_policy(t), plain)["logging policy"]
    lines = _lines(t, found, baseline, level, hyper or {}, trusted=_trusted(d))
    for name in slated:
        places = slate_terms(log, told, weighting=WEIGHTING[name])
        found |= estimate_all(places, [name])
        lines += _lines(places, {name: found[name]}, baseline, level, {}, trusted=_trusted(d))
    primary = decide_by or next((n for n in PREFERRED if n in found), names[0])
    if primary not in found:
        raise ValueError(f"decide_by = {primary!r} is not among the estimators {', '.join(names)}")
    health = check_log(log, told) if check else None
    rule = rule or GateRule()
    influence = next(x.influence for x in lines if x.estimator == primary)
    assert influence is not None
    uplift = interval(influence, rule.level)
    notes += _notes(log, horizon, d.ess)
    if "dm" in found:
        notes.append(
            "the interval of dm speaks of the states that were met, not of the error of the model: "
            "it does not cover the truth at its level."
        )
    return Report(
        lines=lines,
        baseline=interval(baseline, level),
        horizon=horizon,
        estimand=ESTIMAND[horizon],
        diagnostics=d,
        verdict=decide(uplift, d, rule, guardrails=guardrails, log_check=health),
        decided_by=primary,
        notes=tuple(notes),
        log_hash=log.hash(),
        log_check=health,
    )


def as_scores(log: LoggedDataset, scores: Scores) -> TargetScores:
    """What a caller may pass as the target policy's word on the log, as TargetScores.

    Raises:
        LogError: it does not fit the log.
    """
    told = scores(log) if callable(scores) else scores
    found = told if isinstance(told, TargetScores) else TargetScores(np.asarray(told, np.float64))
    check_scores(log, found)
    return found


def _predictions(
    log: LoggedDataset,
    scores: TargetScores,
    model: Model,
    horizon: str,
    item_features: ArrayLike | None,
    gamma: float,
    seed: int,
    notes: list[str],
) -> Predictions | None:
    if model is None or isinstance(model, Predictions) or horizon == "trajectory":
        return model if isinstance(model, Predictions) else None
    if scores.slates is None:
        notes.append(
            "the target's scores carry no slates, so no reward model was fitted: estimators that "
            "need one are left out."
        )
        return None
    if isinstance(model, str) and model != "ridge":
        raise ValueError(f'model = {model!r}; it is "ridge", a scikit-learn estimator or None')
    return predict_rewards(
        log,
        scores,
        horizon=horizon,
        item_features=item_features,
        estimator=None if isinstance(model, str) else model,
        gamma=gamma,
        seed=seed,
    )


def _names(horizon: str, wanted: Sequence[str] | None, with_model: bool) -> list[str]:
    if wanted is None:
        return [n for n in USUAL[horizon] if with_model or n not in WITH_MODEL]
    blind = [n for n in wanted if n in WITH_MODEL and not with_model]
    if blind:
        raise ValueError(
            f"{', '.join(blind)} need a reward model: pass model= and TargetScores with slates"
        )
    if not wanted:
        raise ValueError(f"no estimators were named; there are {', '.join(FOR_HORIZON[horizon])}")
    return list(wanted)


def _lines(
    t: Terms,
    found: dict[str, Estimate],
    baseline: Estimate,
    level: float,
    hyper: Mapping[str, Mapping[str, float]],
    *,
    trusted: bool,
) -> tuple[Line, ...]:
    """`trusted`: the weights average 1, so that they may serve the uplift as a control variate."""
    control = estimate_forms(t, {"control": martingale})["control"]
    lines = []
    for name, e in found.items():
        settings = hyper_parameters(name) | dict(hyper.get(name, {}))
        uplift = difference(e, baseline)
        if trusted:
            uplift = adjust(uplift, control)
        lines.append(Line(name, interval(e, level), interval(uplift, level), settings, uplift))
    return tuple(lines)


def _estimates(
    t: Terms,
    names: list[str],
    hyper: Mapping[str, Mapping[str, float]] | None,
    notes: list[str],
) -> dict[str, Estimate]:
    """All of them, or, where the log holds nothing the target would do, those that still exist."""
    try:
        return estimate_all(t, names, hyper)
    except NoOverlapError:
        found: dict[str, Estimate] = {}
        for name in names:
            with suppress(NoOverlapError):
                found |= estimate_all(t, [name], hyper)
    if not found:
        raise NoOverlapError(
            f"the target policy never serves what was logged, so {', '.join(names)} have no value: "
            "log with more exploration, or try a closer policy."
        )
    notes.append(
        "the target policy never serves what was logged: "
        f"{', '.join(n for n in names if n not in found)} have no value and are left out."
    )
    return found


def _trusted(d: Diagnostics) -> bool:
    """Weights that average 1 over enough units; of degenerate ones a regression is nonsense."""
    m = d.mean_weight
    return m is not None and m.low <= 1 <= m.high and d.ess >= ENOUGH


def _notes(log: LoggedDataset, horizon: str, ess: float) -> list[str]:
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
    return notes


def cut_sessions(log: LoggedDataset) -> int:
    """Sessions that neither ended by the user leaving nor reached the longest session's length."""
    last = np.zeros(log.n_sessions, np.int64)
    last[log.sessions] = np.arange(len(log))
    return int((~log.terminated[last] & (log.step[last] < log.step.max())).sum())
