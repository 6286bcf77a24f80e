"""Checks of propensities: structure, support, calibration (T3-T5)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy.doctor.candidate_table import ENTRY, candidate_columns, propensity_mismatch
from offpolicy.doctor.choices import SURE, had_choice
from offpolicy.doctor.findings import ADVICE, Finding, Level, by_p_value, two_sided
from offpolicy.estimators.terms import F64
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores

BINS = 20  # of the reliability check, equally wide in log p
BLOCK = 1 << 14  # rows of the candidate table looked at together


def structure(log: LoggedDataset, event_id: NDArray[np.generic] | None) -> Finding:
    """S: rows of the distribution sum to 1, propensities equal their entries, ids are unique.

    A logger that may serve nothing leaves the chance of that: its rows sum to less than 1."""
    rule = "Rows of candidate_propensity sum to 1, the propensity equals its entry, ids are unique."
    if event_id is not None:
        _, first = np.unique(event_id, return_index=True)
        twice = np.ones(len(event_id), bool)
        twice[first] = False
        if twice.any():
            return _structural(twice, "repeat an earlier event id", rule, "Drop the repeats.")
    if log.candidate_propensity is None:
        return Finding("structure", Level.PASS, "ranges, order and items hold", rule)
    total = log.candidate_propensity.sum(1)
    whole = not bool((log.slate[:, 0] < 0).any())  # else nothing shown has the rest
    off = (total > 1 + ENTRY) | ((total < 1 - ENTRY) & whole)
    if off.any():
        return _structural(off, f"sum to {total[off][0]:.4f} and the like, not 1", rule, ADVICE)
    off = propensity_mismatch(log)
    if off.any():
        return _structural(off, "have a propensity that is not their logged entry", rule, ADVICE)
    return Finding("structure", Level.PASS, "ranges, order, items, sums and entries hold", rule)


def _structural(off: NDArray[np.bool_], what: str, rule: str, fix: str) -> Finding:
    row = int(np.flatnonzero(off)[0])
    observed = f"{off.sum()} rows {what}; the first is row {row}"
    return Finding("structure", Level.FAIL, observed, rule, fix, row=row)


def deterministic(log: LoggedDataset) -> Finding:
    """A log whose logging policy left no choice cannot be weighed. Where only one item was on offer
    nobody had a choice, which says nothing about the policy."""
    choice = had_choice(log)
    rows = int(choice.sum())
    share = float((log.propensity[choice] >= SURE).mean()) if rows else 1.0
    offered = log.candidates is not None or log.candidate_propensity is not None
    some = (
        0.01 if offered else 0.05
    )  # of rows that may have had one candidate, for all that is logged
    level = Level.FAIL if share > 0.5 else Level.WARN if share > some else Level.PASS
    where = "" if rows == len(log) else f" of the {rows} that left a choice"
    return Finding(
        "deterministic logger",
        level,
        f"{share:.1%} of rows{where} were served with probability 1",
        "Weighting needs a logger that could have done otherwise.",
        "Log with exploration; if the logger did explore, its propensities were not logged. Where "
        "only one item was on offer, log the candidates.",
    )


def support(log: LoggedDataset, scores: TargetScores) -> Finding:
    """Mass that the target puts where the logger never goes."""
    rule = "The logger serves, with some probability, all that the target would serve."
    fix = "Widen the logger's exploration, or bound the value: the missing mass can hold anything."
    if scores.slates is None or (log.candidates is None and log.candidate_propensity is None):
        share = float((scores.propensity > 0).mean())
        overlap = f"the target could have served {share:.1%} of the logged rows"
        return Finding("support", Level.PASS, overlap, rule)
    missing = float(_missing_mass(log, scores).mean())
    level = Level.FAIL if missing > 0.05 else Level.WARN if missing > 0.001 else Level.PASS
    return Finding(
        "support", level, f"{missing:.2%} of the target's mass has no support", rule, fix
    )


def _missing_mass(log: LoggedDataset, scores: TargetScores) -> F64:
    """(N,) probability that the target's first place is an item the logger would not show."""
    assert scores.slates is not None
    first = scores.slates[:, :, 0]
    held = np.zeros(first.shape, bool)
    if log.candidates is None and log.candidate_propensity is not None:
        known = (first >= 0) & (first < log.n_items)
        column = np.where(known, first, 0).astype(np.int64)
        held = known & (np.take_along_axis(log.candidate_propensity, column, 1) > 0)
    else:
        for c in candidate_columns(log):
            held |= (first == c.item[:, None]) & (c.p > 0)[:, None]
    weight = scores.slate_weight
    share = np.full(first.shape, 1 / first.shape[1]) if weight is None else weight
    return np.asarray((share * ~held).sum(1))


def calibration(log: LoggedDataset) -> list[Finding]:
    """T3 per item, T4 per probability, T5 entropy: does what was shown follow the distribution?"""
    from scipy.special import chdtrc

    sums = _calibration_sums(log)
    rule = "What was shown at the first place follows the logged distribution."
    judged = sums.item_var > 5  # items shown often enough for a normal approximation
    z = (sums.item_hits - sums.item_p)[judged] / np.sqrt(sums.item_var[judged])
    worst = float(np.abs(z).max()) if z.size else 0.0
    at = int(np.flatnonzero(judged)[np.abs(z).argmax()]) if z.size else -1
    who = log.names_of("item", [at])[0]
    t3 = by_p_value(
        "calibration per item (T3)", two_sided(worst, max(z.size, 1)),
        f"largest |z| {worst:.1f} at item {who}", rule, ADVICE + " Were rows of some items lost?",
    )  # fmt: skip
    full = sums.bin_var > 5
    z = (sums.bin_hits - sums.bin_p)[full] / np.sqrt(sums.bin_var[full])
    worst = float(np.abs(z).max()) if z.size else 0.0
    one_bin, all_bins = two_sided(worst, max(z.size, 1)), float(chdtrc(max(z.size, 1), z @ z))
    t4 = by_p_value(
        "reliability per probability (T4)", min(2 * min(one_bin, all_bins), 1.0),
        f"largest |z| {worst:.1f} over {z.size} bins", rule, ADVICE,
    )  # fmt: skip
    z5 = sums.nll / np.sqrt(sums.nll_var) if sums.nll_var > 0 else 0.0
    t5 = by_p_value(
        "entropy (T5)", two_sided(z5), f"negative log-likelihood z {z5:.1f}", rule,
        ADVICE + " Was a temperature or an exploration share left out?",
    )  # fmt: skip
    return [t3, t4, t5]


class _Sums(NamedTuple):
    item_hits: F64
    item_p: F64
    item_var: F64
    bin_hits: F64
    bin_p: F64
    bin_var: F64
    nll: float  # negative log-likelihood of what was shown, less the entropy it should have
    nll_var: float


def _calibration_sums(log: LoggedDataset) -> _Sums:
    """Hits, expected hits and variances per item and per probability bin, a block at a time."""
    assert log.candidate_propensity is not None
    items, bins = np.zeros((3, log.n_items)), np.zeros((3, BINS))
    nll = nll_var = 0.0
    empty = bool((log.slate[:, 0] < 0).any())
    for at in range(0, len(log), BLOCK):
        rows = slice(at, at + BLOCK)
        p = log.candidate_propensity[rows]
        every = np.arange(log.n_items)[None, :]
        own = every if log.candidates is None else log.candidates[rows]
        ids = np.asarray(np.broadcast_to(own, p.shape), np.int64)
        hit = ids == log.slate[rows, :1]
        nothing = log.slate[rows, 0] < 0
        total = p.sum(1, keepdims=True)
        if empty:  # the rest is the chance of serving nothing
            p, rest = p / np.maximum(total, 1.0), np.maximum(1 - total[:, 0], 0.0)
        else:
            p, rest = p / np.maximum(total, 1e-300), np.zeros(len(p))
        h = np.ones((1, 1)) if log.row_weight is None else log.row_weight[rows, None]
        variance = p * (1 - p) if log.row_weight is None else (h * (hit - p)) ** 2
        place = np.clip((np.log10(np.maximum(p, 1e-12)) / 4 + 1) * BINS, 0, BINS - 1).astype(int)
        live = p > 0
        shown = live & (ids >= 0)
        for sums, cell, on in ((items, ids, shown), (bins, place, live)):
            among = slice(None) if on.all() else on  # a mask over a large table costs much
            chosen = cell[among].ravel()
            for k, x in enumerate((h * hit, h * p, variance)):
                sums[k] += np.bincount(chosen, x[among].ravel(), sums.shape[1])
        log_p = np.log(np.where(live, p, 1.0))
        log_rest = np.log(np.where(rest > 0, rest, 1.0))
        entropy = -(p * log_p).sum(1) - rest * log_rest
        served = np.where(hit, log_p, 0).sum(1) + np.where(nothing, log_rest, 0)
        off = h[:, 0] * (served + entropy)
        nll -= float(off.sum())
        if log.row_weight is None:
            second = (p * log_p**2).sum(1) + rest * log_rest**2
            nll_var += float((second - entropy**2).sum())
        else:
            nll_var += float((off**2).sum())
    return _Sums(items[0], items[1], items[2], bins[0], bins[1], bins[2], nll, nll_var)
