"""Logs and trials drawn again and again from two policies' sessions: what a plan meets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from offpolicy import GateRule, LoggedDataset, TargetScores, Terms, confidence_sequence, diagnose
from offpolicy.diagnostics import trusted
from offpolicy.estimators.registry import estimate
from offpolicy.gate.uplift_bounds import uplift_bounds
from offpolicy.line import Line
from offpolicy.plan.record import Trial
from offpolicy.plan.trial import trial_uplift
from offpolicy.uplift import compare
from offpolicy.weighting.horizons import terms

F64 = NDArray[np.float64]


class Pool(NamedTuple):
    """Many whole sessions that one policy served, weighed for another one."""

    terms: Terms  # weights: the target's ratio to the present policy, whichever served the session
    returns: F64  # (S,)
    start: NDArray[np.int64]  # (S,) first row of each session, whose rows stand together
    length: NDArray[np.int64]  # (S,)


def pool(log: LoggedDataset, present: F64, target: F64) -> Pool:
    """Of a log with both policies' probabilities (N,) of its slates."""
    ratio = TargetScores(np.minimum(target, 1.0))
    served = LoggedDataset.from_columns(
        session=log.session, step=log.step, slate=log.slate, propensity=present, reward=log.reward,
        n_items=log.n_items, terminated=log.terminated, truncated=log.truncated,
        max_steps=log.max_steps,
    )  # fmt: skip
    t = terms(served, ratio, horizon="per_decision")
    return Pool(t, log.session_rewards(), log.groups.first, np.bincount(log.sessions))


def draw_log(present: Pool, target: Pool, share: float, n: int, rng: np.random.Generator) -> Terms:
    """Terms of n sessions, each served by the target with chance `share`, weighed as the log of
    that mixture; of share 0 as the present policy's."""
    served = int(rng.binomial(n, share))
    chosen = [
        rng.integers(0, len(p.start), k) for p, k in ((present, n - served), (target, served))
    ]
    return _mixed((present, target), chosen, share)


def true_uplift(present: Pool, target: Pool, share: float) -> float:
    """What logs of `draw_log` lead to expect of the target's uplift over the present policy: every
    session of both pools once, as often as it is drawn."""
    pools = [p for p, k in ((present, 1 - share), (target, share)) if k]
    every = [np.arange(len(p.start)) for p in pools]
    counts = [k / len(p.start) for p, k in ((present, 1 - share), (target, share)) if k]
    t = _mixed(pools, every, share, np.repeat(counts, [len(x) for x in every]))
    return _uplift(t, 0.9, controlled=True).uplift.value / (1 - share)


def _mixed(
    pools: Sequence[Pool],
    chosen: Sequence[NDArray[np.int64]],
    share: float,
    counts: F64 | None = None,
) -> Terms:
    """The chosen sessions of each pool as one log of the mixture."""
    parts = [_rows(p, k) for p, k in zip(pools, chosen, strict=True)]
    length = np.concatenate([p.length[k] for p, k in zip(pools, chosen, strict=True)])

    def column(name: str) -> NDArray[np.float64]:
        pairs = zip(pools, parts, strict=True)
        return np.concatenate([getattr(p.terms, name)[rows] for p, rows in pairs])

    weight, before = (
        x / (1 - share + share * x) for x in (column("weight"), column("weight_before"))
    )
    session = np.repeat(np.arange(len(length)), length)
    return Terms(
        weight, column("reward"), None, None, session, before, None, column("stratum"), session,
        "per_decision", "steps", row_weight=None if counts is None else counts[session],
    )  # fmt: skip


def _rows(p: Pool, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    length = p.length[chosen]
    inside = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    return np.asarray(np.repeat(p.start[chosen], length) + inside)


def _uplift(t: Terms, level: float, *, controlled: bool) -> Line:
    estimates = {"pdis": estimate(t, "pdis")}
    return compare(estimates, {"pdis": t}, {}, level, controlled=controlled)[0]


def judged(t: Terms, share: float, rule: GateRule) -> tuple[float, bool]:
    """The effective sample as the gate counts it, and whether its bound shows the uplift."""
    d = diagnose(t, weight_bound=1 / share if share else None)
    line = _uplift(t, rule.level, controlled=trusted(d.least_ess, d.mean_weight))
    assert line.influence is not None
    bound = uplift_bounds({"pdis": line.influence}, {"pdis": line.unseen}, rule)["pdis"]
    return d.least_ess, bound.low > rule.min_uplift


class Played(NamedTuple):
    """How a trial went."""

    sessions: int
    end: int  # 1: the uplift was seen, -1: it was stopped as worse, 0: neither until the end


def play(
    present: Pool, target: Pool, trial: Trial, rule: GateRule, rng: np.random.Generator
) -> Played:
    """The trial on sessions drawn from both, every session a unit."""
    n = int(np.ceil(trial.sessions))
    arm = rng.random(n) < trial.share
    paid = np.where(arm, rng.choice(target.returns, n), rng.choice(present.returns, n))
    unit = np.arange(n)
    for look in range(1, trial.looks + 1):
        m = int(np.ceil(n * look / trial.looks))
        if not 0 < arm[:m].sum() < m:
            continue
        e = trial_uplift(paid[:m], arm[:m], unit[:m])
        bound = confidence_sequence(e, rule.level, tuned_at=trial.tuned_at)
        if bound.low > rule.min_uplift:
            return Played(m, 1)
        if bound.high < rule.min_uplift:
            return Played(m, -1)
    return Played(n, 0)
