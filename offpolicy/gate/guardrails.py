"""Guardrails: what must not get worse, estimated from the same log as the reward."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from offpolicy.estimators import estimate
from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.formulas import martingale
from offpolicy.estimators.terms import F64, Terms
from offpolicy.gate.verdict import Guardrail
from offpolicy.intervals.inference import adjust, difference, interval
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.weighting.horizons import Horizon, on_policy, terms


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class GuardrailSpec:
    """A column of the log, and where its mean (or its change) must stay."""

    name: str
    values: ArrayLike  # (N,) per decision: watch time, distinct topics, a broken rule as 0 / 1 …
    at_least: float = -np.inf
    at_most: float = np.inf
    change: bool = True  # bounds are on the change against the logging policy, not on the level
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
    return [
        Guardrail(s.name, interval(_estimate(t, s), each), s.at_least, s.at_most) for s in specs
    ]


def slate_diversity(slate: NDArray[np.integer], topics: ArrayLike) -> F64:
    """(N,) number of distinct topics shown; `topics` (A,) codes or (A, G) indicators."""
    table = np.asarray(topics)
    if table.ndim == 1:
        table = np.eye(int(table.max()) + 1, dtype=bool)[table]
    shown = np.zeros((len(slate), table.shape[1]), bool)
    for place in slate.T:
        shown |= table[np.maximum(place, 0)].astype(bool) & (place >= 0)[:, None]
    return np.asarray(shown.sum(1), np.float64)


def _estimate(t: Terms, s: GuardrailSpec) -> Estimate:
    values = np.asarray(s.values, np.float64)
    if values.shape != (len(t),) or not np.isfinite(values).all():
        raise ValueError(f"guardrail {s.name}: values must be {len(t)} finite numbers, one a row")
    if s.groups is None:
        return _one(t, values, s.change)
    group = np.asarray(s.groups)
    if group.shape != (len(t),) or set(np.unique(group).tolist()) != {0, 1}:
        raise ValueError(
            f"guardrail {s.name}: groups must be {len(t)} entries 0 or 1, one a row, both present"
        )
    one, zero = (_one(t, values, s.change, group == k) for k in (1, 0))
    return difference(one, zero)


def _one(t: Terms, values: F64, change: bool, members: NDArray[np.bool_] | None = None) -> Estimate:
    """Mean of the column under the target; of a group's members as a ratio over the group."""
    name = "pdis" if is_staged(t) else "snips"
    if members is None:
        return _against(t, values, name, change)
    rate = estimate(_with(on_policy(t), members.astype(np.float64)), name)
    total = _against(t, values * members, name, change)
    value = total.value / rate.value
    psi = (total.psi - value * rate.psi) / rate.value
    return Estimate(value, psi, total.unit, name=name, horizon=t.horizon)


def _against(t: Terms, values: F64, name: str, change: bool) -> Estimate:
    target = estimate(_with(t, values), name)
    if not change:
        return target
    logged = estimate(_with(on_policy(t), values), name)
    control = estimate_forms(t, {"control": martingale})["control"]
    return adjust(difference(target, logged), control)


def _with(t: Terms, values: F64) -> Terms:
    return Terms(
        t.weight, values, None, None, t.unit, t.weight_before, t.discount, t.stratum, t.session,
        rows=t.rows, row_weight=t.row_weight,
    )  # fmt: skip
