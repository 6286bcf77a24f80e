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
from offpolicy.marginals import marginal_terms, terms_of
from offpolicy.notes import ENOUGH, notes_on
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
)

Scores = TargetScores | NDArray[np.floating] | Callable[[LoggedDataset], "TargetScores | ArrayLike"]
Model = Literal["ridge", "robust"] | Predictions | Regressor | None
USUAL: dict[str, tuple[str, ...]] = {
    "one_step": ("ips", "clipped_ips", "snips", "dm", "dr", "sndr"),
    "per_decision": ("pdis", "snpdis", "dm", "seq_dr"),
    "trajectory": ("tis", "sntis"),
    "marginal": ("mis_state", "mis_state_action", "dm", "drl"),
}
PREFERRED = (
    "dr", "seq_dr", "drl", "sndr", "wdr", "snips", "snpdis", "mis_state", "ips", "pdis", "sntis",
    "tis",
)  # fmt: skip


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
    state: ArrayLike | None = None,
    hyper: Mapping[str, Mapping[str, float]] | Literal["slope"] | None = None,
    rule: GateRule | None = None,
    guardrails: Sequence[Guardrail] = (),
    decide_by: str | None = None,
    check: bool = True,
    seed: int = 0,
) -> Report:
    """What the target policy is worth, by several estimators, each against the logging policy.

    `scores` are TargetScores, the target's probabilities (N,) of the logged slates, or a callable
    log -> either. `horizon` names the estimand; "marginal" needs `state` (N,), codes of a Markov
    state. `model` is the reward model behind dm and dr: "ridge" (needs TargetScores.slates),
    "robust" (more robust doubly robust: a ridge fitted where dr needs it), a scikit-learn
    estimator, ready Predictions, or None. `hyper` holds settings per estimator:
    {"clipped_ips": {"cap": 5}}; "slope" chooses them on this log. The verdict rests on `decide_by`,
    by default the first doubly robust estimator there is. `check` examines the log and puts the
    doctor's findings into the report; a log that fails is not judged.

    Raises:
        LogError: the scores do not fit the log.
        ValueError: an unknown estimator, setting or horizon.
    """
    told, notes = as_scores(log, scores), list[str]()
    predictions = _predictions(log, told, model, horizon, item_features, gamma, seed, notes)
    names = _names(horizon, estimators, predictions is not None)
    t = terms_of(log, told, horizon=horizon, model=predictions, gamma=gamma, state=state)
    own = _own_terms(log, told, horizon, names, gamma, state)
    if isinstance(hyper, str):
        hyper = choose_settings(t, [n for n in names if n not in own])
    d = diagnose(t)
    found = _estimates({n: own.get(n, t) for n in names}, hyper or {}, notes)
    primary = decide_by or next((n for n in PREFERRED if n in found), next(iter(found)))
    if primary not in found:
        raise ValueError(f"decide_by = {primary!r} is not among the estimators {', '.join(found)}")
    plain = {"logging policy": ips if horizon == "one_step" else pdis}
    baseline = estimate_forms(on_policy(t), plain)["logging policy"]
    control = _controls([t, *own.values()]) if _trusted(d) else {}
    lines = tuple(
        _line(e, baseline, control.get(id(own.get(n, t))), level, (hyper or {}).get(n, {}))
        for n, e in found.items()
    )
    health = check_log(log, told) if check else None
    rule = rule or GateRule()
    influence = next(x.influence for x in lines if x.estimator == primary)
    assert influence is not None
    notes += notes_on(log, horizon, d.ess, found)
    return Report(
        lines=lines,
        baseline=interval(baseline, level),
        horizon=horizon,
        estimand=ESTIMAND[horizon],
        diagnostics=d,
        verdict=decide(
            interval(influence, rule.level), d, rule, guardrails=guardrails, log_check=health
        ),
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
    if isinstance(model, str) and model not in ("ridge", "robust"):
        raise ValueError(
            f'model = {model!r}; it is "ridge", "robust", a scikit-learn estimator or None'
        )
    return predict_rewards(
        log,
        scores,
        horizon=horizon,
        item_features=item_features,
        estimator=None if isinstance(model, str) else model,
        robust=model == "robust",
        gamma=gamma,
        seed=seed,
    )


def _names(horizon: str, wanted: Sequence[str] | None, with_model: bool) -> list[str]:
    if wanted is None:
        if horizon not in USUAL:
            raise ValueError(f"no horizon {horizon!r}; there are {', '.join(USUAL)}")
        return [n for n in USUAL[horizon] if with_model or n not in WITH_MODEL]
    blind = [n for n in wanted if n in WITH_MODEL and not with_model]
    if blind:
        raise ValueError(
            f"{', '.join(blind)} need a reward model: pass model= and TargetScores with slates"
        )
    if not wanted:
        raise ValueError(f"no estimators were named; there are {', '.join(FOR_HORIZON[horizon])}")
    return list(wanted)


def _own_terms(
    log: LoggedDataset,
    scores: TargetScores,
    horizon: Horizon,
    names: Sequence[str],
    gamma: float,
    state: ArrayLike | None,
) -> dict[str, Terms]:
    """Estimators that weigh the rows in a way of their own: slates a row per place, and cells of
    state and action."""
    if horizon == "one_step":
        return {
            n: slate_terms(log, scores, weighting=WEIGHTING[n]) for n in names if n in WEIGHTING
        }
    if horizon == "marginal" and "mis_state_action" in names and state is not None:
        t = marginal_terms(log, scores, state=state, kind="state_action", gamma=gamma)
        return {"mis_state_action": t}
    return {}


def _controls(used: Sequence[Terms]) -> dict[int, Estimate]:
    """The control variate of each terms: of use where their weights average 1."""
    return {id(t): estimate_forms(t, {"control": martingale})["control"] for t in used}


def _line(
    e: Estimate,
    baseline: Estimate,
    control: Estimate | None,
    level: float,
    hyper: Mapping[str, float],
) -> Line:
    uplift = difference(e, baseline)
    if control is not None:
        uplift = adjust(uplift, control)
    settings = hyper_parameters(e.name) | dict(hyper)
    return Line(e.name, interval(e, level), interval(uplift, level), settings, uplift)


def _estimates(
    asked: Mapping[str, Terms], hyper: Mapping[str, Mapping[str, float]], notes: list[str]
) -> dict[str, Estimate]:
    """All of them, or, where the log holds nothing the target would do, those that still exist."""
    together: dict[int, tuple[Terms, list[str]]] = {}
    for name, t in asked.items():
        together.setdefault(id(t), (t, []))[1].append(name)
    found: dict[str, Estimate] = {}
    for t, names in together.values():
        try:
            found |= estimate_all(t, names, hyper)
        except NoOverlapError:
            for name in names:
                with suppress(NoOverlapError):
                    found |= estimate_all(t, [name], hyper)
    lost = ", ".join(n for n in asked if n not in found)
    if not found:
        raise NoOverlapError(
            f"the target policy never serves what was logged, so {lost} have no value: "
            "log with more exploration, or try a closer policy."
        )
    if lost:
        notes.append(
            f"the target policy never serves what was logged: {lost} have no value and are left "
            "out."
        )
    return {n: found[n] for n in asked if n in found}


def _trusted(d: Diagnostics) -> bool:
    """Weights that average 1 over enough units; of degenerate ones a regression is nonsense."""
    m = d.mean_weight
    return m is not None and m.low <= 1 <= m.high and d.ess >= ENOUGH
