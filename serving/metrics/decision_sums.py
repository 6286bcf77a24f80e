"""Decisions and outcomes as sums: pure, of the same objects that are logged."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from zlib import crc32

import numpy as np

from policies.rules.constraints import Rule
from serving.contracts.decisions import Decision
from serving.contracts.outcomes import TAKEN, TERMINATED, TRUNCATED, Outcome, OutcomeEvent
from serving.metrics.sums import F64, Sums, histogram_of, moments_of, shown_of
from serving.metrics.table.series import AGE, AGES, DURATION, SECONDS, WAIT, WORK
from serving.metrics.violations import violations

EVERY = 8  # of so many tables of probabilities one is read


def sums_of_decisions(
    decisions: Sequence[Decision],
    logged: int | None = None,
    rules: Mapping[str, tuple[Rule, ...]] | None = None,
) -> Sums:
    """What decisions come to.

    logged: how many of them the event log holds; None: what they say themselves.
    rules: by their hash, to audit the slates; none are known by default.
    """
    n = len(decisions)
    if not n:
        return Sums()
    reasons = Counter(reason_class(one.fallback) for one in decisions if one.fallback is not None)
    held = sum(map(is_logged, decisions)) if logged is None else logged
    fallbacks = reasons.total()
    counts: dict[tuple[str, str], float] = {
        ("longplay_requests", "policy"): n - fallbacks,
        ("longplay_requests", "fallback"): fallbacks,
        ("longplay_decisions", "true"): held,
        ("longplay_decisions", "false"): n - held,
        ("longplay_unknown_items", ""): sum(one.unknown_items for one in decisions),
        ("longplay_histories", "new"): (new := sum(not one.history_version for one in decisions)),
        ("longplay_histories", "known"): n - new,
    }
    counts |= {("longplay_fallbacks", reason): k for reason, k in reasons.items()}
    audited = violations(decisions, {} if rules is None else rules)
    unaudited = audited.pop("unaudited", 0)
    counts |= {("longplay_violations", check): k for check, k in audited.items()}
    counts |= {("longplay_unaudited", ""): unaudited} if unaudited else {}
    waited, worked = (
        np.array([getattr(one, name) for one in decisions]) for name in ("waited_ms", "worked_ms")
    )
    ages = np.array([one.history_age for one in decisions if one.history_age is not None])
    shown = np.array([item for one in decisions for item in one.slate if item >= 0], np.int64)
    return Sums(
        counts,
        {
            DURATION: histogram_of((waited + worked) / 1e3, SECONDS),
            WAIT: histogram_of(waited / 1e3, SECONDS),
            WORK: histogram_of(worked / 1e3, SECONDS),
            AGE: histogram_of(ages, AGES),
        },
        _propensities([one for one in decisions if one.fallback is None]),
        shown_of(shown),
    )


def sums_of_outcomes(outcomes: Sequence[Outcome | OutcomeEvent]) -> Sums:
    """How many outcomes came, by kind; the caller's own kinds are one."""
    kinds = Counter(one.kind if one.kind in _KINDS else "other" for one in outcomes)
    return Sums({("longplay_outcomes", kind): n for kind, n in kinds.items()})


def reason_class(reason: str) -> str:
    """The class of a fallback's reason: of few, whatever the text says."""
    what = reason.partition(":")[0]
    if what in _REASONS:
        return _REASONS[what]
    return "policy" if what.isidentifier() and what[0].isupper() else "other"


def is_logged(one: Decision) -> bool:
    """Whether the event log holds a decision, by what it says itself."""
    return one.step >= 0 and (one.fallback is None or reason_class(one.fallback) != "event_log")


_KINDS = (TAKEN, TERMINATED, TRUNCATED)
_REASONS = {
    "deadline": "deadline",
    "sessions": "sessions",
    "event log": "event_log",
    "AssertionError": "rule",  # a draw that broke one: nothing of it was shown
}


def _propensities(decisions: list[Decision]) -> dict[str, F64]:
    """Moments of the propensity; of entropy and weight where there are tables (B, C), of one in
    EVERY, which the decision's id chooses: to read a table costs more than all else."""
    out = {"longplay_propensity": moments_of(np.array([one.propensity for one in decisions]))}
    by_width: dict[int, list[Decision]] = {}
    for one in decisions:
        if not one.candidate_propensity or one.slate[0] < 0:
            continue
        if crc32(one.decision_id.encode()) % EVERY == 0:
            by_width.setdefault(len(one.candidate_propensity), []).append(one)
    entropy, weight = [np.zeros(0)], [np.zeros(0)]
    for width, some in by_width.items():
        flat = array("d")
        for one in some:
            assert one.candidate_propensity is not None
            flat.extend(one.candidate_propensity)
        p = np.frombuffer(flat).reshape(-1, width)
        first = np.array([one.position_propensity[0] for one in some])
        entropy.append(-(p * np.log(np.where(p > 0, p, 1.0))).sum(axis=1))
        weight.append(1.0 / (np.sqrt(first) * np.sqrt(p).sum(axis=1)))
    out["longplay_first_place_entropy"] = moments_of(np.concatenate(entropy))
    out["longplay_first_place_weight"] = moments_of(np.concatenate(weight))
    return out
