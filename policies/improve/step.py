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
from functools import partial

import numpy as np
from numpy.typing import NDArray

from offpolicy.errors import LogError
from offpolicy.evaluation import Model
from offpolicy.gate.guardrails import GuardrailSpec
from offpolicy.gate.verdict import GateRule, Outcome, Verdict
from offpolicy.intervals.inference import Interval
from offpolicy.judging import GateReport, judge
from offpolicy.log.dataset import LoggedDataset
from offpolicy.log.scores import TargetScores
from offpolicy.log.splitting import shared_sessions
from offpolicy.weighting.horizons import Horizon
from policies.base import Policy, conditional
from policies.improve.choice import Tried, chosen_of, compared, finer_shares
from policies.improve.path import Kind, along, between
from policies.observation import columns_of, observation_of_log
from policies.scoring import check_slate_size, score_log
from policies.validation import COUNT, SHARE

F64 = NDArray[np.float64]
SHARES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.28, 0.4, 0.55, 0.75, 1.0)
POOLED = 0.5  # mean weight of `now`, 1 where it served: below, it had other items to pick from
ALIKE = 1e-3  # by how much a weight of the policy that served may differ from 1


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
    candidate: Policy | None = None  # the policy that was judged, whether or not it passed
    judged_share: float | None = None  # its share of the way

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
    shares: Sequence[float] | None = None,
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

    Of `shares` of the way (by default a grid, refined where the floors end), those whose weights on
    `choose_log` lead to expect that the judge's sessions hold the floors of `rule` are compared on
    `choose_log`, which may be the learner's; the one with the largest lower bound is judged once on
    `judge_log`, with `guardrails` (columns of the judge's log). If it does not pass, there is no
    step. `candidates` above 1 judges so many shares, the chosen one and smaller ones, whose bounds
    hold together.

    Uplift is over the policy that served `judge_log`, by its LOGGED propensities, whatever `now`
    is; where `now` would not have logged them, a note says so. Memory beside the logs: N K numbers
    for each share and C for each row of a chunk; both policies are asked once for each row.

    Raises:
        LogError: the judge's sessions are among those of the choice, or of `learn_log`.
        ValueError: there is no path between the two policies.
    """
    rule = rule or GateRule()
    grid = _checked(SHARES if shares is None else shares)
    COUNT.check("candidates", candidates)
    for log, whose in ((choose_log, "choice"), (learn_log, "learner")):
        if log is not None:
            check_apart(log, judge_log, whose)
    scores = score_shares(choose_log, now, target, (0.0, *grid), kind, chunk=chunk)
    notes = _not_the_logger(choose_log, scores.pop(0.0))
    look = partial(compared, choose_log, rule, horizon, len(np.unique(judge_log.unit)))
    tried = [look(share, scores[share]) for share in grid]
    if shares is None and (finer := finer_shares(tried)):
        scores = score_shares(choose_log, now, target, finer, kind, chunk=chunk)
        tried += [look(share, scores[share]) for share in finer]
        tried.sort(key=lambda t: t.share)
    chosen = chosen_of(tried, rule, candidates)
    if not chosen:
        return _no_step(now, tuple(tried), rule, notes)
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
    step = copy.deepcopy(step) if step is target else step
    return Step(
        share=share if passed else 0.0,
        policy=step if passed else now,
        uplift=best.uplift,
        verdict=best.verdict,
        ess=best.report.diagnostics.least_ess,
        tried=tuple(tried),
        judged=report,
        notes=notes,
        candidate=step,
        judged_share=share,
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


def check_apart(log: LoggedDataset, judge_log: LoggedDataset, whose: str) -> None:
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
    weight = scores.propensity / log.propensity
    off = np.abs(weight - 1) > ALIKE
    if not off.any():
        return ()
    pools = (
        ()
        if log.candidates is not None or weight.mean() > POOLED
        else (
            "`now` picks from the whole catalogue, for this log has no `candidates`, and would "
            "hardly have served it: where what serves picks from items that are offered to it, log "
            "those, or no weight means anything.",
        )
    )
    return (
        *pools,
        f"`now` did not serve this log: its propensities are others on {off.mean():.0%} of the "
        f"rows, by {np.median(np.abs(weight - 1)):.2%} in the middle. Weights use the logged ones, "
        "so that the uplift is over what served the log, not over `now`; where there is no step, "
        "go on serving that.",
    )
