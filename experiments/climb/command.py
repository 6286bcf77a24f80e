"""`longplay climb`: from the behaviour's first log to a planner's value, by vouched steps.

Each round the policy that serves logs sessions of users never seen before. The planner learns from
all logs so far but the judge's part of the newest; of the policies on the path towards it the
furthest one that the judge's sessions vouch for serves the next round, else the policy that served
stays. No step reads a simulator; the world only serves, and tells afterwards what each step was
truly worth.
"""

from __future__ import annotations

from itertools import accumulate

from experiments.climb.settings import Settings

__all__ = ["Settings", "run"]


def run(settings: Settings) -> int:
    """All seeds, then tables and picture; a stopped run goes on with --resume FOLDER."""
    from experiments.climb.job import check, world_of
    from experiments.climb.report import write
    from experiments.climb.rounds import climb, left_to_do
    from experiments.common.run_folder import open_run
    from experiments.common.seeds import seeds_of
    from experiments.common.show import Show
    from experiments.common.workers import executor_of, results

    check(settings)
    show, folder = Show(), open_run(settings.out, "climb", settings, settings.resume)
    show.console.print(f"run folder: {folder.path}", markup=False)
    every = seeds_of(settings)
    todo = {seed: len(left) for seed in every if (left := left_to_do(settings, folder, seed))}
    with show.stage(f"{len(todo)} of {len(every)} seeds") as update:
        jobs = [(settings, folder.path, seed) for seed in todo]
        counts = results(climb, jobs, executor_of(settings), folder)
        for done in accumulate(count for _, count in counts):
            update(done / sum(todo.values()))
    print(write(settings, world_of(settings).name, folder))
    for name in ("climb.md", "rounds.csv", "climb.png"):
        print(f"written: {folder.path / name}")
    return 0
