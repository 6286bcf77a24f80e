"""What doubly robust estimates rest on: contexts, listed slates and a model, each held to an
identity that is true whatever the rewards are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offpolicy.diagnostics import effective, of_spread
from offpolicy.doctor.findings import (
    FAIL_BELOW,
    WARN_BELOW,
    Finding,
    Level,
    by_p_value,
    two_sided,
)
from offpolicy.estimators.engine import Estimate, estimate_forms
from offpolicy.estimators.forms import Form, Ratio, Rows, per_session
from offpolicy.estimators.terms import F64, Terms, paid
from offpolicy.intervals.gamma import Unseen, gamma_within
from offpolicy.intervals.inference import ROUNDING, standard_error
from offpolicy.intervals.unseen import pair, pairs, unseen
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.groups import group
from offpolicy.log.scores import ENTIRE, TargetScores
from offpolicy.weighting.overlap import expected_rows

FEW = 50.0  # draws of the logged slates that must be expected before their share says anything
THIN = 200.0  # effective rows below which weights that were missed move every mean
TINY = 1e-300
BINS = 8  # groups of rows of like propensity
BLOCK_ENTRIES = 1 << 22  # slate entries compared at a time
OWN_ENTRY = 0.01  # share by which a listed probability may differ from the target's own


def of_target(log: LoggedDataset, scores: TargetScores) -> list[Finding]:
    """Those that a log and a target's scores allow."""
    findings = [] if log.context is None else [context_identity(log, scores)]
    return findings if scores.slates is None else [*findings, listed_slates(log, scores)]


def context_identity(log: LoggedDataset, scores: TargetScores) -> Finding:
    """Mean over units of the sum over rows of (ratio - 1) x = 0 for whatever was known before the
    decision: for every context column x and its square, standardised.

    A context that holds the decision's own outcome (the next observation) breaks it.
    """
    name = "context before the decision"
    rule = "What was known before a decision does not depend on the item drawn."
    assert log.context is not None
    ratio, units = scores.propensity / log.propensity, group(log.unit)
    known = expected_rows(log, scores)
    enough = min(effective(ratio), of_spread(ratio) if known is None else known)
    if enough < THIN:
        return Finding(name, Level.PASS, f"effective rows {enough:.0f}: too thin to tell", rule)
    worst, at, tests = None, 0.0, 0
    for d in range(log.context.shape[1]):
        x = log.context[:, d].astype(np.float64)
        spread = float(x.std())
        if not spread > 0:
            continue
        x = (x - x.mean()) / spread
        for column in (x, x * x - 1):
            tests += 1
            moved = (ratio - 1) * column
            total = np.asarray(np.bincount(units.code, moved, units.n), np.float64)
            z = abs(float(total.mean())) / max(float(total.std()), TINY)
            if z > at:
                worst, at = (d, column, total), z
    fix = (
        "Log the context that the policy SAW when it chose, not the next observation or one of "
        "another row."
    )
    if worst is None:
        return Finding(name, Level.PASS, "no column varies", rule)
    d, column, total = worst
    e = Estimate(float(total.mean()), total - total.mean(), log.unit[units.first])
    room = unseen(e, pair(ratio, column, units.code), against=1.0)
    level = _level(e, room, tests)
    found = f"context[{d}] moves by {e.value:+.3g} standard deviations +- {standard_error(e):.2g}"
    return Finding(name, level, found, rule, fix)


def listed_slates(log: LoggedDataset, scores: TargetScores) -> Finding:
    """The target's listed slates give the logged slate the probability that it claims itself: the
    entry equals it, or the share of draws does on average, in groups of like propensity."""
    name = "listed slates"
    assert scores.slates is not None
    share, p = _listed_share(log, scores), scores.propensity
    if scores.slate_weight is not None:
        off = np.abs(share - p) > OWN_ENTRY * p + ENTIRE
        rule = "The listed probability of the logged slate is the target's propensity of it."
        fix = "List slates and slate_weight in one order, from the policy that gave propensity."
        bad = np.flatnonzero(off)
        if not len(bad):
            return Finding(name, Level.PASS, "each row's entry is its propensity", rule)
        row = int(bad[0])
        found = (
            f"{len(bad)} of {len(p)} rows; row {row} lists {share[row]:.4g}, propensity "
            f"{p[row]:.4g}"
        )
        level = Level.FAIL if len(bad) > len(p) * ENTIRE else Level.WARN
        return Finding(name, level, found, rule, fix, row=row)
    rule = "Draws of the target hold the logged slate as often as the target says."
    worst, groups = 0.0, _like_propensities(p)
    for rows in groups:
        spread = float((p[rows] * (1 - p[rows])).sum()) / scores.slates.shape[1]
        expected = float(p[rows].sum()) * scores.slates.shape[1]
        if spread > 0 and expected >= FEW:
            z = float((share[rows] - p[rows]).sum()) / spread**0.5
            worst = z if abs(z) > abs(worst) else worst
    found = f"largest |z| {abs(worst):.1f} over {len(groups)} groups of like propensity"
    fix = (
        "Draw slates from the very policy that gave propensity, in the row's own context; give "
        "slate_weight where slates are chosen rather than drawn."
    )
    return by_p_value(name, two_sided(worst, len(groups)), found, rule, fix)


def model_identity(t: Terms) -> Finding:
    """mean(w q) = mean(w_before v): what the reward model says of the logged choice, weighed, is
    what it says of the target; with it, weighted and doubly robust estimates agree."""
    name = "model of rewards"
    rule = "A model's value of the logged choices, weighed, is its value of the target."

    def gap(r: Rows) -> Form:
        part = r.discount * (r.weight * r.q_logged - r.weight_before * r.v_target)
        return Form((Ratio(part, per_session(r) if r.staged else None),))

    e = estimate_forms(t, {name: gap})[name]
    size = float(np.abs(t.q_logged).mean())
    se = standard_error(e) if len(e.psi) > 1 else 0.0
    if se <= ROUNDING * size:
        return Finding(name, Level.PASS, "the two are one number", rule)
    own = pairs(paid(t, t.q_logged), missing=0.0)
    level = _level(e, unseen(e, own, against=0.0), 1)
    found = f"they differ by {e.value:+.4g} +- {se:.2g}"
    fix = (
        "The weights and the model do not speak of the same choices: check the listed slates, the "
        "context, and the order of the predictions' rows."
    )
    return Finding(name, level, found, rule, fix)


def _level(e: Estimate, room: Unseen, tests: int) -> Level:
    """Of a mean that should be 0, by bounds that leave room for what a log of its size misses."""
    if len(e.psi) < 2:
        return Level.PASS
    for level, p in ((Level.FAIL, FAIL_BELOW), (Level.WARN, WARN_BELOW)):
        i = gamma_within(e, p / tests / 2, 1 - p, room)
        if i.low > 0 or i.high < 0:
            return level
    return Level.PASS


def _listed_share(log: LoggedDataset, scores: TargetScores) -> F64:
    """(N,) probability of the logged slate among the listed ones."""
    assert scores.slates is not None
    slates, share = scores.slates, np.empty(len(log))
    size = max(BLOCK_ENTRIES // (slates.shape[1] * slates.shape[2]), 1)
    for at in range(0, len(log), size):
        rows = slice(at, at + size)
        same = (slates[rows] == log.slate[rows, None, :]).all(2)
        if scores.slate_weight is None:
            share[rows] = same.mean(1)
        else:
            share[rows] = (same * scores.slate_weight[rows]).sum(1)
    return share


def _like_propensities(p: F64) -> list[NDArray[np.int64]]:
    """Rows in groups of about equal size whose propensities are alike."""
    order = np.argsort(p, kind="stable")
    return [x for x in np.array_split(order, BINS) if len(x)]
