"""F1, F4, F8 and scores that are no numbers: faults of the engine and of what it serves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.faults.service.fault import Fault
from experiments.faults.service.parts import DEADLINE_MS, MEMORY, Parts
from offpolicy.log.dataset import LoggedDataset
from policies import Policy
from policies.observation import Observation, Serving
from policies.rules.constrained import Constrained
from policies.slates.distributions import PlackettLuce, SlateDistribution

SLOW_MS = 60.0  # of a batch
HOGGED, HOG_MS = 0.2, 80.0  # share of batches that a hog holds up, and for how long
LEAK = 1.5e7  # bytes that a decision leaves behind
KILLED = 2.0  # times the usual memory at which the process is killed
KILLS = 3  # before somebody gives it more
NAN_SHARE = 0.2  # of users


def _slow(parts: Parts) -> None:
    """Batches take long, and those who come meanwhile wait for as long as one takes."""
    parts.work = lambda n: parts.usual_work() * SLOW_MS / 4.0
    parts.waits = lambda n: (SLOW_MS * parts.rng.random(n)).tolist()


def _hog(parts: Parts) -> None:
    def work(n: int) -> float:
        return parts.usual_work() + (HOG_MS if parts.rng.random() < HOGGED else 0.0)

    parts.work = work


def _leak(parts: Parts) -> None:
    """Memory grows with every decision; the kernel kills the process, and it begins anew, with the
    same leak."""
    usual, first = parts.work, len(parts.starts)

    def work(n: int) -> float:
        killed = len(parts.starts) - first
        parts.memory += LEAK * n if killed < KILLS else 0.0
        if parts.memory > KILLED * MEMORY and killed < KILLS:
            parts.begin()
            parts.memory = MEMORY
        return usual(n)

    parts.work = work


@dataclass(frozen=True)
class Holes:
    """Scores of some users are no numbers."""

    policy: Policy

    @property
    def serving(self) -> Serving:
        return self.policy.serving

    def distribution(self, obs: Observation) -> SlateDistribution:
        table = self.policy.distribution(obs).first_place()
        with np.errstate(divide="ignore"):
            logits = np.log(table)
        logits[(1e6 * table[:, 0]) % 1 < NAN_SHARE] = np.nan
        return PlackettLuce(logits, self.serving.slate_size)

    def update(self, log: LoggedDataset) -> dict[str, float]:
        return {}


def _rule_vanishes(parts: Parts) -> None:
    for live in parts.engine.served.shown:
        if isinstance(live.answers.policy, Constrained):
            live.answers.policy = live.answers.policy.policy


def _nan(parts: Parts) -> None:
    canary = parts.engine.served.canary
    if canary is not None and isinstance(canary.answers.policy, Constrained):
        under = canary.answers.policy
        canary.answers.policy = Constrained(Holes(under.policy), under.rules)


ENGINE = (
    Fault(
        name="slow-engine",
        title="F1 slow engine, long queue",
        stands_for=f"a batch takes {SLOW_MS:.0f} ms instead of 4 and others wait as long; the "
        f"deadline is {DEADLINE_MS:.0f} ms",
        inject=_slow,
        seen_by=("LongplayWithin50ms", "LongplayFallback", "LongplayLatencyP95"),
    ),
    Fault(
        name="rule-vanishes",
        title="F4 a rule vanishes",
        stands_for="slates are drawn without the rule that their decisions name",
        inject=_rule_vanishes,
        seen_by=("LongplayViolations",),
    ),
    Fault(
        name="cpu-hog",
        title="F8 a CPU hog",
        stands_for=f"{HOGGED:.0%} of batches are held up for {HOG_MS:.0f} ms",
        inject=_hog,
        seen_by=("LongplayWithin50ms", "LongplayLatencyP95"),
    ),
    Fault(
        name="memory-leak",
        title="F8 killed for want of memory",
        stands_for="memory grows to twice what it was, the process is killed and begins anew, "
        "three times",
        inject=_leak,
        seen_by=("LongplayMemory", "LongplayRestarts"),
    ),
    Fault(
        name="nan-scores",
        title="NaN scores",
        stands_for=f"the canary's scores are NaN for {NAN_SHARE:.0%} of its decisions",
        inject=_nan,
        seen_by=("LongplayFallback",),
    ),
)
