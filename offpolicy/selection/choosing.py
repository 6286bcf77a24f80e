"""Choosing by evidence: a setting for an estimator, an estimator for a log."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.estimators import Estimate, estimate, estimate_all, hyper_parameters
from offpolicy.estimators.forms import is_staged
from offpolicy.estimators.registry import fitting
from offpolicy.estimators.terms import F64, I64, Terms
from offpolicy.intervals.inference import Interval, difference, interval, standard_error
from offpolicy.log.groups import group

GRID = (2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)  # of caps, thresholds, shrinkages
PLAIN = ("ips", "pdis", "tis", "mis_state", "sips")
FEWEST = 20  # units that a random split leaves some of on both sides
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
    terms: Terms, name: str, setting: str, grid: Sequence[float] = GRID, *, level: float = 0.95
) -> float:
    """The value of one setting by SLOPE on these terms; nothing is remembered between calls.

    Raises:
        ValueError: no such estimator or setting.
    """
    sampled = [
        interval(replace(estimate(terms, name, **{setting: value}), bias=(0.0, 0.0)), level)
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
    """Several estimates of one value as one: weights (they sum to 1, and may be negative) that make
    the mixture's squared error least, as the bootstrap sees it, whose error moments are those of
    the influences. Returns the mixture, its weights held fixed, and them. Nie et al. (2024).

    Raises:
        ValueError: no estimates, or estimates on different units.
    """
    if not estimates:
        raise ValueError("a mixture needs an estimate")
    for e in estimates[1:]:
        difference(estimates[0], e)  # raises on other units
    psi = np.stack([e.psi for e in estimates])
    moments = psi @ psi.T / psi.shape[1] ** 2
    if not moments.any():
        moments = np.eye(len(psi))  # none of them varies: equal weights
    moments += 1e-9 * max(float(np.trace(moments)), np.finfo(float).tiny) * np.eye(len(psi))
    weight = np.linalg.solve(moments, np.ones(len(psi)))
    weight /= weight.sum()
    value = float(weight @ np.array([e.value for e in estimates]))
    first = estimates[0]
    return Estimate(value, weight @ psi, first.unit, name="opera", horizon=first.horizon), weight


def _rows(t: Terms, keep: NDArray[np.bool_]) -> Terms:
    stratum: I64 | None = None if t.stratum is None else t.stratum[keep]
    session: I64 | None = None if t.session is None else t.session[keep]
    return Terms(
        t.weight[keep], t.reward[keep], t.q_logged[keep], t.v_target[keep],
        group(t.unit[keep]).code, t.weight_before[keep], t.discount[keep], stratum, session,
        t.horizon, t.rows, None if t.row_weight is None else t.row_weight[keep],
    )  # fmt: skip
