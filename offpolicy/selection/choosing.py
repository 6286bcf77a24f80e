"""Choosing by evidence: a setting for an estimator, an estimator for a log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators import ESTIMATORS, Estimate, estimate, estimate_all, hyper_parameters
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.mixing import CLOSE, covariance_of, least_error, mixed
from offpolicy.estimators.registry import fitting
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.intervals.inference import Interval, difference, interval, standard_error
from offpolicy.log.groups import group

GRID = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)  # of caps, thresholds, shrinkages
PLAIN = ("ips", "pdis", "tis", "mis_state", "sips")
FEWEST = 20  # units that a random split leaves some of on both sides
LEVEL = 0.25  # of SLOPE's intervals
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)


class Choice(NamedTuple):
    """What was chosen, and every candidate's score (less is better)."""

    best: str
    score: dict[str, float]


def slope(intervals: Sequence[Interval]) -> int:
    """Lepski's method: from the widest interval (least biased) to narrower ones, as long as each
    agrees with all before it; the index of the last. Su et al. (2020), Tucker & Lee (2021).

    Raises:
        ValueError: no intervals.
    """
    if not intervals:
        raise ValueError("SLOPE compares intervals; give it one at least")
    half = np.array([(i.high - i.low) / 2 for i in intervals])
    agreeing: list[int] = []
    for i in np.argsort(-half, kind="stable").tolist():
        gaps = [abs(intervals[i].value - intervals[j].value) for j in agreeing]
        allowed = [half[i] + (np.sqrt(6) - 1) * half[j] for j in agreeing]
        if any(a > b for a, b in zip(gaps, allowed, strict=True)):
            break
        agreeing.append(i)
    return agreeing[-1]


def choose_setting(
    terms: Terms, name: str, setting: str, grid: Sequence[float] = GRID, *, level: float = LEVEL
) -> float:
    """The value of one setting by SLOPE on these terms; nothing is remembered between calls.

    `level` of the intervals that must agree: they share their rows, and at 95 % a setting may be
    off by 2.4 half-widths before they disagree, which is more bias than the variance it saves. Over
    six worlds and five estimators the error was 2.4 times the best setting's at 95 %, 1.4 at 50 %
    and 1.15 at 25 %.

    Raises:
        ValueError: no such estimator or setting.
    """
    sampled = [
        interval(
            replace(estimate(terms, name, **{setting: value}), bias=(0.0, 0.0), ends=None), level
        )
        for value in grid
    ]
    return float(grid[slope(sampled)])


def choose_settings(terms: Terms, names: Iterable[str]) -> dict[str, dict[str, float]]:
    """Settings of all estimators that have some, by SLOPE, for `evaluate` and `estimate_all`."""
    return {
        name: {s: choose_setting(terms, name, s, STRENGTHS if s == "strength" else GRID)}
        for name in names
        for s in hyper_parameters(name)
    }


def cross_validate(
    terms: Terms,
    names: Sequence[str],
    *,
    validator: str | None = None,
    splits: int = 20,
    seed: int = 0,
) -> Choice:
    """Out-of-sample: each estimator on a random part of the units against an unbiased validator on
    the rest, sized by their variances; the score is mean squared gap plus one standard error. The
    validator is by default the plain weighted mean of the estimand: ips of one decision, pdis or
    tis of sessions. Cief, Kveton & Kompan (2025)."""
    validator = validator or _plain_mean(terms)
    units = terms.layout.units
    if not names or splits < 1:
        raise ValueError("cross-validation needs the names of estimators, and a split at least")
    if units.n < FEWEST:
        raise ValueError(f"{units.n} units cannot be split again and again; log {FEWEST} or more")
    whole = estimate_all(terms, dict.fromkeys([*names, validator]))
    spread = {n: standard_error(e) ** 2 for n, e in whole.items()}
    rng = np.random.default_rng(seed)
    score = {}
    for name in names:
        total = spread[name] + spread[validator]
        share = min(max(spread[validator] / total, 0.1), 0.9) if total > 0 else 0.5
        loss = []
        for _ in range(splits):
            tested = rng.random(units.n) < share
            train, test = _rows(terms, ~tested[units.code]), _rows(terms, tested[units.code])
            gap = estimate(train, name).value - estimate(test, validator).value
            loss.append(gap**2)
        score[name] = float(np.mean(loss) + np.std(loss) / np.sqrt(splits))
    return Choice(min(score, key=score.__getitem__), score)


def _plain_mean(terms: Terms) -> str:
    """The estimator that only weighs and averages, of the terms' estimand."""
    there = [n for n in PLAIN if n in fitting(terms.horizon)]
    return there[0] if there else "pdis" if is_staged(terms) else "ips"


def opera(estimates: Sequence[Estimate]) -> tuple[Estimate, F64]:
    """Several estimates of one value as one, and their weights, which are not negative and sum to
    1: they make the mixture's squared error least, its covariance that of the influences, its bias
    the parts' distance from one part without bias (the first that a verdict would rest on: dr
    before snips before ips) as far as it leaves the noise of that distance. The interval is that of
    the part without bias, moved out to hold the mixture: it holds whatever weights were chosen.
    After Nie et al. (2024), whose bootstrap sees no bias.

    Raises:
        ValueError: no estimates, estimates on different units, or none without bias.
    """
    if not estimates:
        raise ValueError("a mixture needs an estimate")
    for e in estimates[1:]:
        difference(estimates[0], e)  # raises on other units
    anchor = _without_bias(estimates)
    covariance = covariance_of(estimates)
    noise = CLOSE * np.array([standard_error(difference(e, anchor)) for e in estimates])
    weight = least_error(estimates, covariance, anchor, noise)
    return mixed(estimates, weight, anchor, "opera"), weight


def _without_bias(estimates: Sequence[Estimate]) -> Estimate:
    def rank(e: Estimate) -> tuple[bool, int, float]:
        own = ESTIMATORS[e.name].rank if e.name in ESTIMATORS else None
        return own is None, own or 0, standard_error(e)

    fair = [
        e
        for e in estimates
        if e.bias == (0.0, 0.0) and not (e.name in ESTIMATORS and ESTIMATORS[e.name].model_only)
    ]
    if not fair:
        names = ", ".join(e.name or "one without a name" for e in estimates)
        raise ValueError(
            f"{names}: all are biased, and no mixture of them can tell by how much. Add a part "
            "without bias, such as ips or dr"
        )
    return min(fair, key=rank)


def _rows(t: Terms, keep: NDArray[np.bool_]) -> Terms:
    stratum: I64 | None = None if t.stratum is None else t.stratum[keep]
    session: I64 | None = None if t.session is None else t.session[keep]
    return Terms(
        t.weight[keep], t.reward[keep], t.q_logged[keep], t.v_target[keep],
        group(t.unit[keep]).code, t.weight_before[keep], t.discount[keep], stratum, session,
        t.horizon, t.rows, row_weight=None if t.row_weight is None else t.row_weight[keep],
    )  # fmt: skip
