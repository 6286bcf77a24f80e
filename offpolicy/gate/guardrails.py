"""Guardrails: what must not get worse, estimated from the same log as the reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.estimators import estimate
from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.formulas import martingale
from offpolicy.estimators.terms import F64, Terms, paid
from offpolicy.gate.verdict import Guardrail
from offpolicy.intervals.gamma import gamma_interval
from offpolicy.intervals.inference import Interval, adjust, difference
from offpolicy.intervals.unseen import never_seen, pairs, unseen
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.weighting.horizons import Horizon, on_policy, terms


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GuardrailSpec:
    """A column of the log, and where its mean (or its change) must stay."""

    name: str
    values: ArrayLike  # (N,) of decisions: watch time, distinct topics, a broken rule as 0 / 1 …
    at_least: float = -np.inf
    at_most: float = np.inf
    change: bool = True  # bounds are on the change against the logging policy, not on the level
    per: Literal["decision", "session"] = "decision"  # mean a decision, or a session's total
    groups: ArrayLike | None = None  # (N,) 0 / 1: bounds are then on group 1 minus group 0

    def __post_init__(self) -> None:
        if not self.at_least <= self.at_most:
            raise ValueError(
                f"guardrail {self.name}: no value is at least {self.at_least} and at most "
                f"{self.at_most}; give two numbers, the lower one as at_least"
            )


def check_guardrails(
    log: LoggedDataset,
    scores: TargetScores,
    specs: Sequence[GuardrailSpec],
    *,
    horizon: Horizon,
    level: float = 0.95,
    state: ArrayLike | None = None,
) -> list[Guardrail]:
    """Each guardrail's interval, all holding together with `level` (Bonferroni: each spends its
    share of alpha)."""
    if not specs:
        return []
    each = 1 - (1 - level) / len(specs)
    t = terms(log, scores, horizon=horizon, state=state)
    return [Guardrail(s.name, _interval(t, s, each), s.at_least, s.at_most) for s in specs]


def slate_diversity(slate: NDArray[np.integer], topics: ArrayLike) -> F64:
    """(N,) number of distinct topics shown; `topics` (A,) codes or (A, G) indicators."""
    table = np.asarray(topics)
    if table.ndim == 1:
        table = np.eye(int(table.max()) + 1, dtype=bool)[table]
    shown = np.zeros((len(slate), table.shape[1]), bool)
    for place in slate.T:
        shown |= table[np.maximum(place, 0)].astype(bool) & (place >= 0)[:, None]
    return np.asarray(shown.sum(1), np.float64)


def _interval(t: Terms, s: GuardrailSpec, level: float) -> Interval:
    values = np.asarray(s.values, np.float64)
    if values.shape != (len(t),) or not np.isfinite(values).all():
        raise ValueError(f"guardrail {s.name}: values must be {len(t)} finite numbers, one a row")
    if s.groups is None:
        whole = np.ones(len(t)) if _per_decision(t, s) else None
        part = _mean(t, values, s.change, whole)
    else:
        group = np.asarray(s.groups)
        if group.shape != (len(t),) or set(np.unique(group).tolist()) != {0, 1}:
            raise ValueError(
                f"guardrail {s.name}: groups must be {len(t)} entries 0 or 1, one a row, both "
                "present"
            )
        one, zero = (_mean(t, values, s.change, (group == k).astype(np.float64)) for k in (1, 0))
        gap = difference(one.estimate, zero.estimate)
        part = _Part(gap, one.outcome - zero.outcome, one.unit_share)
    own = pairs(paid(t, part.outcome), missing=never_seen(values) * part.unit_share)
    against = 1.0 if s.change else 0.0
    return gamma_interval(part.estimate, level, unseen=unseen(part.estimate, own, against=against))


class _Part(NamedTuple):
    estimate: Estimate
    outcome: F64  # (N,) what a row adds to the value, per decision or session
    unit_share: float  # what a change of 1 in a row's value adds


def _per_decision(t: Terms, s: GuardrailSpec) -> bool:
    return is_staged(t) and s.per == "decision"


def _mean(t: Terms, values: F64, change: bool, counted: F64 | None) -> _Part:
    """Mean of the column under the target, over the rows that are `counted` (N,): the ratio of two
    totals. Without `counted`, the mean over decisions (one_step) or the sum over a session."""
    name = "pdis" if is_staged(t) else "snips"
    if counted is None:
        return _Part(_against(t, values, None, name, change), values, 1.0)
    level = estimate(paid(on_policy(t), values * counted), name).value
    rate = estimate(paid(on_policy(t), counted), name).value
    outcome = (values - level / rate) * counted / rate
    return _Part(_against(t, values, counted, name, change), outcome, 1 / rate)


def _against(t: Terms, values: F64, counted: F64 | None, name: str, change: bool) -> Estimate:
    served = _ratio(t, values, counted, name)
    if not change:
        return served
    change_of = difference(served, _ratio(on_policy(t), values, counted, name))
    control = estimate_forms(t, {"control": martingale})["control"]
    return adjust(change_of, control)


def _ratio(t: Terms, values: F64, counted: F64 | None, name: str) -> Estimate:
    if counted is None:
        return estimate(paid(t, values), name)
    total, rate = (estimate(paid(t, x), name) for x in (values * counted, counted))
    value = total.value / rate.value
    psi = (total.psi - value * rate.psi) / rate.value
    return Estimate(value, psi, total.unit, name=name, horizon=t.horizon)
