"""(log, target scores, horizon) -> Report: weights, model, estimates, intervals, verdict."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.diagnostics import diagnose, trusted
from offpolicy.doctor.identity_checks import model_identity
from offpolicy.doctor.log_check import check_log
from offpolicy.errors import NoOverlapError
from offpolicy.estimators import ESTIMATORS, estimate_all
from offpolicy.estimators.engine import Estimate
from offpolicy.estimators.registry import fitting, preferred
from offpolicy.estimators.terms import Terms
from offpolicy.gate.uplift_bounds import uplift_bounds
from offpolicy.gate.verdict import GateRule, Guardrail, decide
from offpolicy.line import Line
from offpolicy.log.columns import numbers
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import Predictions, TargetScores, check_scores
from offpolicy.models.reward_model import predict_rewards
from offpolicy.models.sklearn_adapter import Regressor
from offpolicy.plan.making import plan_after
from offpolicy.report import Report
from offpolicy.selection.choosing import choose_settings
from offpolicy.uplift import carried_by, compare, logged_interval, notes_on
from offpolicy.weighting.censoring import censoring
from offpolicy.weighting.horizons import ESTIMAND, Horizon, terms_by_estimator
from offpolicy.weighting.overlap import expected_rows

Scores = TargetScores | NDArray[np.floating] | Callable[[LoggedDataset], "TargetScores | ArrayLike"]
Model = Literal["ridge", "robust"] | Predictions | Regressor | None


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
    plan: bool = True,
    weight_bound: float | None = None,
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
    doctor's findings into the report; a log that fails is not judged. `plan` adds to a verdict of
    "cannot tell" what would settle it, in numbers. `weight_bound` is what weights are KNOWN not to
    exceed: 1 / share of a log whose sessions were dealt out (`session_mixture`).

    Raises:
        LogError: the scores do not fit the log.
        ValueError: an unknown estimator, setting or horizon.
    """
    if horizon not in ESTIMAND:
        raise ValueError(f"no horizon {horizon!r}; there are {', '.join(ESTIMAND)}")
    log.require_users()
    target, notes = as_scores(log, scores), list[str]()
    predictions = _predictions(log, target, model, horizon, item_features, gamma, seed, notes)
    names = _names(horizon, estimators, predictions is not None)
    t, by_name = terms_by_estimator(
        log, target, names, horizon=horizon, model=predictions, gamma=gamma, state=state
    )
    settings = _settings(hyper, [n for n in names if by_name[n] is t], t)
    once = horizon == "one_step" and log.row_weight is None
    expected = expected_rows(log, target) if once else None
    d = diagnose(t, expected_rows=expected, weight_bound=weight_bound)
    estimates = _estimates(by_name, settings, notes)
    controlled = trusted(d.least_ess, d.mean_weight)
    lines = compare(estimates, by_name, settings, level, controlled=controlled)
    cut = None if horizon == "one_step" else censoring(log)
    if cut is not None and horizon == "marginal":
        cut = cut._replace(running=cut.cut / cut.sessions)  # not modelled there
    decider = _decider(decide_by, lines)
    health = check_log(log, target) if check else None
    if health is not None and predictions is not None and horizon != "marginal":
        health = health.with_finding(model_identity(t))
    rule = rule or GateRule()
    name = decider.estimator
    uplift = uplift_bounds({name: _influence(decider)}, {name: decider.unseen}, rule)[name]
    verdict = decide(uplift, d, rule, guardrails=guardrails, log_check=health, cut=cut)
    return Report(
        lines=lines,
        baseline=logged_interval(t, level),
        horizon=horizon,
        estimand=ESTIMAND[horizon],
        diagnostics=d,
        verdict=verdict,
        decided_by=decider.estimator,
        notes=(*notes, *notes_on(log, horizon, d.least_ess, estimates, cut), *carried_by(decider)),
        log_hash=log.hash(),
        log_check=health,
        cut=cut,
        plan=plan_after(verdict, log, target, horizon=horizon, rule=rule, gamma=gamma)
        if plan
        else None,
    )


def as_scores(log: LoggedDataset, scores: Scores) -> TargetScores:
    """What a caller may pass as the target policy's probabilities, as TargetScores.

    Raises:
        LogError: it does not fit the log.
    """
    given = scores(log) if callable(scores) else scores
    if not isinstance(given, TargetScores):
        given = TargetScores(numbers("target propensity", given))
    check_scores(log, given)
    return given


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
        usual = fitting(horizon, usual=True)
        return [n for n in usual if with_model or not ESTIMATORS[n].needs_model]
    if isinstance(wanted, str):
        raise ValueError(f"estimators = {wanted!r} is one name; pass a sequence: [{wanted!r}]")
    if not wanted:
        raise ValueError(f"no estimators were named; there are {', '.join(fitting(horizon))}")
    records = {n: ESTIMATORS[n] for n in wanted if n in ESTIMATORS}
    for name, record in records.items():
        if record.terms:
            raise ValueError(
                f"{name} weighs more than a log and target scores tell: make its terms with "
                f"{record.terms} and call estimate(terms, {name!r})"
            )
    lacking = [n for n, record in records.items() if record.needs_model and not with_model]
    if lacking:
        raise ValueError(
            f"{', '.join(lacking)} need a reward model: pass model= and TargetScores with slates"
        )
    return list(wanted)


def _settings(
    hyper: Mapping[str, Mapping[str, float]] | str | None, names: Sequence[str], t: Terms
) -> Mapping[str, Mapping[str, float]]:
    """As given, or chosen on these terms."""
    if isinstance(hyper, str):
        if hyper != "slope":
            raise ValueError(f'hyper = {hyper!r}; it is "slope", or settings per estimator')
        return choose_settings(t, names)
    return hyper or {}


def _decider(decide_by: str | None, lines: Sequence[Line]) -> Line:
    by_name = {x.estimator: x for x in lines}
    name = decide_by or preferred(list(by_name))
    if name not in by_name:
        raise ValueError(f"decide_by = {name!r} is not among the estimators {', '.join(by_name)}")
    return by_name[name]


def _influence(line: Line) -> Estimate:
    assert line.influence is not None
    return line.influence


def _estimates(
    by_name: Mapping[str, Terms], hyper: Mapping[str, Mapping[str, float]], notes: list[str]
) -> dict[str, Estimate]:
    """All of them, or, where the log holds nothing the target would do, those that still exist."""
    together: dict[int, tuple[Terms, list[str]]] = {}
    for name, t in by_name.items():
        together.setdefault(id(t), (t, []))[1].append(name)
    estimates: dict[str, Estimate] = {}
    for t, names in together.values():
        try:
            estimates |= estimate_all(t, names, hyper)
        except NoOverlapError:
            for name in names:
                with suppress(NoOverlapError):
                    estimates |= estimate_all(t, [name], hyper)
    lost = ", ".join(n for n in by_name if n not in estimates)
    if not estimates:
        raise NoOverlapError(
            f"the target policy never serves what was logged, so {lost} have no value: "
            "log with more exploration, or try a closer policy."
        )
    if lost:
        notes.append(
            "no weight is left (the target policy never serves what was logged, or its weights "
            f"underflow over so many steps): {lost} have no value and are left out."
        )
    bare = ", ".join(n for n, e in estimates.items() if np.isnan(e.value))
    if bare:
        notes.append(
            "no weight is left (the target policy never serves what was logged, or its weights "
            f"underflow over so many steps): {bare} have no value, and their intervals no bounds."
        )
    return {n: estimates[n] for n in by_name if n in estimates}
