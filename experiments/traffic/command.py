"""`longplay traffic`: load with realistic sessions, open loop."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.traffic.schedule import Arrivals


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Send requests to a server at their due times, whatever became of those before, with users who
    return, sessions, and outcomes with delay. Exit status 1 where fewer are answered than
    --least-success."""

    url: str = "http://127.0.0.1:8080"
    rps: float = 100.0
    """Decisions a second; outcomes come on top."""
    seconds: float = 30.0
    """How long requests are sent."""
    arrivals: Arrivals = "poisson"
    """At random moments, or at equal distances."""
    outcomes: bool = True
    """Report what came of the slates: taken, liked, terminated."""
    users: int = 20_000
    """Different users whose sessions are played."""
    think: float = 2.0
    """Seconds between two requests of a session."""
    session_length: float = 10.0
    """Requests of a session, on average."""
    items: Path | None = None
    """The catalogue's file, for --history and --candidates."""
    history: int = 0
    """Items that are sent as the past of a user, with the first request of a session."""
    candidates: int = 0
    """Items that are sent with each request; 0 = the server finds candidates itself."""
    deadline_ms: float | None = None
    """Sent with each request; the server's own by default."""
    token_file: Path | None = None
    """The server's token."""
    connections: int = 1_000
    """At most so many at a time."""
    run: str | None = None
    """What all ids of the run begin with; of the time by default."""
    seed: int = 0
    """Of the arrivals, users and outcomes."""
    least_success: float = 0.999
    """Share of the decisions that must be answered with status 200."""
    json: bool = False
    """Print JSON instead of the table."""


def run(settings: Settings) -> int:
    """Print P50, P95 and P99 from the due times, success, fallbacks and versions."""
    from experiments.traffic.play import Plan, play
    from experiments.traffic.report import as_json, text
    from experiments.traffic.schedule import Phase
    from experiments.traffic.summary import summary
    from experiments.traffic.visits import Behaviour
    from serving.catalogue import Catalogue

    names = () if settings.items is None else Catalogue.from_file(settings.items).names
    token = None if settings.token_file is None else settings.token_file.read_text("utf-8").strip()
    plan = Plan(
        phases=(Phase(settings.rps, settings.seconds),),
        arrivals=settings.arrivals,
        behaviour=Behaviour(
            users=settings.users, think=settings.think, session_length=settings.session_length
        ),
        outcomes=settings.outcomes,
        names=names,
        history=settings.history,
        candidates=settings.candidates,
        deadline_ms=settings.deadline_ms,
        connections=settings.connections,
        seed=settings.seed,
    )
    figures = summary(play(settings.url, plan, token=token, run=settings.run))
    print(as_json(figures) if settings.json else text(figures))
    return int(not figures.decide.success.value >= settings.least_success)
