"""The plan after an undecided verdict, and how it reads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

import numpy as np

from offpolicy.intervals.inference import Interval
from offpolicy.tables import bounds, markdown

Spread = Literal["estimated", "as logged"]
PLAN_HEAD = "What would settle it"
THIN = (
    "This log is too thin to say how the target's own sessions are paid. Numbers after `at most` "
    "come from bounds: weights of at most 1 / share, and the largest spread of returns that stay "
    "within those seen; below them stand the numbers if returns spread as logged"
)


class Source(StrEnum):
    """What a number of sessions rests on: the target's own weighted sessions, or known bounds."""

    ESTIMATED = "estimated"
    AT_MOST = "at most"


@dataclass(frozen=True, slots=True)
class Step:
    """The furthest policy between the logging policy and the target that the log can judge."""

    path: str  # how the policies between the two are made
    share: float  # of the target in it, 0..1
    ess: float  # effective units there
    uplift: Interval  # over the logging policy; infinite where the log cannot say


@dataclass(frozen=True, slots=True)
class BetterLog:
    """A logging policy, and the sessions of it until the target is judged and an uplift is seen."""

    logger: str
    to_judge: float  # sessions until the gate's effective sample is there
    to_see: float  # sessions until an uplift of the plan's margin is seen with the plan's power
    low: float  # bounds of `to_see`, of its standard error in this log; where `to_see` is a bound
    high: float  # itself, the number if returns spread as logged, and the bound
    cost: Interval  # expected reward a session under this logger less that of the present one
    source: Source

    @property
    def sessions(self) -> float:
        """Until both."""
        return max(self.to_judge, self.to_see)


@dataclass(frozen=True, slots=True)
class Trial:
    """The target serves a share of the units; a confidence sequence of the difference between the
    two arms (`trial_uplift`) stops it."""

    share: float
    sessions: float  # of both arms together, at which the trial ends at the latest
    at_most: float  # the same, if returns under the target spread as widely as those seen allow
    tuned_at: float  # units at which the sequence is narrowest
    looks: int  # evenly spaced
    until_seen: float  # expected sessions where the uplift is the margin
    harm: float  # of a target that is worse by this, per session …
    until_stopped: float  # … the expected sessions until it is stopped
    loss: float  # … and the expected reward that it loses in all
    loss_bound: float  # what 95 of 100 such trials lose at most, in expected reward
    worst_loss: float  # the largest expected loss of any target, however much worse
    source: Spread  # where the spread of the target's returns comes from


@dataclass(frozen=True, slots=True)
class Plan:
    """Three ways on from "cannot tell"."""

    horizon: str
    session: str  # what the estimand is per: "session" or "decision"
    unit: str  # what a trial assigns: "user" or "session"
    margin: float  # uplift that is to be seen, per session
    wanted: float  # the rule's: what the uplift is to exceed
    power: float
    confidence: float
    min_ess: float
    steps: tuple[Step, ...]
    loggers: tuple[BetterLog, ...]
    trial: Trial
    notes: tuple[str, ...] = ()

    @property
    def best_log(self) -> BetterLog | None:
        """The logging policy that needs the fewest sessions."""
        known = [x for x in self.loggers if np.isfinite(x.sessions)]
        return min(known, key=lambda x: x.sessions) if known else None

    def lines(self) -> list[str]:
        """A sentence or two for each way on."""
        hidden = len(self.loggers) - len(self._shown())
        silent = f"Of {hidden} more logging policies this log cannot say when they would be enough"
        ways = [*map(self._step, self.steps), *self._log(), self._trial(), *self.notes]
        return [*ways, silent] if hidden else ways

    def to_markdown(self) -> str:
        """The sentences, and a table of the logging policies."""
        text = "\n".join([f"{self.goal}:", "", *(f"* {line}" for line in self.lines())])
        return f"{text}\n\n{markdown(*self.table())}\n" if self.loggers else text + "\n"

    def table(self) -> tuple[list[str], list[list[str]]]:
        """Head and rows: the logging policies, with sessions and cost."""
        head = ["logging policy", "until judged", "until seen", "between", "cost a session"]
        return head, [
            [
                x.logger,
                sessions(x.to_judge),
                _until_seen(x),
                f"[{sessions(x.low)}, {sessions(x.high)}]" if np.isfinite(x.high) else "",
                _known(x.cost),
            ]
            for x in self._shown()
        ]

    def _shown(self) -> list[BetterLog]:
        """The present policy, and those of which the log says anything."""
        return [x for i, x in enumerate(self.loggers) if not i or np.isfinite(x.to_judge)]

    @property
    def goal(self) -> str:
        """What is planned for, in words."""
        return (
            f"{PLAN_HEAD}, if the uplift is {self.margin:+.3g} a {self.session} (estimand "
            f"`{self.horizon}`): to see it above {self.wanted:+.3g} with {self.power:.0%} power at "
            f"{self.confidence:.4g} confidence"
        )

    def _step(self, s: Step) -> str:
        reach = f"up to {s.share:.2g} of the target" if s.share < 1 else "the whole way to it"
        return (
            f"A step, {s.path}: the log can judge {reach} (effective "
            f"sample {s.ess:.0f}, the gate's floor is {self.min_ess:.0f}); estimated uplift there "
            f"{_known(s.uplift)}"
        )

    def _log(self) -> list[str]:
        best = self.best_log
        if best is None:
            return []
        return [
            f"A better log, {best.logger}: {sessions(best.to_judge)} {self.session}s until the "
            f"gate judges it, {_until_seen(best)} (between {sessions(best.low)} and "
            f"{sessions(best.high)}) until the uplift is seen by weights, each at "
            f"{_known(best.cost)} against the present policy"
        ]

    def _trial(self) -> str:
        t, each = self.trial, f"{self.session}s"
        wide = f"; {sessions(t.at_most)} if they spread as widely as those seen allow"
        spread = {
            "estimated": "with the spread of the target's returns that this log tells",
            "as logged": f"if its returns spread as logged{wide}",
        }[t.source]
        return (
            f"A trial that serves the target to {t.share:.0%} of {self.unit}s, compares the two "
            f"arms alone, and looks {t.looks} times at an anytime-valid bound: "
            f"{sessions(t.sessions)} {each} at the latest ({spread}), {sessions(t.until_seen)} on "
            f"average. A target that is {t.harm:.3g} worse is stopped after "
            f"{sessions(t.until_stopped)} {each} on average, at a loss of {t.loss:.3g} in all (95 "
            f"of 100 trials: at most {t.loss_bound:.3g}); no target, however much worse, is "
            f"expected to lose more than {t.worst_loss:.3g}"
        )


def _until_seen(x: BetterLog) -> str:
    if not np.isfinite(x.to_see):
        return sessions(x.to_see)
    return ("at most " if x.source is Source.AT_MOST else "") + sessions(x.to_see)


def _known(i: Interval) -> str:
    """A value with its interval, or bounds alone where the log does not tell the value."""
    value = "somewhere in" if np.isnan(i.value) else f"{i.value:+.3g}"
    return f"{value} {bounds(i, '+')}"


def sessions(n: float) -> str:
    """Rounded up to two or three figures: 12,300; "no number" where there is none."""
    if not np.isfinite(n):
        return "no number"
    unit = 10.0 ** max(np.floor(np.log10(max(n, 1.0))) - 2, 0)
    return f"{np.ceil(n / unit - 1e-9) * unit:,.0f}"
