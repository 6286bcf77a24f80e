"""`longplay live`: the loop of serving and learning, closed in a simulator.

Users of a world come back day after day to the real engine on a simulated clock. What it decides
and what comes of it is logged and joined; a detector watches the value; a policy learns again when
it is due; the gate judges it on users who did not teach it; the controller rolls it out from a
shadow to all users, or takes it back. The same users are also served without learning, and by what
is learnt at once.
"""

from __future__ import annotations

from experiments.live.settings import Settings

__all__ = ["Settings", "run"]


def run(settings: Settings) -> int:
    """All lines, then the page; a stopped run goes on with --resume FOLDER."""
    from experiments.common.run_folder import open_run
    from experiments.common.show import Show
    from experiments.common.workers import executor_of, results
    from experiments.live.afterwards import compare
    from experiments.live.learning import recipe_of
    from experiments.live.lines import left_to_do, play
    from experiments.live.report import lines_of, write
    from experiments.live.service import world_of

    recipe_of(settings)
    world = world_of(settings)
    show, folder = Show(), open_run(settings.out, "live", settings, settings.resume)
    show.console.print(f"run folder: {folder.path}", markup=False)
    todo = [line for line in lines_of(settings) if left_to_do(settings, folder, line)]
    first = [line for line in todo if line == "loop" and settings.scenario == "bad_canary"]
    for lines in (first, [line for line in todo if line not in first]):
        if not lines:
            continue
        with show.stage(f"days of {', '.join(lines)}") as update:
            jobs = [(settings, folder.path, line) for line in lines]
            played = results(play, jobs, executor_of(settings), folder)
            for nth, _ in enumerate(played, 1):
                update(nth / len(jobs))
    after = None
    if settings.scenario == "drift":
        with show.stage("after the drift"):
            after = folder.stage("after", lambda: compare(settings, folder))
    print(write(settings, world.name, folder, after))
    for name in ("report.html", "report.md", "timeline.png"):
        print(f"written: {folder.path / name}")
    return 0
