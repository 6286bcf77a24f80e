"""Which share of the way to a target is to be judged: the choice, on sessions of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offpolicy.diagnostics import ENOUGH, Diagnostics, diagnose
from offpolicy.estimators import ESTIMATORS
from offpolicy.estimators.registry import fitting, preferred
from offpolicy.evaluation import evaluate
from offpolicy.gate.uplift_bounds import uplift_bounds
from offpolicy.gate.verdict import GateRule
from offpolicy.intervals.inference import Interval
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.weighting.horizons import Horizon, terms

FINER = 3  # shares that are put between the last that holds the floors and the first that does not
SPARE = 1.05  # effective units to be expected of the judge's sessions, over the floor


@dataclass(frozen=True, slots=True)
class Tried:
    """A share of the way, on the sessions of the choice."""

    share: float
    ess: float  # effective units, the lower one of those drawn and those to be expected
    mean_weight: Interval | None
    uplift: Interval | None  # at the rule's level, over what served; None where floors do not hold
    why_not: str = ""  # which floor it does not hold


def compared(
    log: LoggedDataset,
    rule: GateRule,
    horizon: Horizon,
    judge_units: int,
    share: float,
    scores: TargetScores,
) -> Tried:
    """One share on the sessions of the choice: no model, which one target alone would need."""
    d = diagnose(terms(log, scores, horizon=horizon))
    if why_not := _floors(d, rule, judge_units):
        return Tried(share, d.least_ess, d.mean_weight, None, why_not)
    name = preferred([n for n in fitting(horizon, usual=True) if not ESTIMATORS[n].needs_model])
    report = evaluate(
        log, scores, horizon=horizon, estimators=[name], model=None, check=False, plan=False
    )
    line = report[name]
    assert line.influence is not None
    uplift = uplift_bounds({name: line.influence}, {name: line.unseen}, rule)[name]
    return Tried(share, d.least_ess, d.mean_weight, uplift)


def _floors(d: Diagnostics, rule: GateRule, judge_units: int) -> str:
    """Which floor is not held here, or is not to be expected of the judge's sessions."""
    if missed := floor_missed(d, min(rule.min_ess, ENOUGH)):
        return missed
    expected = d.least_ess * judge_units / d.units
    if expected < SPARE * rule.min_ess:
        return (
            f"effective sample {expected:.0f} is to be expected of the judge's {judge_units:,} "
            f"units, below {SPARE * rule.min_ess:.0f}"
        )
    return ""


def floor_missed(d: Diagnostics, min_ess: float) -> str:
    """Which floor weights do not hold, in words; "" where they hold all."""
    if d.least_ess < min_ess:
        return f"effective sample {d.least_ess:.0f} is below {min_ess:.0f}"
    m = d.mean_weight
    if m is None or not m.low <= 1 <= m.high:
        mean = "unknown" if m is None else f"{m.value:.3f}"
        return f"the mean weight is {mean}, not 1"
    return ""


def finer_shares(tried: Sequence[Tried]) -> tuple[float, ...]:
    """Shares from the largest one that holds the floors to the next, which does not."""
    held = [nth for nth, t in enumerate(tried) if not t.why_not]
    if not held or held[-1] + 1 == len(tried):
        return ()
    low, high = tried[held[-1]].share, tried[held[-1] + 1].share
    return tuple(float(f"{x:.3g}") for x in np.geomspace(low, high, FINER + 2)[1:-1])


def chosen_of(tried: Sequence[Tried], rule: GateRule, candidates: int) -> list[Tried]:
    """The share with the largest lower bound, and the next smaller ones; none where the choice's
    own estimate of it is not above what the rule wants."""
    held = [(t.uplift.low, t) for t in tried if t.uplift is not None]
    if not held:
        return []
    _, best = max(held, key=lambda pair: pair[0])
    assert best.uplift is not None
    if not best.uplift.value > rule.min_uplift:
        return []
    smaller = sorted((t for _, t in held if t.share < best.share), key=lambda t: -t.share)
    return [best, *smaller[: candidates - 1]]
