"""When a policy learns again: on a schedule, after a drift alarm, or after enough new sessions.

Pure: what is known is a state, and a state in gives a state out. Both are JSON.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from serving.contracts.fields import (
    ContractError,
    check,
    from_json,
    maybe,
    number,
    of,
    positive,
    text,
    to_json,
    whole,
)

SCHEDULE, DRIFT, SESSIONS = "schedule", "drift", "sessions"


def flag(name: str, value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ContractError(f"{name} is {value!r}; it must be true or false", field=name)
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class RelearnRule:
    """When learning is due. Raises ContractError, which names the field."""

    every: float | None = of(maybe(positive), None)  # s between the beginnings of two runs
    sessions: int | None = of(maybe(whole), None)  # new ones since the last cut
    when_drift: bool = of(flag, False)  # after an alarm that no run has answered
    apart: float = of(positive, 3_600.0)  # s: the least between the beginnings of two runs
    longest: float = of(positive, 86_400.0)  # s after which a run that never ended is given up

    def __post_init__(self) -> None:
        check(self)
        if self.sessions is not None and self.sessions < 1:
            raise ContractError(f"sessions is {self.sessions}; give 1 or more", field="sessions")

    def to_json(self) -> bytes:
        return to_json(self, "relearn_rule")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> RelearnRule:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "relearn_rule")


@dataclass(frozen=True, slots=True, kw_only=True)
class RelearnState:
    """What is known when somebody asks whether learning is due. Raises ContractError."""

    sessions: int = of(whole, 0)  # that are over, in the log
    learnt: int = of(whole, 0)  # of these, those of the last cut
    began: float | None = of(maybe(number), None)  # s, of the last run
    running: str | None = of(maybe(text), None)  # cut of the run that has not ended
    alarm: str | None = of(maybe(text), None)  # of drift, not answered yet: what was seen

    def __post_init__(self) -> None:
        check(self)

    def to_json(self) -> bytes:
        return to_json(self, "relearn_state")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> RelearnState:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "relearn_state")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """Why a run begins."""

    kind: str = of(text)  # drift, sessions or schedule
    why: str = of(text)
    time: float = of(number)  # s

    def to_json(self) -> bytes:
        return to_json(self, "trigger")

    @classmethod
    def from_json(cls, body: bytes | str | Mapping[str, Any]) -> Trigger:
        """Raises ContractError, which names the field."""
        return from_json(cls, body, "trigger")


def due(state: RelearnState, rule: RelearnRule, now: float) -> Trigger | None:
    """The reason to learn at `now` (s), drift before new sessions before the schedule; None where
    there is none, where a run goes on, or where the last one began less than `rule.apart` ago."""
    if _blocked(state, rule, now):
        return None
    new = state.sessions - state.learnt
    if rule.when_drift and state.alarm is not None:
        return Trigger(kind=DRIFT, why=f"drift: {state.alarm}"[:256], time=now)
    if rule.sessions is not None and new >= rule.sessions:
        why = f"{new:,} new sessions since the last cut, {rule.sessions:,} are asked for"
        return Trigger(kind=SESSIONS, why=why, time=now)
    if rule.every is not None and new > 0 and _since(state, now) >= rule.every:
        return Trigger(kind=SCHEDULE, why=_schedule(state, rule, now), time=now)
    return None


def why_not(state: RelearnState, rule: RelearnRule, now: float) -> str:
    """In a sentence why `due` is None."""
    if blocked := _blocked(state, rule, now):
        return blocked
    new, said = state.sessions - state.learnt, []
    if rule.when_drift:
        said.append("no drift alarm")
    if rule.sessions is not None:
        said.append(f"{new:,} of {rule.sessions:,} new sessions")
    if rule.every is not None:
        said.append("no new session" if new <= 0 else _schedule(state, rule, now))
    return ", ".join(said) or "nothing is asked for: every, sessions or when_drift"


def begun(state: RelearnState, cut: str, sessions: int, now: float) -> RelearnState:
    """A run began at `now` (s) from a cut of so many sessions; it answers the alarm."""
    return replace(state, running=cut, began=now, learnt=sessions, alarm=None)


def ended(state: RelearnState) -> RelearnState:
    """The run is over, whatever came of it."""
    return replace(state, running=None)


def _since(state: RelearnState, now: float) -> float:
    """s since the last run began. When one began that began after now is not known, since the clock
    was set back: it holds back no other."""
    if state.began is None or state.began > now:
        return float("inf")
    return now - state.began


def _blocked(state: RelearnState, rule: RelearnRule, now: float) -> str:
    since = _since(state, now)
    if state.running is not None and since < rule.longest:
        return f"the run from cut {state.running} goes on since {since:,.0f} s"
    if since < rule.apart:
        return f"the last run began {since:,.0f} s ago, runs are {rule.apart:,.0f} s apart"
    return ""


def _schedule(state: RelearnState, rule: RelearnRule, now: float) -> str:
    if state.began is None or state.began > now:
        return "no run before"
    return f"{_since(state, now):,.0f} of {rule.every:,.0f} s since the last run began"
