"""`longplay coverage`: do 95 % intervals hold the truth 95 % of the time, in the default world?

Fresh logs are drawn again and again; the truth is the target policy run in the world itself on many
more users. Two estimands: one decision (sessions of one step, so that the truth is a run of one
step) and whole sessions.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from experiments.common.show import Show
from offpolicy.storage.atomic import write_text


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Coverage of intervals over fresh logs of the default world."""

    replicates: int = 200
    one_step_sessions: int = 3000
    """Decisions of a log for the one-decision estimators."""
    sessions: int = 3000
    """Sessions of a log for the session estimators."""
    max_steps: int = 10
    """Length at which sessions are cut."""
    truth_sessions: int = 400_000
    """Sessions of the target policy behind each truth."""
    min_ess: float = 500.0
    """Logs of a smaller effective sample are set aside: there the gate would not judge."""
    level: float = 0.95
    seed: int = 0
    """Of the random numbers."""
    out: Path | None = None
    """Markdown file to write the table to; a page with a picture is written beside it."""

    def __post_init__(self) -> None:
        if min(self.replicates, self.one_step_sessions, self.sessions, self.truth_sessions) < 2:
            raise ValueError("replicates and sessions must be at least 2")


def run(settings: Settings) -> int:
    """Print the table; write it when asked to."""
    from experiments.published.coverage_figures import Setting, coverage, report
    from experiments.published.coverage_page import coverage_page

    show = Show()
    cases = (
        Setting("one_step", 1, settings.one_step_sessions, ("ips", "snips", "dm", "dr", "sndr")),
        Setting(
            "per_decision",
            settings.max_steps,
            settings.sessions,
            ("pdis", "snpdis", "dm", "seq_dr"),
        ),
    )
    rows = []
    for case in cases:
        with show.stage(f"{case.horizon}: {settings.replicates} logs") as update:
            rows += coverage(
                case,
                replicates=settings.replicates,
                truth_sessions=settings.truth_sessions,
                min_ess=settings.min_ess,
                level=settings.level,
                seed=settings.seed,
                update=update,
            )
    text = report(rows, level=settings.level, replicates=settings.replicates, seed=settings.seed)
    print(text)
    if settings.out is not None:
        write_text(settings.out, text)
        page = settings.out.with_suffix(".html")
        write_text(page, coverage_page(rows, level=settings.level, text=text))
        print(f"written: {page}")
    return 0
