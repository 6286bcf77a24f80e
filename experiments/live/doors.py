"""Services that simulated users are served by: an engine in this process."""

from __future__ import annotations

from collections.abc import Sequence

from serving import Decision, Engine, Outcome, Request


class SimulatedClock:
    """Seconds that stand where they are set."""

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class EngineDoor:
    """The engine itself, on a simulated clock."""

    def __init__(self, engine: Engine, clock: SimulatedClock) -> None:
        self.engine, self.clock = engine, clock
        self.names: Sequence[str] = engine.catalogue.names
        self.response_names: Sequence[str] = engine.serving.response_names

    def at(self, now: float) -> None:
        self.clock.now = now

    def decide(self, requests: Sequence[Request]) -> list[Decision]:
        return self.engine.decide_many(requests)

    def report(self, outcomes: Sequence[Outcome]) -> None:
        self.engine.outcomes(outcomes)
