"""The furthest step towards a target that a log can vouch for.

Of the policies on the path from the one that serves to the target, those whose weights hold the
gate's floors are told apart on sessions that the learner may have seen; the one with the largest
lower bound of its uplift is judged once, on sessions that neither learner nor choice has seen.
Estimates, and bounds, of a choice on its own sessions are too high.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offpolicy.diagnostics import Diagnostics
from offpolicy.errors import LogError
from offpolicy.estimators import ESTIMATORS
from offpolicy.estimators.registry import fitting, preferred
from offpolicy.evaluation import Model, evaluate
from offpolicy.gate.guardrails import GuardrailSpec
from offpolicy.gate.uplift_bounds import uplift_bounds
from offpolicy.gate.verdict import GateRule, Outcome, Verdict
from offpolicy.intervals.inference import Interval
from offpolicy.judging import GateReport, judge
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.log.splitting import shared_sessions
from offpolicy.weighting.horizons import Horizon
from policies.base import Policy, conditional
from policies.improve.path import Kind, along, between
from policies.observation import columns_of, observation_of_log
from policies.scoring import check_slate_size, score_log
from policies.validation import COUNT, SHARE

F64 = NDArray[np.float64]
SHARES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.55, 0.75, 1.0)
ALIKE = 1e-4  # by how much a weight of the policy that served may differ from 1


@dataclass(frozen=True, slots=True)
class Tried:
    """A share of the way, on the sessions of the choice."""

    share: float
    ess: float  # effective units, the lower one of those drawn and those to be expected
    mean_weight: Interval | None
    uplift: Interval | None  # at the rule's level, over what served; None where floors do not hold
    why_not: str = ""  # which floor it does not hold


@dataclass(frozen=True, slots=True)
class Step:
    """A step that was judged, or why there is none."""

    share: float  # of the way to the target; 0 = no step
    policy: Policy  # what to serve next: `now` where there is no step
    uplift: Interval | None  # of the share that was judged, on the judge's sessions alone
    verdict: Verdict
    ess: float  # effective units of the judgement; of the choice where nothing was judged
    tried: tuple[Tried, ...]  # all shares, on the sessions of the choice
    judged: GateReport | None  # the gate's record; None where no share came that far
    notes: tuple[str, ...] = ()

    @property
    def taken(self) -> bool:
        """Whether there is a step."""
        return self.share > 0

    @property
    def bound(self) -> float:
        """What is vouched: the uplift over what served is above it; 0 where there is no step."""
        return self.uplift.low if self.taken and self.uplift is not None else 0.0


def furthest_step(
    choose_log: LoggedDataset,
    judge_log: LoggedDataset,
    now: Policy,
    target: Policy,
    *,
    rule: GateRule | None = None,
    shares: Sequence[float] = SHARES,
    kind: Kind = "geometric",
    horizon: Horizon = "per_decision",
    guardrails: Sequence[GuardrailSpec] = (),
    candidates: int = 1,
    level: float = 0.95,
    model: Model = "ridge",
    learn_log: LoggedDataset | None = None,
    seed: int = 0,
    chunk: int = 8192,
) -> Step:
    """The policy between `now` and `target` whose uplift the judge's sessions vouch for.

    Of `shares` of the way, those whose effective sample and mean weight hold the floors of `rule`,
    here and as expected of the judge's sessions, are compared on `choose_log`, which may be the
    learner's; the one with the largest lower bound is judged once on `judge_log`, with
    `guardrails` (columns of the judge's log). If it does not pass, there is no step. `candidates`
    above 1 judges so many shares, the chosen one and smaller ones, whose bounds hold together.

    Uplift is over the policy that served `judge_log`, by its LOGGED propensities, whatever `now`
    is; where `now` would not have logged them, a note says so. Memory beside the logs: N K numbers
    for each share and C for each row of a chunk; both policies are asked once for each row.

    Raises:
        LogError: the judge's sessions are among those of the choice, or of `learn_log`.
        ValueError: there is no path between the two policies.
    """
    rule = rule or GateRule()
    shares = _checked(shares)
    COUNT.check("candidates", candidates)
    for log, whose in ((choose_log, "choice"), (learn_log, "learner")):
        if log is not None:
            _check_apart(log, judge_log, whose)
    scores = score_shares(choose_log, now, target, (0.0, *shares), kind, chunk=chunk)
    notes = _not_the_logger(choose_log, scores.pop(0.0))
    units = len(np.unique(judge_log.unit))
    tried = tuple(
        _tried(choose_log, share, scores[share], rule, horizon, units, level) for share in shares
    )
    chosen = _chosen(tried, rule, candidates)
    if not chosen:
        return _no_step(now, tried, rule, notes)
    policies = {f"{t.share:g} of the way": between(now, target, t.share, kind) for t in chosen}
    report = judge(
        judge_log,
        {name: score_log(p, judge_log, seed=seed, chunk=chunk) for name, p in policies.items()},
        horizon=horizon,
        rule=rule,
        guardrails=guardrails,
        level=level,
        model=model,
        seed=seed,
    )
    passed = [c for c in report.candidates if c.verdict.outcome is Outcome.PASS]
    best = max(passed or report.candidates, key=lambda c: c.uplift.low)
    share = chosen[list(policies).index(best.name)].share
    step = policies[best.name]
    return Step(
        share=share if passed else 0.0,
        policy=(copy.deepcopy(step) if step is target else step) if passed else now,
        uplift=best.uplift,
        verdict=best.verdict,
        ess=best.report.diagnostics.least_ess,
        tried=tried,
        judged=report,
        notes=notes,
    )


def score_shares(
    log: LoggedDataset,
    now: Policy,
    target: Policy,
    shares: Sequence[float],
    kind: Kind = "geometric",
    *,
    chunk: int = 8192,
) -> dict[float, TargetScores]:
    """What every share of the way says of the logged slates, by share; no slates are drawn.

    Raises ValueError as `score_log` and `between` do.
    """
    check_slate_size(log, now.serving)
    COUNT.check("chunk", chunk)
    seen = observation_of_log(log, now.serving)
    prefix = {share: np.empty(log.slate.shape) for share in shares}
    for start in range(0, len(log), chunk):
        rows = slice(start, min(start + chunk, len(log)))
        part = seen.rows(rows)
        columns = columns_of(part, log.slate[rows])
        for share, d in zip(shares, along(now, target, shares, kind, part), strict=True):
            prefix[share][rows] = d.prefix(columns)
    return {share: TargetScores(p[:, -1], conditional(p)) for share, p in prefix.items()}


def _tried(
    log: LoggedDataset,
    share: float,
    scores: TargetScores,
    rule: GateRule,
    horizon: Horizon,
    judge_units: int,
    level: float,
) -> Tried:
    """One share on the sessions of the choice: no model, which one target alone would need."""
    name = preferred([n for n in fitting(horizon, usual=True) if not ESTIMATORS[n].needs_model])
    try:
        report = evaluate(
            log, scores, horizon=horizon, level=level, estimators=[name], model=None, check=False
        )
    except LogError as error:  # nothing of the log would the policy serve
        return Tried(share, 0.0, None, None, str(error))
    d = report.diagnostics
    why_not = _floors(d, rule, judge_units)
    if why_not:
        return Tried(share, d.least_ess, d.mean_weight, None, why_not)
    line = report[report.decided_by]
    assert line.influence is not None
    uplift = uplift_bounds({"": line.influence}, {"": line.unseen}, rule)[""]
    return Tried(share, d.least_ess, d.mean_weight, uplift)


def _floors(d: Diagnostics, rule: GateRule, judge_units: int) -> str:
    """Which floor is not held, in words; "" where all are."""
    if d.least_ess < rule.min_ess:
        return f"effective sample {d.least_ess:.0f} is below {rule.min_ess:.0f}"
    expected = d.least_ess * judge_units / d.units
    if expected < rule.min_ess:
        return (
            f"effective sample {expected:.0f} is to be expected of the judge's {judge_units} units,"
            f" below {rule.min_ess:.0f}"
        )
    m = d.mean_weight
    if m is None or not m.low <= 1 <= m.high:
        mean = "unknown" if m is None else f"{m.value:.3f}"
        return f"the mean weight is {mean}, not 1"
    return ""


def _chosen(tried: Sequence[Tried], rule: GateRule, candidates: int) -> list[Tried]:
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


def _no_step(now: Policy, tried: tuple[Tried, ...], rule: GateRule, notes: tuple[str, ...]) -> Step:
    """Nothing was judged, and why."""
    held = [t for t in tried if t.uplift is not None]
    first = max(held, key=lambda t: t.uplift.low if t.uplift else -np.inf) if held else tried[0]
    if held:
        assert first.uplift is not None
        why = (
            f"of {len(held)} shares that hold the floors none has an estimated uplift above "
            f"{rule.min_uplift:+.4g} on the sessions of the choice (best: {first.share:g} of the "
            f"way, {first.uplift.value:+.4g} [{first.uplift.low:+.4g}, {first.uplift.high:+.4g}]):"
            " the judge's sessions were not used; try another target, or log more"
        )
        return Step(0.0, now, None, Verdict(Outcome.UNDECIDED, why, "uplift"), first.ess, tried,
                    None, notes)  # fmt: skip
    why = (
        f"no share of the way holds the floors: at the smallest, {first.share:g}, {first.why_not}: "
        "log more sessions, allow smaller shares, or take a target nearer to what serves"
    )
    return Step(0.0, now, None, Verdict(Outcome.UNDECIDED, why, "overlap"), first.ess, tried, None,
                notes)  # fmt: skip


def _checked(shares: Sequence[float]) -> tuple[float, ...]:
    """In growing order, each once."""
    for share in shares:
        SHARE.check("shares", share)
    found = sorted({float(s) for s in shares} - {0.0})
    if not found:
        raise ValueError("shares holds no number above 0: give some of the way to the target")
    return tuple(found)


def _check_apart(log: LoggedDataset, judge_log: LoggedDataset, whose: str) -> None:
    """Raise LogError where sessions of the judge are among those of a learner or a choice."""
    both = shared_sessions(judge_log, log)
    if len(both):
        first = judge_log.names_of("session", both[:1])[0]
        raise LogError(
            f"{len(both)} of {judge_log.n_sessions} sessions of the judge (the first: {first}) are "
            f"among those of the {whose}: its bounds would be too high. Judge on sessions of its "
            "own: learn, choose, judge = split_sessions(log, (0.4, 0.2, 0.4))"
        )


def _not_the_logger(log: LoggedDataset, scores: TargetScores) -> tuple[str, ...]:
    """A note where `now` is not the policy that served the log."""
    off = np.abs(scores.propensity / log.propensity - 1) > ALIKE
    if not off.any():
        return ()
    return (
        f"`now` did not serve this log: its propensities are others on {off.mean():.0%} of the "
        "rows. Weights use the logged ones, so that the uplift is over what served the log, not "
        "over `now`; where there is no step, go on serving that.",
    )
