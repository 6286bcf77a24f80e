"""`longplay benchmark agents`: what agents reach in the classic worlds, beside what is known there.

Every agent sees only what the observation gives. It learns in rounds, the policy of the best round
by one set of held-out users is kept, and its value is taken on yet other users.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from experiments.benchmark.agent_learning import Trial, learn
from experiments.benchmark.agent_targets import TARGETS, Target, name_of, stage_of
from experiments.common.run_folder import open_run
from experiments.common.seeds import seeds_of
from experiments.common.workers import Parallel, executor_of, results


@dataclass(frozen=True, kw_only=True)
class Settings(Parallel):
    """Train agents in the classic worlds and print what they reach."""

    only: tuple[str, ...] = ()
    """Rows to compute, as WORLD/AGENT; all by default."""
    seed: int = 0
    """Of the random numbers; the first of several seeds."""
    seeds: int = 3
    """How many seeds, from --seed on; everything random is made anew with each."""
    sessions: int = 500
    """Held-out sessions that choose the best round."""
    test_sessions: int = 1000
    """Sessions of other users behind every value."""
    level: float = 0.95
    steps: int | None = None
    """Decisions of a round; by default each row's own."""
    rounds: int | None = None
    """Rounds of learning; by default each row's own."""
    users: int | None = None
    """Parallel users; by default each row's own."""

    @property
    def trial(self) -> Trial:
        """How every row is learnt and valued."""
        return Trial(
            self.sessions, self.test_sessions, self.level, self.steps, self.rounds, self.users
        )

    def __post_init__(self) -> None:
        known = [name_of(t) for t in TARGETS]
        if unknown := sorted(set(self.only) - set(known)):
            raise ValueError(f"no row {', '.join(unknown)}; there are {'; '.join(known)}")
        if self.seeds < 1 or min(self.sessions, self.test_sessions) < 2:
            raise ValueError("at least one seed, and at least 2 sessions")


def run(settings: Settings) -> int:
    """All rows; each seed of a row is a stage that is not computed twice."""
    folder = open_run(settings.out, "agents", settings, settings.resume)
    print(f"run folder: {folder.path}", flush=True)
    rows = [t for t in TARGETS if not settings.only or name_of(t) in settings.only]
    todo = [
        (t, settings.trial, s, folder.path)
        for s in seeds_of(settings)
        for t in rows
        if not folder.has(stage_of(t, s))
    ]
    for (target, _, seed, _), result in results(learn, todo, executor_of(settings), folder):
        folder.write_json(f"stages/{stage_of(target, seed)}.json", result)
        print(f"  done: {name_of(target)}, seed {seed}", flush=True)
    table = "\n".join(
        line(t, [folder.read_json(f"stages/{stage_of(t, s)}.json") for s in seeds_of(settings)])
        for t in rows
    )
    print(table)
    folder.write_text("table.txt", table + "\n")
    return 0


def line(target: Target, seeds: list[dict[str, Any]]) -> str:
    """One line: world, agent, value of every seed with its interval, and whether it is enough."""
    values = [s["value"] for s in seeds]
    average = sum(values) / len(values)
    each = "; ".join(f"{s['value']:.1f} [{s['low']:.1f}, {s['high']:.1f}]" for s in seeds)
    seconds = sum(s["cpu_seconds"] for s in seeds) / len(seeds)
    return (
        f"{target.world.name} ({target.world.known}). "
        f"{target.agent}: {average:.1f}; by seed {each}. "
        f"{goal_of(target, values)}. "
        f"Best policy after {seconds:.0f} CPU-seconds of learning and choosing"
    )


def goal_of(target: Target, values: list[float]) -> str:
    """Whether the values of all seeds are enough; a rival has no goal."""
    if target.goal is None:
        return "A rival, from as many decisions as it is given"
    enough = sum(values) / len(values) >= target.goal and min(values) >= target.each
    return f"Goal {target.goal:g}, every seed {target.each:g}: {'reached' if enough else 'missed'}"
