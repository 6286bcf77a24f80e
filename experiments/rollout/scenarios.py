"""What is played: canaries of known truth, traffics, and the rules that decide."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np

from experiments.rollout.baselines import no_errors, t_test
from experiments.rollout.play import Decide, play
from experiments.rollout.traffic import DAY, Change, Traffic
from serving.rollout.rule import Guardrail, RolloutRule
from serving.rollout.step import step

LENGTH = 7 * DAY  # of a rollout at least: three stages of a day, and the last of four

# chosen on rollouts with other seeds than those of the record
RULE = RolloutRule(
    shadow_decisions=0,
    margin=0.03,
    guardrails=(Guardrail(metric="sessions", margin=0.15, share=0.2),),
    least_users=15,
    least_seconds=DAY,
    most_seconds=5 * DAY,
    last_seconds=4 * DAY,
    recent_seconds=DAY,
)
TRAFFICS = {
    "returns": Traffic(),
    "rate 1 %": Traffic(users=5_000, sessions=400.0, rate=0.01),
    "day and weekend": Traffic(day=0.6, weekend=0.5),
}
DECIDE: dict[str, Decide] = {"step": step, "t test": t_test, "no errors": no_errors}

Drawn = Callable[[np.random.Generator], Change]


def _turning(until: float) -> Drawn:
    return lambda rng: Change(0.05, later=-0.1, turn=float(rng.random()) * until)


CANARIES: dict[str, Drawn] = {
    "as good (A/A)": lambda rng: Change(),
    "at the margin (-3 %)": lambda rng: Change(-0.03),
    "10 % worse": lambda rng: Change(-0.1),
    "5 % better": lambda rng: Change(0.05),
    "better, then 10 % worse": _turning(LENGTH - RULE.recent_seconds),
    "the same, turning later": _turning(2 * LENGTH),
    "10 % worse, new to users at first": lambda rng: Change(-0.1, novelty=0.25),
}


class Scenario(NamedTuple):
    """One row of the record."""

    canary: str
    traffic: str = "returns"
    rule: str = "step"
    share: float = 1.0  # of `Settings.rollouts`
    phase: str = ""  # whose share has a target: done, or a soft rollback
    at_least: float | None = None
    at_most: float | None = None

    @property
    def id(self) -> str:
        """As a file's name."""
        words = f"{self.rule} {self.traffic} {self.canary}"
        return "-".join("".join(c if c.isalnum() else " " for c in words).split())


SCENARIOS = (
    Scenario("as good (A/A)", phase="soft", at_most=0.05),
    Scenario("at the margin (-3 %)", share=0.15, phase="soft", at_most=0.05),
    Scenario("10 % worse", share=0.5, phase="rolled_back", at_least=0.95),
    Scenario("5 % better", share=0.5, phase="done", at_least=0.8),
    Scenario("better, then 10 % worse", share=0.2, phase="done", at_most=0.0),
    Scenario("10 % worse, new to users at first", share=0.2, phase="done", at_most=0.0),
    Scenario("the same, turning later", share=0.1),
    Scenario("as good (A/A)", "rate 1 %", share=0.1, phase="soft", at_most=0.05),
    Scenario("10 % worse", "rate 1 %", share=0.1, phase="rolled_back", at_least=0.95),
    Scenario("5 % better", "rate 1 %", share=0.1, phase="done", at_least=0.8),
    Scenario("as good (A/A)", "day and weekend", share=0.1, phase="soft", at_most=0.05),
    *(
        Scenario(canary, rule=rule, share=0.1)
        for rule in ("t test", "no errors")
        for canary in ("as good (A/A)", "10 % worse", "5 % better", "better, then 10 % worse")
    ),
)
BY_ID = {s.id: s for s in SCENARIOS}


def work(
    scenario: str, first: int, count: int, seed: int, pool: list[float], tuned_at: float
) -> dict[str, Any]:
    """Play `count` rollouts of a scenario, beginning with number `first`."""
    began, s = time.process_time(), BY_ID[scenario]
    rule, returns = replace(RULE, tuned_at=tuned_at), np.sort(np.asarray(pool))
    played = []
    for k in range(first, first + count):
        canary = CANARIES[s.canary](np.random.default_rng([seed, crc32(s.canary.encode()), k]))
        p = play(
            TRAFFICS[s.traffic],
            returns,
            canary,
            rule,
            [seed, crc32(f"{s.canary} {s.traffic}".encode()), k],
            decide=DECIDE[s.rule],
            compare=s.rule != "no errors",
        )
        turned = canary.later is None or canary.turn < p.days * DAY
        played.append({**p._asdict(), "turned": turned})
    return {"played": played, "cpu_seconds": time.process_time() - began}
